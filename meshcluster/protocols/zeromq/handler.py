"""The handler: where it listens, what it advertises, which way it dials."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import importlib.util
import logging
import os
import re
import socket
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...claims import Claim, is_dead
from ...errors import ConfigError
from ...imports import imported
from ...model import Endpoint
from .. import ports
from ..base import Accept, Context, Props
from .waiting import Waiting

if TYPE_CHECKING:  # these load pyzmq
    from .guests import Guests
    from .router import Router
    from .sockets import Sockets

logger = logging.getLogger("meshcluster.protocols")

HAS_UNIX = hasattr(socket, "AF_UNIX")
_NAME = re.compile(r"[0-9a-f]{16}")

BUSY_TRIES = 100
BUSY_SECONDS = 0.01
"""A port that was ours and is still taken is tried so often, with such pauses."""


class ZeromqHandler:
    """Options: ``port`` (0: any free one), ``host`` (the address to bind; without it every one of
    IPv4 and IPv6); ``plain`` (True: plain ZeroMQ programs may talk to this member, as guests),
    ``plain_port`` (theirs, 0: any free one, advertised as "plain").

    With ``ttl=0`` it binds 127.0.0.1 whatever ``host`` says, so nothing outside can connect.
    Members of one user on one host reach it by a UNIX socket in the runtime directory.
    """

    scheme = "zeromq"
    local_only = False

    def __init__(self, context: Context) -> None:
        options = dict(context.options)
        self._port = options.pop("port", 0)
        self._host = "127.0.0.1" if context.host_only else options.pop("host", ports.EVERYWHERE)
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
            if not ports.is_port(port):
                raise _refused(option, port, "0 to 65535; 0 is any free one")
        if self._plain and context.ask is None:
            raise _refused("plain", True, "guests prove nothing; a mesh with a secret has none")
        self._ask = context.ask
        cluster = hashlib.blake2b(context.cluster.encode(), digest_size=4).hexdigest()
        self._folder = context.runtime_dir / f"{cluster}-zeromq"
        self._name = context.member_id[:8].hex()
        self._claim = Claim(self._path(self._name)) if HAS_UNIX else None
        self._frame_bytes = context.frame_bytes
        self._message_bytes = context.message_bytes
        self._sockets: Sockets | None = None
        self._accept: Accept = lambda link: None
        self._waiting: Waiting | None = None
        self._opening: asyncio.Task[None] | None = None
        self._routers: list[Router] = []
        """The last one accepts; one before it was closed and has links still."""
        self._guests: Guests | None = None
        self._complained = False
        self._had: set[int] = set()
        """The ports that we were told to have, and had."""

    async def listen(self, accept: Accept) -> Props:
        """Binds; a port that is taken is an error that names it.

        pyzmq is not loaded before somebody connects: most members are never reached this way.
        """
        _check_loop()
        if importlib.util.find_spec("zmq") is None:
            raise OSError("pyzmq is not installed")
        kept = self._kept()
        bound = [] if kept else await self._bind("port", self._port)
        welcome: list[socket.socket] = []
        try:
            props: Props = {"port": kept.port if kept else bound[0].getsockname()[1]}
            if self._claim is not None:
                bound.append(await self._claim_path(self._claim))
                props["name"] = self._name
            if self._plain:
                welcome = await self._bind("plain_port", self._plain_port)
                props["plain"] = welcome[0].getsockname()[1]
        except BaseException:
            for each in (*bound, *welcome):
                each.close()
            raise
        self._accept = accept
        if kept:
            kept.accept_again(accept, bound)
            bound = []
        self._waiting = Waiting(bound, welcome, self._called)
        return props

    def _kept(self) -> Router | None:
        """A closed router that has the port which we are to have again: libzmq cannot give a port
        up without ending the links that came by it.
        """
        ours = (each for each in self._routers if each.is_open and each.port == self._port)
        return next(ours, None)

    def _called(self) -> None:
        self._opening = asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        """Somebody connects: libzmq takes over."""
        bound: Sequence[socket.socket] = ()
        welcome: Sequence[socket.socket] = ()
        try:
            sockets = await self._loaded()
            from .guests import Guests
            from .router import Router

            if self._waiting is not None:
                bound, welcome = self._waiting.take()
            if bound:
                self._routers.append(Router(sockets, bound, self._accept))
            if welcome and self._ask is not None:
                self._guests = Guests(sockets, welcome, self._ask, self._message_bytes)
        except Exception as error:  # libzmq's own are no OSError
            self._stop_waiting()
            for each in (*bound, *welcome):
                each.close()
            if not self._complained:
                text = "protocol 'zeromq' cannot be used: %s. Others are not affected"
                logger.warning(text, error)
            self._complained = True

    async def _loaded(self) -> Sockets:
        """What makes ZeroMQ sockets; pyzmq is imported for the first.

        Raises:
            OSError: it cannot be loaded.
        """
        if self._sockets is None:
            try:
                await imported("zmq")
            except ImportError as error:
                raise OSError(f"pyzmq cannot be loaded: {error}") from error
            from .sockets import Sockets

            self._sockets = self._sockets or Sockets(self._frame_bytes)
        return self._sockets

    async def _bind(self, option: str, port: int) -> list[socket.socket]:
        """libzmq closes in a thread of its own: a port that was ours may be taken for a moment."""
        for left in reversed(range(BUSY_TRIES if port in self._had else 1)):
            try:
                bound = ports.bind(self._host, port)
            except OSError as error:
                trouble = error.strerror or str(error)
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise _refused("host", self._host, trouble) from error
                if not left:
                    advice = "choose another port, or 0 for any free one"
                    raise _refused(option, port, f"{trouble}; {advice}") from error
            else:
                break
            await asyncio.sleep(BUSY_SECONDS)
        if port:
            self._had.add(port)
        return bound

    async def _claim_path(self, claim: Claim) -> socket.socket:
        """libzmq would take a path whoever listens there: we bind it, under its lock."""
        try:
            bound = await claim.bind(socket.SOCK_STREAM)
        except OSError as error:
            raise ConfigError(
                f"{claim.path}: {error.strerror or error}; set MESHCLUSTER_RUNTIME_DIR to a "
                "directory of your own"
            ) from error
        bound.listen(ports.BACKLOG)
        return bound

    async def dial(self, address: str, endpoint: Endpoint, accept: Accept) -> None:
        """Connects by the UNIX socket, if there is one here, or to the port."""
        _check_loop()
        port, name = ports.port_of(endpoint), endpoint.props.get("name", "")
        if not isinstance(name, str) or (name and not _NAME.fullmatch(name)):
            raise ConnectionError("malformed socket name")
        where: tuple[str, int] | str = (address, port)
        if HAS_UNIX and name and self._path(name).exists():
            where = os.fspath(self._path(name))
            if is_dead(self._path(name)):  # seen without loading anything
                raise ConnectionRefusedError("its process is gone")
        sockets = await self._loaded()
        from . import dealer

        await dealer.dial(sockets, where, accept)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.sock"

    def descriptors(self) -> Iterable[int]:
        """What a forked child must let go of."""
        held = {each for router in self._routers for each in router.descriptors()}
        for holder in (self._waiting, self._guests, self._claim):
            if holder is not None:
                held.update(holder.descriptors())
        return [each for each in held if each >= 0]  # the claim's socket may be a router's now

    def forked(self) -> None:
        """The files are the parent's to remove."""
        self._routers, self._guests = [], None
        if self._claim is not None:
            self._claim.forked()

    async def close(self) -> None:
        """Accepts no more, and removes the UNIX socket, then its lock."""
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
            await asyncio.wait([opening])
        self._stop_waiting()
        if self._guests is not None:
            self._guests.close()
            self._guests = None
        for router in self._routers:
            router.close()
        self._routers = [router for router in self._routers if router.is_open]
        if self._claim is not None:
            self._claim.release()

    def _stop_waiting(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.close()


def _check_loop() -> None:
    """Refuses loops that cannot watch a descriptor.

    Raises:
        OSError: this is one.
    """
    if type(asyncio.get_running_loop()).__name__ == "ProactorEventLoop":
        raise OSError("this event loop cannot watch descriptors: use a SelectorEventLoop")


def _refused(option: str, value: object, trouble: str) -> ConfigError:
    return ConfigError(f"protocol_options={{'zeromq': {{{option!r}: {value!r}}}}}: {trouble}")
