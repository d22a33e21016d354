"""Who may intercept what: hook points, ordered chains, the registry behind ``cluster.hook``."""

from ..errors import HookFailed, HookRejected
from .points import PASS, POINTS, Point
from .registry import Hook, HookRegistry

__all__ = (
    "Hook",
    "HookFailed",
    "HookRegistry",
    "HookRejected",
    "PASS",
    "POINTS",
    "Point",
)
