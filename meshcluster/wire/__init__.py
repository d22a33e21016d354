"""Bytes to frames and back. No state but a stream's buffer, no input or output."""

__all__ = ()
