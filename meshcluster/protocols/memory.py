"""Links inside one process: for members of one program, and for tests without sockets.

Members may run in different event loops (each blocking ``Cluster`` has its own), so frames are
handed over with ``call_soon_threadsafe``, which keeps their order.
"""

from __future__ import annotations

import asyncio
import uuid
from asyncio import AbstractEventLoop
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import ConfigError
from ..model import Endpoint
from .base import Accept, Context, LinkReceiver, Props

_LISTENERS: dict[str, tuple[AbstractEventLoop, Accept]] = {}
"""The members of this process that listen: what a network is to other protocols."""


class MemoryLink:
    """One end of a pair, each in its own loop."""

    local = True
    remote = ""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._receiver: LinkReceiver | None = None
        self._peer: MemoryLink | None = None

    @classmethod
    def pair(
        cls, one: AbstractEventLoop, other: AbstractEventLoop
    ) -> tuple[MemoryLink, MemoryLink]:
        """Two ends, connected."""
        near, far = cls(one), cls(other)
        near._peer, far._peer = far, near
        return near, far

    def open(self, accept: Accept) -> None:
        """Begins to deliver; called in this end's loop, before anything can arrive."""
        self._receiver = accept(self)
        if self._receiver is None:
            self.abort()

    def send(self, frames: Sequence[bytes]) -> None:
        """Queues frames in the other end's loop."""
        if self._peer is not None and not self._peer._call(self._peer._arrived, list(frames)):
            self._call(self._ended, "the other end's loop is closed")

    def close(self) -> None:
        """Ends both ends, after what was sent."""
        peer, self._peer = self._peer, None
        if peer is not None:
            peer._call(peer._ended, "closed by the other end")
            self._call(self._ended, "closed")

    abort = close

    def _call(self, function: Callable[[Any], None], argument: object) -> bool:
        """Calls in this end's loop; False when that is closed, and its member gone."""
        try:
            self._loop.call_soon_threadsafe(function, argument)
        except RuntimeError:
            return False
        return True

    def _arrived(self, frames: list[bytes]) -> None:
        for frame in frames:
            receiver = self._receiver
            if receiver is None:
                return
            if len(frame) > receiver.limit_bytes:
                self.abort()
                self._ended(f"oversized frame: {len(frame)} bytes", fault=True)
                return
            receiver.frames_received([frame])

    def _ended(self, reason: str, *, fault: bool = False) -> None:
        self._peer = None
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.link_lost(reason, fault=fault)


class MemoryHandler:
    """No options. Reaches only members of the same process."""

    scheme = "memory"
    local_only = True

    def __init__(self, context: Context) -> None:
        if context.options:
            raise ConfigError("protocol 'memory' has no options")
        self._name = uuid.uuid4().hex

    async def listen(self, accept: Accept) -> Props:
        """Becomes known to the members of this process."""
        _LISTENERS[self._name] = (asyncio.get_running_loop(), accept)
        return {"name": self._name}

    async def dial(self, address: str, endpoint: Endpoint, accept: Accept) -> None:
        """Connects to a listener of this process."""
        listener = _LISTENERS.get(str(endpoint.props.get("name", "")))
        if listener is None:
            raise ConnectionRefusedError("no such member in this process")
        loop, accept_there = listener
        near, far = MemoryLink.pair(asyncio.get_running_loop(), loop)
        try:
            loop.call_soon_threadsafe(far.open, accept_there)
        except RuntimeError:
            raise ConnectionRefusedError("the member's loop is closed") from None
        near.open(accept)

    def forked(self) -> None:
        """The child is another process: its members cannot dial the parent's."""
        _LISTENERS.pop(self._name, None)

    async def close(self) -> None:
        """Is not known any more."""
        _LISTENERS.pop(self._name, None)
