"""Hooks that are ready to be placed, one file a hook."""

from .limiting import rate_limit
from .locality import localhost_only
from .tracing import Trace, trace

__all__ = ("Trace", "localhost_only", "rate_limit", "trace")
