"""The ``meshcluster`` command: one file a command."""

__all__ = ()
