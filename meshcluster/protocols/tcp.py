"""Links over TCP: between hosts, and on one host for those who cannot use UNIX sockets."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterable

from ..errors import ConfigError
from ..interfaces import written
from ..model import Endpoint
from .base import Accept, Context, Props
from .ports import BACKLOG, EVERYWHERE, bind, connect, is_port, port_of
from .stream import StreamLink, close_server


class TcpHandler:
    """Options: ``port`` (0: any free one), ``host`` (the address to bind; without it
    every one of IPv4 and IPv6).

    With ``ttl=0`` it binds 127.0.0.1 whatever ``host`` says, so nothing outside can connect.
    """

    scheme = "tcp"
    local_only = False

    def __init__(self, context: Context) -> None:
        options = dict(context.options)
        self._port = options.pop("port", 0)
        self._host = "127.0.0.1" if context.host_only else options.pop("host", EVERYWHERE)
        given = options.pop("host", self._host)
        if options:
            raise ConfigError(f"protocol 'tcp' has no option {', '.join(options)}: port, host")
        if not isinstance(given, str):
            raise _refused("host", given, "an IP address of this machine, as text")
        if not is_port(self._port):
            raise _refused("port", self._port, "0 to 65535; 0 is any free one")
        self._servers: list[asyncio.Server] = []

    async def listen(self, accept: Accept) -> Props:
        """Binds; a port that is taken is an error that names it."""
        loop = asyncio.get_running_loop()
        try:
            # Given a host, libuv (uvloop) would look it up in threads that stay for ever, and
            # whose absence crashes a forked child at its exit.
            for listener in bind(self._host, self._port):
                server = await loop.create_server(
                    lambda: StreamLink(accept),
                    sock=listener,
                    backlog=BACKLOG,
                    start_serving=False,
                )
                self._servers.append(server)
        except OSError as error:
            trouble = error.strerror or str(error)
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                advice = "choose another port, or 0 for any free one"
                raise _refused("port", self._port, f"{trouble}; {advice}") from error
            raise _refused("host", self._host, trouble) from error
        for server in self._servers:
            await server.start_serving()  # apart, or asyncio loses it when cancelled here
        return {"port": self._servers[0].sockets[0].getsockname()[1]}

    async def dial(self, address: str, endpoint: Endpoint, accept: Accept) -> None:
        """Connects to the port at an address of the member."""
        loop = asyncio.get_running_loop()
        port = port_of(endpoint)
        if ":" not in address:
            await loop.create_connection(lambda: StreamLink(accept), address, port)
            return
        # asyncio looks an address with its interface up as a name, in a thread; uvloop loses it.
        connected = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        try:
            await connect(connected, written(address, port))
        except BaseException:
            connected.close()
            raise
        await loop.create_connection(lambda: StreamLink(accept), sock=connected)

    def descriptors(self) -> Iterable[int]:
        """What a forked child must let go of."""
        return [each.fileno() for server in self._servers for each in server.sockets]

    async def close(self) -> None:
        """Closes the port."""
        for server in self._servers:
            await close_server(server)
        self._servers.clear()


def _refused(option: str, value: object, trouble: str) -> ConfigError:
    return ConfigError(f"protocol_options={{'tcp': {{{option!r}: {value!r}}}}}: {trouble}")
