"""Ports: those that peers tell; listening at every address, or at the one chosen; connecting."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import TypeGuard

from ..model import Endpoint

EVERYWHERE = "0.0.0.0"
"""The default to bind: every address, of IPv6 as well."""

PORT_TRIES = 16
"""Free ports that are tried when one is taken for IPv6."""

BACKLOG = 512


def port_of(endpoint: Endpoint, prop: str = "port") -> int:
    """The port, 1 to 65535, that an endpoint tells as ``prop``: what a peer says of itself may be
    anything, so no ``dial`` uses it unseen.

    Raises:
        ConnectionError: it tells none.
    """
    port = endpoint.props.get(prop)
    if not is_port(port) or not port:
        raise ConnectionError(f"malformed {prop}")
    return port


def is_port(port: object) -> TypeGuard[int]:
    """Whether it is a port's number; 0, any free one, is one to listen on."""
    return isinstance(port, int) and not isinstance(port, bool) and 0 <= port < 65536


def bind(host: str, port: int) -> list[socket.socket]:
    """A listener, or one by IPv4 and one by IPv6 with the same port number.

    Raises:
        OSError: the port or the address cannot be had.
    """
    if host != EVERYWHERE:
        return [_listener(host, port)]
    for _ in range(PORT_TRIES):
        first = _listener(host, port)
        try:
            return [first, _listener("::", first.getsockname()[1])]
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return [first]  # a system without IPv6
            first.close()
            if port:
                raise
    return [_listener(host, port)]


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


async def connect(connected: socket.socket, target: tuple[str | int, ...]) -> None:
    """Connects a socket to an address that is nobody's to resolve.

    Raises:
        OSError: it cannot be connected.
    """
    loop = asyncio.get_running_loop()
    connected.setblocking(False)
    number = connected.connect_ex(target)
    if number in (errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", 0)):
        writable = asyncio.Event()
        loop.add_writer(connected, writable.set)
        try:
            await writable.wait()
        finally:
            loop.remove_writer(connected)
        number = connected.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if number:
        raise OSError(number, os.strerror(number))  # which makes the right subclass
