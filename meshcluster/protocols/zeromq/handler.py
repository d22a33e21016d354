"""The handler: where it listens, what it advertises, which way it dials."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import re
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import TypeGuard

from ...claims import Claim
from ...errors import ConfigError
from ...model import Endpoint
from ..base import Accept, Ask, Context, Props
from . import dealer
from .guests import Guests
from .router import Router
from .sockets import Sockets

BACKLOG = 512
HAS_UNIX = hasattr(socket, "AF_UNIX")
_NAME = re.compile(r"[0-9a-f]{16}")


class ZeromqHandler:
    """Options: ``port`` (0: any free one), ``host`` (the address to bind); ``plain`` (True: plain
    ZeroMQ programs may talk to this member, as guests), ``plain_port`` (theirs, 0: any free one,
    advertised as "plain").

    With ``ttl=0`` it binds 127.0.0.1 whatever ``host`` says, so nothing outside can connect.
    Members of one user on one host reach it by a UNIX socket in the runtime directory.
    """

    scheme = "zeromq"
    local_only = False

    def __init__(self, context: Context) -> None:
        options = dict(context.options)
        self._port = options.pop("port", 0)
        self._host = "127.0.0.1" if context.host_only else options.pop("host", "0.0.0.0")
        given = options.pop("host", self._host)
        self._plain = options.pop("plain", False)
        self._plain_port = options.pop("plain_port", 0)
        if options:
            raise ConfigError(
                f"protocol 'zeromq' has no option {', '.join(options)}: port, host, plain, "
                "plain_port"
            )
        if not isinstance(self._plain, bool):
            raise _refused("plain", self._plain, "True or False")
        if not isinstance(given, str):
            raise _refused("host", given, "an IP address of this machine, as text")
        for option, port in (("port", self._port), ("plain_port", self._plain_port)):
            if not _is_port(port):
                raise _refused(option, port, "0 to 65535; 0 is any free one")
        if self._plain and context.ask is None:
            raise _refused("plain", True, "guests prove nothing; a mesh with a secret has none")
        self._ask = context.ask
        cluster = hashlib.blake2b(context.cluster.encode(), digest_size=4).hexdigest()
        self._folder = context.runtime_dir / cluster
        self._name = context.member_id[:8].hex()
        self._claim = Claim(self._path(self._name)) if HAS_UNIX else None
        self._sockets = Sockets(context.frame_bytes)
        self._routers: list[Router] = []
        """The last one accepts; one before it was closed and has links still."""
        self._guests: Guests | None = None

    async def listen(self, accept: Accept) -> Props:
        """Binds; a port that is taken is an error that names it."""
        _check_loop()
        bound = [self._bind("port", self._port)]
        props: Props = {"port": bound[0].getsockname()[1]}
        try:
            if self._claim is not None:
                bound.append(await self._claim_path(self._claim))
                props["name"] = self._name
            listening = [(dealer.url_of(_where(each)), each) for each in bound]
            self._routers.append(Router(self._sockets, listening, accept))
        except BaseException:
            for each in bound:
                each.close()
            raise
        if self._plain and self._ask is not None:
            props["plain"] = self._welcome(self._ask)
        return props

    def _welcome(self, ask: Ask) -> int:
        bound = self._bind("plain_port", self._plain_port)
        port: int = bound.getsockname()[1]
        self._guests = Guests(self._sockets, dealer.url_of(_where(bound)), bound, ask)
        return port

    def _bind(self, option: str, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            return socket.create_server((self._host, port), family=family, backlog=BACKLOG)
        except OSError as error:
            trouble = error.strerror or str(error)
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                advice = "choose another port, or 0 for any free one"
                raise _refused(option, port, f"{trouble}; {advice}") from error
            raise _refused("host", self._host, trouble) from error

    async def _claim_path(self, claim: Claim) -> socket.socket:
        """libzmq would take a path whoever listens there: we bind it, under its lock."""
        try:
            bound = await claim.bind(socket.SOCK_STREAM)
        except OSError as error:
            raise ConfigError(
                f"{claim.path}: {error.strerror or error}; set MESHCLUSTER_RUNTIME_DIR to a "
                "directory of your own"
            ) from error
        bound.listen(BACKLOG)
        return bound

    async def dial(self, address: str, endpoint: Endpoint, accept: Accept) -> None:
        """Connects by the UNIX socket, if there is one here, or to the port."""
        _check_loop()
        port, name = endpoint.props.get("port"), endpoint.props.get("name", "")
        if not _is_port(port) or not port:
            raise ConnectionError("malformed port")
        if not isinstance(name, str) or (name and not _NAME.fullmatch(name)):
            raise ConnectionError("malformed socket name")
        if HAS_UNIX and name and self._path(name).exists():
            await dealer.dial(self._sockets, os.fspath(self._path(name)), accept)
        else:
            await dealer.dial(self._sockets, (address, port), accept)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}-zeromq.sock"

    def descriptors(self) -> Iterable[int]:
        """What a forked child must let go of."""
        held = [each for router in self._routers for each in router.descriptors()]
        if self._guests is not None:
            held.extend(self._guests.descriptors())
        if self._claim is not None:
            held.extend(self._claim.descriptors())
        return [each for each in held if each >= 0]  # the claim's socket is the router's now

    def forked(self) -> None:
        """The files are the parent's to remove."""
        self._routers, self._guests = [], None
        if self._claim is not None:
            self._claim.forked()

    async def close(self) -> None:
        """Accepts no more, and removes the UNIX socket, then its lock."""
        if self._guests is not None:
            self._guests.close()
            self._guests = None
        for router in self._routers:
            router.close()
        self._routers = [router for router in self._routers if router.is_open]
        if self._claim is not None:
            self._claim.release()


def _where(bound: socket.socket) -> tuple[str, int] | str:
    name = bound.getsockname()
    return name if isinstance(name, str) else (name[0], name[1])


def _check_loop() -> None:
    """Refuses loops that cannot watch a descriptor.

    Raises:
        OSError: this is one.
    """
    if type(asyncio.get_running_loop()).__name__ == "ProactorEventLoop":
        raise OSError("this event loop cannot watch descriptors: use a SelectorEventLoop")


def _is_port(port: object) -> TypeGuard[int]:
    return isinstance(port, int) and not isinstance(port, bool) and 0 <= port < 65536


def _refused(option: str, value: object, trouble: str) -> ConfigError:
    return ConfigError(f"protocol_options={{'zeromq': {{{option!r}: {value!r}}}}}: {trouble}")
