"""A socket pair with a ``StreamLink`` at one end: what the system takes for a frame."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from meshcluster.config import FRAME_BYTES
from meshcluster.protocols.stream import LOCAL_BUFFER_BYTES, StreamLink
from meshcluster.wire.splitter import Splitter

from .stopwatch import Stopwatch


class _Nobody:
    """What a link pushes into here."""

    limit_bytes = FRAME_BYTES

    def frames_received(self, frames: Sequence[Any]) -> None: ...
    def pause_sending(self) -> None: ...
    def resume_sending(self) -> None: ...
    def link_lost(self, reason: str, *, fault: bool = False) -> None: ...


class Cable:
    """Carries frames by real system calls."""

    def __init__(self, link: StreamLink, end: socket.socket) -> None:
        self._link = link
        self._end = end
        self._splitter = Splitter(FRAME_BYTES)

    def carry(self, frame: bytes, watch: Stopwatch, names: tuple[str, str, str]) -> None:
        """Writes, reads and cuts one frame."""
        write, read, cut = names
        frames: list[memoryview] = []
        watch.start()
        self._link.send([frame])
        watch.lap(write)
        while not frames:
            watch.start()
            count = self._end.recv_into(self._splitter.buffer())
            watch.lap(read)
            frames = self._splitter.advance(count)
            watch.lap(cut)


@asynccontextmanager
async def opened() -> AsyncIterator[Cable]:
    """A cable, for as long as it is used."""
    ours, theirs = socket.socketpair()
    for each in (ours, theirs):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LOCAL_BUFFER_BYTES)
    ours.setblocking(False)
    loop = asyncio.get_running_loop()
    _, link = await loop.create_unix_connection(
        lambda: StreamLink(lambda link: _Nobody()), sock=ours
    )
    with theirs:
        try:
            yield Cable(link, theirs)
        finally:
            link.abort()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
