"""The seam between a handler's link and the node: pushes frames in, writes what is ready."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..config import FRAME_ROOM_BYTES, Limits
from ..node.links import NodeLink, State
from ..protocols.base import Buffer, Link
from ..wire.sealed import TAG_BYTES

if TYPE_CHECKING:
    from .driver import Driver


class LinkEnd:
    """What a handler's link pushes into, for one link."""

    __slots__ = ("_driver", "_large", "_small", "link", "node_link", "writable")

    def __init__(self, driver: Driver, link: Link, node_link: NodeLink, limits: Limits) -> None:
        self._driver = driver
        self._small = limits.hello_bytes + TAG_BYTES
        self._large = limits.message_bytes + FRAME_ROOM_BYTES + TAG_BYTES
        self.link = link
        self.node_link = node_link
        self.writable = True

    @property
    def limit_bytes(self) -> int:
        """What has not introduced itself may send a hello and nothing longer."""
        return self._large if self.node_link.state is State.OPEN else self._small

    def frames_received(self, frames: Sequence[Buffer]) -> None:
        self._driver.frames_received(self, frames)

    def pause_sending(self) -> None:
        self.writable = False

    def resume_sending(self) -> None:
        self.writable = True
        self._driver.pump(self)

    def link_lost(self, reason: str, *, fault: bool = False) -> None:
        self._driver.link_lost(self, reason, fault=fault)
