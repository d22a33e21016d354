"""Keys, and what is sealed with them: datagrams, and links after their handshake.

``cryptography`` is imported by whoever joins: it takes a while to load.
"""

__all__ = ()
