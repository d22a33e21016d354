"""The blocking face: one loop in one thread, and the same methods."""

__all__ = ()
