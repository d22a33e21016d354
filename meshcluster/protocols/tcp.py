"""Links over TCP: between hosts, and on one host for those who cannot use UNIX sockets."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterable
from typing import TypeGuard

from ..errors import ConfigError
from ..model import Endpoint
from .base import Accept, Context, Props
from .stream import StreamLink, close_server


class TcpHandler:
    """Options: ``port`` (0: any free one), ``host`` (the address to bind).

    With ``ttl=0`` it binds 127.0.0.1 whatever ``host`` says, so nothing outside can connect.
    """

    scheme = "tcp"
    local_only = False

    def __init__(self, context: Context) -> None:
        options = dict(context.options)
        self._port = options.pop("port", 0)
        self._host = "127.0.0.1" if context.host_only else options.pop("host", "0.0.0.0")
        given = options.pop("host", self._host)
        if options:
            raise ConfigError(f"protocol 'tcp' has no option {', '.join(options)}: port, host")
        if not isinstance(given, str):
            raise _refused("host", given, "an IP address of this machine, as text")
        if not _is_port(self._port):
            raise _refused("port", self._port, "0 to 65535; 0 is any free one")
        self._server: asyncio.Server | None = None

    async def listen(self, accept: Accept) -> Props:
        """Binds; a port that is taken is an error that names it."""
        loop = asyncio.get_running_loop()
        try:
            # Given a host, libuv (uvloop) would look it up in threads that stay for ever, and
            # whose absence crashes a forked child at its exit.
            listener = self._bind()
            self._server = await loop.create_server(
                lambda: StreamLink(accept), sock=listener, backlog=512, start_serving=False
            )
        except OSError as error:
            trouble = error.strerror or str(error)
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                advice = "choose another port, or 0 for any free one"
                raise _refused("port", self._port, f"{trouble}; {advice}") from error
            raise _refused("host", self._host, trouble) from error
        await self._server.start_serving()  # apart, or asyncio loses the server when cancelled here
        return {"port": self._server.sockets[0].getsockname()[1]}

    def _bind(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        return socket.create_server((self._host, self._port), family=family, backlog=512)

    async def dial(self, address: str, endpoint: Endpoint, accept: Accept) -> None:
        """Connects to the port at the address the member was heard from."""
        loop = asyncio.get_running_loop()
        port = endpoint.props.get("port")
        if not _is_port(port) or not port:
            raise ConnectionError("malformed port")
        await loop.create_connection(lambda: StreamLink(accept), address, port)

    def descriptors(self) -> Iterable[int]:
        """What a forked child must let go of."""
        return [each.fileno() for each in self._server.sockets] if self._server else []

    async def close(self) -> None:
        """Closes the port."""
        if self._server is not None:
            await close_server(self._server)


def _is_port(port: object) -> TypeGuard[int]:
    return isinstance(port, int) and not isinstance(port, bool) and 0 <= port < 65536


def _refused(option: str, value: object, trouble: str) -> ConfigError:
    return ConfigError(f"protocol_options={{'tcp': {{{option!r}: {value!r}}}}}: {trouble}")
