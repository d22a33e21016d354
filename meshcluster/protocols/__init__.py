"""Ways to move messages: one file a protocol, all behind ``ProtocolHandler``."""

from .base import Accept, Context, Link, LinkReceiver, ProtocolHandler
from .ports import port_of
from .registry import known_schemes, load
from .stream import StreamLink

__all__ = (
    "Accept",
    "Context",
    "Link",
    "LinkReceiver",
    "ProtocolHandler",
    "StreamLink",
    "known_schemes",
    "load",
    "port_of",
)
