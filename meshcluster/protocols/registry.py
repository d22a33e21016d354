"""Which protocols there are: a table for our own, the entry point group for everybody else's."""

from __future__ import annotations

import importlib
import socket
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from ..errors import PluginError
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


def known_schemes() -> tuple[str, ...]:
    """Every scheme that can be named here, ours first."""
    return (*BUILT_IN, *sorted(_plugins().keys() - BUILT_IN.keys()))


def load(scheme: str, context: Context) -> ProtocolHandler:
    """The handler of a scheme; its module is imported now.

    Raises:
        PluginError: unknown scheme (with the known ones), claimed twice, or its import failed.
    """
    target = BUILT_IN.get(scheme) or _plugin(scheme).value
    module, _, name = target.partition(":")
    try:
        make = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise PluginError(f"protocol {scheme!r} ({target}) cannot be loaded: {error}") from error
    return cast(ProtocolHandler, make(context))


def _plugin(scheme: str) -> EntryPoint:
    found = _plugins().get(scheme, [])
    if not found:
        raise PluginError(f"no protocol {scheme!r} here: there are {', '.join(known_schemes())}")
    if len(found) > 1:
        claims = " and ".join(sorted(point.value for point in found))
        raise PluginError(f"protocol {scheme!r} is claimed by {claims}: uninstall one")
    return found[0]


def _plugins() -> dict[str, list[EntryPoint]]:
    plugins: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        plugins.setdefault(point.name, []).append(point)
    return plugins
