"""The adapter for everything that is a byte stream: frames behind a length, one reused buffer."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterable, Sequence
from typing import cast

from ..errors import DecodeError
from ..interfaces import spoken
from ..wire.splitter import HEADER, Splitter
from .base import Accept, LinkReceiver
from .credentials import is_same_user, trouble_with

WRITE_BUFFER_BYTES = 1024 * 1024
"""A link with more unwritten bytes pauses its sender."""

LOCAL_BUFFER_BYTES = 1024 * 1024

CUT_SECONDS = 5
"""A TCP link on which nothing was acknowledged for so long ends, and is dialled anew: TCP itself
would go on for a quarter of an hour, and notice the end of a cut as late as the cut was long.
"""

JOIN_BYTES = 64 * 1024
"""Longer frames are written by themselves: copying them into one write costs more than it saves."""


async def close_server(server: asyncio.AbstractServer) -> None:
    """Closes a server without losing a connection that is half accepted.

    asyncio makes the transport of an accepted connection a turn later, and when the server was
    closed in between the socket is leaked. So accepting stops first.
    """
    loop = asyncio.get_running_loop()
    for listener in getattr(server, "sockets", ()):
        loop.remove_reader(listener.fileno())
    for _ in range(2):
        await asyncio.sleep(0)
    server.close()


def notice_cuts(connected: socket.socket | None) -> None:
    """Has the system end a TCP connection whose other end is silent; see ``CUT_SECONDS``.

    Where it cannot watch what was sent (``TCP_USER_TIMEOUT`` is Linux's), it asks the other end
    from time to time (keepalive). What no system does is nobody's loss: members are probed anyway.
    """
    if connected is None:
        return
    settings = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        settings = [(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, CUT_SECONDS * 1000)]
    else:
        for name, value in (("TCP_KEEPIDLE", CUT_SECONDS), ("TCP_KEEPALIVE", CUT_SECONDS),
                            ("TCP_KEEPINTVL", 1), ("TCP_KEEPCNT", CUT_SECONDS)):  # fmt: skip
            if hasattr(socket, name):
                settings.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    with contextlib.suppress(OSError):
        for setting in settings:
            connected.setsockopt(*setting)


class StreamLink(asyncio.BufferedProtocol):
    """A link over any asyncio stream transport; also the protocol object of that transport.

    For ``loop.create_server(lambda: StreamLink(accept), ...)`` and
    ``loop.create_connection(lambda: StreamLink(accept), ...)``. ``local`` says that the transport
    cannot leave this machine. A UNIX socket with another user at its end is ended, as a fault,
    unless it lies in a group's directory.
    """

    def __init__(self, accept: Accept, *, local: bool = False) -> None:
        self._accept = accept
        self._splitter = Splitter(0)
        self._receiver: LinkReceiver | None = None
        self._fault = ""
        self._ended = False
        self.local = local
        self.remote = ""
        self.same_user = False
        """Whether it is proven that the other end is a process of our user."""

    # --- what a transport calls --------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        if self.local:
            self._look_who(transport.get_extra_info("socket"))
        peer = transport.get_extra_info("peername")
        if not self.local and isinstance(peer, tuple):
            self.remote = spoken(peer)
            notice_cuts(transport.get_extra_info("socket"))
        self._receiver = self._accept(self)
        if self._receiver is None:
            self._transport.abort()

    def _look_who(self, connected: socket.socket) -> None:
        # The system sizes TCP's buffers by itself, but not those of UNIX sockets: the default
        # holds less than a sender makes while it has the interpreter.
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LOCAL_BUFFER_BYTES)
        self.same_user = is_same_user(connected)
        self._fault = trouble_with(connected)
        if self._fault:
            self._transport.abort()  # before it is introduced: nothing is written to it or read

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._splitter.buffer()

    def buffer_updated(self, nbytes: int) -> None:
        receiver = self._receiver
        if receiver is None:
            return
        splitter = self._splitter
        splitter.limit_bytes = receiver.limit_bytes
        try:
            frames = splitter.advance(nbytes)
            while frames:
                receiver.frames_received(frames)
                splitter.limit_bytes = receiver.limit_bytes  # a hello among them raises it
                frames = splitter.advance(0)
        except DecodeError as error:
            self._fault = str(error)
            self._transport.abort()

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        if self._receiver is not None:
            self._receiver.pause_sending()

    def resume_writing(self) -> None:
        if self._receiver is not None:
            self._receiver.resume_sending()

    def connection_lost(self, exc: Exception | None) -> None:
        receiver, self._receiver = self._receiver, None
        self._ended = True
        if receiver is not None:
            reason = self._fault or (str(exc) if exc else "closed by the other end")
            receiver.link_lost(reason, fault=bool(self._fault))

    # --- what a link offers ------------------------------------------------------------------

    def send(self, frames: Sequence[bytes]) -> None:
        """Queues frames, joined into as few writes as is cheap."""
        parts: list[bytes] = []
        for frame in frames:
            parts.append(HEADER.pack(len(frame)))
            if len(frame) > JOIN_BYTES:
                self._transport.write(b"".join(parts))
                self._transport.write(frame)
                parts = []
            else:
                parts.append(frame)
        if parts:
            self._transport.write(b"".join(parts))

    def close(self) -> None:
        """Ends the link once all that was queued is written."""
        if not self._ended:
            self._transport.close()

    def descriptors(self) -> Iterable[int]:
        """What a forked child must let go of."""
        connected = self._transport.get_extra_info("socket")
        return [] if self._ended or connected is None else [connected.fileno()]

    def abort(self) -> None:
        """Ends the link now."""
        if not self._ended:
            self._transport.abort()
