"""What proves that somebody belongs to us: secrets and their keys. No I/O."""

__all__ = ()
