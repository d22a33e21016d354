"""What runs at a worker's end. It is sent there as source, so it imports only Python's own library
and itself, and runs on Python 3.8 and later.
"""

__all__ = ()
