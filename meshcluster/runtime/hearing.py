"""What announcers push in, taken to the node at the time that it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..model import Address
from ..wire.txt import Record

if TYPE_CHECKING:
    from .driver import Driver


class Hearing:
    """The ``AnnouncerReceiver`` of a driver. In the event loop."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._node = driver.node

    def datagram_received(self, data: bytes, source: Address) -> bool:
        if not self._node.datagram_received(data, source, self._driver.time()):
            return False
        self._driver.step()
        self._driver.rearm()
        return True

    def datagram_refused(self, address: Address) -> None:
        self._node.datagram_refused(address, self._driver.time())
        self._driver.step()

    def hinted(self, hint: Record | bytes, address: Address) -> None:
        self._node.hints.heard(hint, address, self._driver.time())
        self._driver.step()

    def vanished(self, hint: Record | bytes) -> None:
        self._node.hints.vanished(hint, self._driver.time())
        self._driver.step()

    def dropped(self, reason: str) -> None:
        self._node.counters.count(reason)

    def known(self) -> Iterable[tuple[bytes, Address]]:
        """Who need not be looked for."""
        return [(peer.id, peer.address) for peer in self._node.peers]
