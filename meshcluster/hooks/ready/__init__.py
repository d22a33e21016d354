"""Hooks that are ready to be placed, one file a hook."""

from .locality import localhost_only
from .tracing import Trace, trace

__all__ = ("Trace", "localhost_only", "trace")
