"""Which protocols there are: a table for our own, the entry point group for everybody else's."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import cast

from ..plugins import Plugins
from .base import Context, ProtocolHandler

GROUP = "meshcluster.protocols"

BUILT_IN = {
    "unix": "meshcluster.protocols.unix:UnixHandler",
    "tcp": "meshcluster.protocols.tcp:TcpHandler",
    "udp": "meshcluster.protocols.udp:UdpHandler",
    "zeromq": "meshcluster.protocols.zeromq:ZeromqHandler",
    "memory": "meshcluster.protocols.memory:MemoryHandler",
}

_EVERYWHERE = ("tcp", "zeromq", "udp")
DEFAULT = ("unix", *_EVERYWHERE) if hasattr(socket, "AF_UNIX") else _EVERYWHERE
"""What a member offers, best first, when ``protocols=`` is not given."""

OPTIONAL = frozenset({"zeromq"})
"""Those of them that are left out where they cannot be used."""


def installed() -> Plugins:
    """The protocols that are here now."""
    return Plugins("protocol", GROUP, BUILT_IN)


def known_schemes() -> tuple[str, ...]:
    """Every scheme that can be named here, ours first."""
    return installed().names


def load(scheme: str, context: Context, *, plugins: Plugins | None = None) -> ProtocolHandler:
    """The handler of a scheme; its module is imported now. ``plugins``: what ``installed`` gave,
    for who loads several.

    Raises:
        PluginError: unknown scheme (with the known ones), claimed twice, or its import failed.
    """
    make = (plugins or installed()).load(scheme)
    return cast(Callable[[Context], ProtocolHandler], make)(context)
