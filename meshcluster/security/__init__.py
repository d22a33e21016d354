"""Keys, and what is sealed with them: datagrams, and links after their handshake.

Imported by whoever joins with a key: the library behind it takes a while to load.
"""
