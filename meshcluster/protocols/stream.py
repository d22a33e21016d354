"""The adapter for everything that is a byte stream: frames behind a length, one reused buffer."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterable, Sequence
from typing import cast

from ..errors import DecodeError
from ..interfaces import spoken
from ..wire.codec import takes_notices
from ..wire.split import Split
from ..wire.splitter import HEADER, Splitter
from .base import Accept, Buffer, LinkReceiver
from .credentials import is_same_user, partner, trouble_with
from .ring import LARGE_BYTES, Ring

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


def prepare(connected: socket.socket | None) -> None:
    """Has the system send at once what is written to a TCP connection, and end one whose other end
    is silent; see ``CUT_SECONDS``.

    asyncio sets the first only for sockets that name their protocol: not for accepted ones.

    Where it cannot watch what was sent (``TCP_USER_TIMEOUT`` is Linux's), it asks the other end
    from time to time (keepalive). What no system does is nobody's loss: members are probed anyway.
    """
    if connected is None:
        return
    settings = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        settings.append((socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, CUT_SECONDS * 1000))
    else:
        settings.append((socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1))
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
        self._partner = 0
        """The process at the other end, until it has said whether it can share memory."""
        self._ring: Ring | None = None
        self.takes_split = False
        """Whether frames in pieces are of use: a process of our user may share memory."""
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
            prepare(transport.get_extra_info("socket"))
        self._receiver = self._accept(self)
        if self._receiver is None:
            self._transport.abort()

    def _look_who(self, connected: socket.socket) -> None:
        # The system sizes TCP's buffers by itself, but not those of UNIX sockets: the default
        # holds less than a sender makes while it has the interpreter.
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LOCAL_BUFFER_BYTES)
        self.same_user = is_same_user(connected)
        self._partner = partner(connected)
        self.takes_split = self._partner > 0
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
                if self._partner:
                    self._meet(frames[0])
                receiver.frames_received(frames)
                splitter.limit_bytes = receiver.limit_bytes  # a hello among them raises it
                frames = splitter.advance(0)
            if self._ring is not None and self._ring.credit_urgent:
                self._say(self._ring.credit())
        except DecodeError as error:
            self._fault = str(error)
            self._transport.abort()

    def _meet(self, preface: Buffer | Split) -> None:
        """The first frame says whether the other end takes notices."""
        partner, self._partner = self._partner, 0
        if not isinstance(preface, Split) and takes_notices(preface):
            self._ring = Ring(partner, self._say)
            self._splitter.noticed = self._ring.take

    def _say(self, data: bytes) -> None:
        if not (self._fault or self._transport.is_closing()):
            self._transport.write(data)

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
        if self._ring is not None:
            self._ring.close()
        if receiver is not None:
            reason = self._fault or (str(exc) if exc else "closed by the other end")
            receiver.link_lost(reason, fault=bool(self._fault))

    # --- what a link offers ------------------------------------------------------------------

    def send(self, frames: Sequence[bytes | Split]) -> None:
        """Queues frames, joined into as few writes as is cheap."""
        if self._fault:
            return  # it was ended, and uvloop refuses to write to what is
        ring = self._ring
        parts: list[bytes] = [ring.credit()] if ring is not None and ring.owed else []
        for frame in frames:
            size = len(frame)
            if size > LARGE_BYTES:
                parts = self._send_large(frame, parts)
            else:
                parts += HEADER.pack(size), cast(bytes, frame)
        if parts:
            self._transport.write(b"".join(parts))

    def _send_large(self, frame: bytes | Split, parts: list[bytes]) -> list[bytes]:
        """Adds a frame to what is to be written; gives what is not written by then."""
        placed = None if self._ring is None else self._ring.place(frame)
        if placed is not None:
            parts.append(placed)
            return parts
        parts.append(HEADER.pack(len(frame)))
        whole = bytes(frame)
        if len(whole) <= JOIN_BYTES:
            parts.append(whole)
            return parts
        self._transport.write(b"".join(parts))
        self._transport.write(whole)
        return []

    def close(self) -> None:
        """Ends the link once all that was queued is written."""
        if not self._ended:
            self._transport.close()

    def descriptors(self) -> Iterable[int]:
        """What a forked child must let go of."""
        connected = self._transport.get_extra_info("socket")
        if self._ended or connected is None:
            return []
        offered = -1 if self._ring is None else self._ring.descriptor()
        return [connected.fileno(), *([offered] if offered >= 0 else [])]

    def abort(self) -> None:
        """Ends the link now."""
        if not self._ended:
            self._transport.abort()
