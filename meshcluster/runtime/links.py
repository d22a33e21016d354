"""The seam between a handler's link and the node: pushes frames in, writes what is ready."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..config import FRAME_BYTES, Limits
from ..node.links import NodeLink, State
from ..protocols.base import Buffer, Link
from ..wire.sealed import TAG_BYTES
from ..wire.split import Split

if TYPE_CHECKING:
    from .driver import Driver


class LinkEnd:
    """What a handler's link pushes into, for one link."""

    __slots__ = ("_driver", "_large", "_small", "link", "node_link", "writable")

    def __init__(self, driver: Driver, link: Link, node_link: NodeLink, limits: Limits) -> None:
        self._driver = driver
        self._small = limits.hello_bytes + TAG_BYTES
        self._large = FRAME_BYTES + TAG_BYTES
        self.link = link
        self.node_link = node_link
        self.writable = True

    @property
    def limit_bytes(self) -> int:
        """What has not introduced itself may send a hello and nothing longer."""
        return self._large if self.node_link.state is State.OPEN else self._small

    def frames_received(self, frames: Sequence[Buffer | Split]) -> None:
        self._driver.frames_received(self, frames)

    def pause_sending(self) -> None:
        self.writable = False

    def resume_sending(self) -> None:
        self.writable = True
        self._driver.pump(self)

    def link_lost(self, reason: str, *, fault: bool = False) -> None:
        self._driver.link_lost(self, reason, fault=fault)


class Closing:
    """Ends that were closed and have not said yet that they are lost."""

    def __init__(self) -> None:
        self._ends: set[LinkEnd] = set()
        self._ended = asyncio.Event()

    def add(self, end: LinkEnd) -> None:
        """One more."""
        self._ends.add(end)

    def discard(self, end: LinkEnd) -> None:
        """It is lost, whether it was closed or not."""
        self._ends.discard(end)
        self._ended.set()

    async def wait(self, seconds: float) -> None:
        """Until the last frames are written; who does not read them in time is cut off."""
        try:
            async with asyncio.timeout(seconds):
                while self._ends:
                    self._ended.clear()
                    await self._ended.wait()
        except TimeoutError:
            for end in self._ends:
                end.link.abort()
        await asyncio.sleep(0)
