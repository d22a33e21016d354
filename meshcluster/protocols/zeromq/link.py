"""What dialled and accepted links share: a link's frames in ZeroMQ messages, and its end.

A message is ``FRAMES`` and the frames of one write, each behind its length, or ``END`` alone. It
is always one part: libzmq ends the whole process when a connection breaks and its socket is closed
while a message of several parts is on its way (libzmq issue 3442).

``END`` is what closes a link: a ROUTER socket cannot say when all is written, so the other end says
when all has come, by ending the connection.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence

from ...errors import DecodeError
from ...wire.splitter import HEADER
from ..base import Accept, LinkReceiver
from .connection import Connection

FRAMES, END = b"\x01", b"\x00"

MESSAGE_BYTES = 256 * 1024
"""Frames of one write are sent in messages of at most so much, unless one alone is larger."""

CLOSE_SECONDS = 5.0
"""A link that was closed is cut when the other end has not read everything by then."""


class ZeromqLink:
    """A link over one ZeroMQ connection."""

    def __init__(self, *, remote: str, local: bool) -> None:
        self.remote = remote
        self.local = local
        self.connection: Connection | None = None
        self.ended = False
        self._loop = asyncio.get_running_loop()
        self._receiver: LinkReceiver | None = None
        self._waiting: deque[bytes] = deque()
        self._closing: asyncio.TimerHandle | None = None

    # --- what each kind does its own way -----------------------------------------------------

    def _transmit(self, message: bytes) -> bool:
        """Gives libzmq a message; False when it has enough."""
        raise NotImplementedError

    def _release(self) -> None:
        """The link is over: lets go of its connection. Called once."""
        raise NotImplementedError

    # --- what a link offers ------------------------------------------------------------------

    def send(self, frames: Sequence[bytes]) -> None:
        """Queues frames, joined into as few messages as there may be."""
        if self.ended or self._closing is not None:
            return
        parts, size = [FRAMES], 0
        for frame in frames:
            if size and size + len(frame) > MESSAGE_BYTES:
                self._put(b"".join(parts))
                parts, size = [FRAMES], 0
            parts += HEADER.pack(len(frame)), frame
            size += HEADER.size + len(frame)
        if size:
            self._put(b"".join(parts))

    def close(self) -> None:
        """Ends the link once the other end has all that was queued."""
        if not self.ended and self._closing is None:
            self._closing = self._loop.call_later(CLOSE_SECONDS, self.end, "closed, unread")
            self._put(END)

    def abort(self) -> None:
        """Ends the link now."""
        if not self.ended:
            if self.connection is not None:
                self.connection.cut()
            self._loop.call_soon(self.end, "aborted")

    def descriptors(self) -> list[int]:
        """What a forked child must let go of."""
        return [self.connection.descriptor] if self.connection is not None else []

    @property
    def same_user(self) -> bool:
        """Whether it is proven that the other end is a process of our user."""
        return self.connection is not None and self.connection.same_user

    # --- what its socket's owner calls -------------------------------------------------------

    def open(self, accept: Accept) -> None:
        """Introduces the link to its member."""
        self._receiver = accept(self)
        if self._receiver is None:
            self.abort()
        elif self.connection is not None and self.connection.trouble:
            self.end(self.connection.trouble, fault=True)  # before anything is written or read

    def arrived(self, parts: Sequence[bytes]) -> None:
        """A message came over it."""
        message = parts[0]
        if self.ended:
            return
        if len(parts) > 1 or (message != END and message[:1] != FRAMES):
            self.end(f"foreign message: it begins with {message[:8]!r}", fault=True)
        elif message == END:
            self.end("closed by the other end" if self._closing is None else "closed")
        elif self._closing is None:
            try:
                self._deliver(message)
            except DecodeError as error:
                self.end(str(error), fault=True)

    def _deliver(self, message: bytes) -> None:
        for frame in _frames(message):  # one by one: a hello raises the limit for what follows
            receiver = self._receiver
            if receiver is None:
                return
            if len(frame) > receiver.limit_bytes:
                limit = receiver.limit_bytes
                raise DecodeError(f"oversized frame: {len(frame)} bytes is over {limit}")
            receiver.frames_received((frame,))

    def flush(self) -> None:
        """There may be room for what waits."""
        waiting = self._waiting
        if not waiting:
            return
        while waiting and self._transmit(waiting[0]):
            waiting.popleft()
        if not waiting and self._receiver is not None:
            self._receiver.resume_sending()

    def end(self, reason: str, *, fault: bool = False) -> None:
        """It is over: tells its member, once."""
        if self.ended:
            return
        self.ended = True
        self._waiting.clear()
        if self._closing is not None:
            self._closing.cancel()
        self._release()
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.link_lost(reason, fault=fault)

    def _put(self, message: bytes) -> None:
        if self._waiting or not self._transmit(message):
            first = not self._waiting
            self._waiting.append(message)
            if first and self._receiver is not None:
                self._receiver.pause_sending()


def _frames(message: bytes) -> Iterator[memoryview]:
    """The frames of a message.

    Raises:
        DecodeError: a length is not true.
    """
    view, begin = memoryview(message), len(FRAMES)
    while begin < len(message):
        if len(message) - begin < HEADER.size:
            raise DecodeError("malformed message: it ends within a length")
        (length,) = HEADER.unpack_from(view, begin)
        begin += HEADER.size
        if length > len(message) - begin:
            raise DecodeError(f"malformed message: a frame of {length} bytes is not there")
        yield view[begin : begin + length]
        begin += length
