"""The only room with tasks, timers, threads for hooks and open links."""

__all__ = ()
