"""What dialled and accepted links share: a link's frames in ZeroMQ messages, and its end.

A message is ``FRAMES`` and the frames of one write, or ``END`` alone. ``END`` is what closes a
link: a ROUTER socket cannot say when all is written, so the other end says when all has come, by
ending the connection.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from ..base import Accept, LinkReceiver
from .connection import Connection

FRAMES, END = b"\x01", b"\x00"

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
        self._waiting: deque[tuple[bytes, ...]] = deque()
        self._closing: asyncio.TimerHandle | None = None

    # --- what each kind does its own way -----------------------------------------------------

    def _transmit(self, parts: tuple[bytes, ...]) -> bool:
        """Gives libzmq a message; False when it has enough."""
        raise NotImplementedError

    def _release(self) -> None:
        """The link is over: lets go of its connection. Called once."""
        raise NotImplementedError

    # --- what a link offers ------------------------------------------------------------------

    def send(self, frames: Sequence[bytes]) -> None:
        """Queues frames as one message."""
        if frames and not self.ended and self._closing is None:
            self._put((FRAMES, *frames))

    def close(self) -> None:
        """Ends the link once the other end has all that was queued."""
        if not self.ended and self._closing is None:
            self._closing = self._loop.call_later(CLOSE_SECONDS, self.end, "closed, unread")
            self._put((END,))

    def abort(self) -> None:
        """Ends the link now."""
        if not self.ended:
            if self.connection is not None:
                self.connection.cut()
            self._loop.call_soon(self.end, "aborted")

    def descriptors(self) -> list[int]:
        """What a forked child must let go of."""
        return [self.connection.descriptor] if self.connection is not None else []

    # --- what its socket's owner calls -------------------------------------------------------

    def open(self, accept: Accept) -> None:
        """Introduces the link to its member."""
        self._receiver = accept(self)
        if self._receiver is None:
            self.abort()

    def arrived(self, parts: Sequence[bytes]) -> None:
        """A message came over it."""
        kind, frames = parts[0], parts[1:]
        if self.ended:
            return
        if kind == END and not frames:
            self.end("closed by the other end" if self._closing is None else "closed")
        elif kind != FRAMES:
            self.end(f"foreign message: it begins with {kind[:8]!r}", fault=True)
        elif self._closing is None:
            self._deliver(frames)

    def _deliver(self, frames: Sequence[bytes]) -> None:
        for frame in frames:  # one by one: a hello raises the limit for what follows
            receiver = self._receiver
            if receiver is None:
                return
            if len(frame) > receiver.limit_bytes:
                limit = receiver.limit_bytes
                self.end(f"oversized frame: {len(frame)} bytes is over {limit}", fault=True)
                return
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

    def _put(self, parts: tuple[bytes, ...]) -> None:
        if self._waiting or not self._transmit(parts):
            first = not self._waiting
            self._waiting.append(parts)
            if first and self._receiver is not None:
                self._receiver.pause_sending()
