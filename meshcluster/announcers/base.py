"""What an announcer is: it carries datagrams to a group of strangers, and to one address."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from ..model import Address
from ..wire.txt import Record

RECEIVE_BYTES = 2048
"""More than any datagram of ours: a longer one shows its true size as too large."""

READS_A_TURN = 256
"""Datagrams taken before other work of the loop gets its turn."""


class AnnouncerReceiver(Protocol):
    """What an announcer pushes into, in the event loop. Made by us."""

    def datagram_received(self, data: bytes, source: Address) -> None:
        """A datagram came."""

    def datagram_refused(self, address: Address) -> None:
        """The host at ``address`` said that nobody listens there."""

    def hinted(self, record: Record, address: Address) -> None:
        """A record was seen by which a member answers probes at ``address``."""

    def vanished(self, member_id: bytes, boot: int) -> None:
        """A record was taken back."""

    def dropped(self, reason: str) -> None:
        """Something was not taken: to be counted under its reason."""

    def known(self) -> Iterable[tuple[bytes, Address]]:
        """Id and address of every member known now."""


class Announcer(Protocol):
    """Opened once, closed once. Once open it never raises: what cannot be sent is lost.

    What ``close`` only begins is waited for by ``wait_closed``, a coroutine that may be missing.
    One that holds descriptors also has ``descriptors``; see ``meshcluster.protocols.base``.
    """

    @property
    def port(self) -> int:
        """The member's own UDP port, known once open: where it answers probes; 0: none."""

    async def open(self) -> None:
        """Gets ready; ``port`` is known afterwards.

        Raises:
            ConfigError: it cannot work here; the text says what to do.
        """

    def start(self, receiver: AnnouncerReceiver) -> None:
        """Begins to receive."""

    def announce(self, data: bytes) -> None:
        """Sends a datagram to the group."""

    def reaches(self, address: Address) -> bool:
        """Whether ``send`` is the way to an address."""

    def send(self, data: bytes, address: Address) -> None:
        """Sends a datagram to one address."""

    def close(self) -> None:
        """Stops to receive. Idempotent."""
