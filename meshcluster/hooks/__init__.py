"""Who may intercept what: hook points, ordered chains, the registry behind ``cluster.hook``."""

from ..errors import HookFailed, HookRejected
from .points import PASS, POINTS, Point
from .registry import Hook, HookRegistry

__all__ = ("PASS", "POINTS", "Hook", "HookFailed", "HookRegistry", "HookRejected", "Point")
