"""What an announcer is: it tells strangers of its member, and its member of them.

An announcer needs ``port``, ``open``, ``start``, ``announce``, ``reaches``, ``send`` and ``close``;
it inherits nothing. It does one of two things, or both:

- It carries datagrams: hands on what came with the address that leads back, and sends there.
- It brings hints: keeps what its member announces where others find it, and hands on what it finds
  of theirs with the address where they answer. A hint may be old: its member is asked.

Nothing in these bytes is an announcer's to understand, and nothing it brings is believed: what
comes from outside the scope is refused, and members prove by datagrams of their own that they are
there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ..model import Address
from ..wire.txt import Record

RECEIVE_BYTES = 2048
"""More than any datagram of ours: a longer one shows its true size as too large."""

READS_A_TURN = 64
"""Datagrams taken before other work of the loop gets its turn."""


def _no_addresses() -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Context:
    """What an announcer of another package is made with."""

    cluster: str
    """The name of the mesh."""
    group: str
    """Where its beacons are sent, ``"239.255.77.67:27677"``: meshes of one name but different
    groups do not meet, by no announcer.
    """
    member_id: bytes
    ttl: int
    """How far its member may be known: 0 this host, 1 this LAN, more: routed networks."""
    port: int
    """The UDP port where its member answers those who were given a hint; 0: nowhere."""
    runtime_dir: Path
    """A directory of this user's own, mode 0700."""
    addresses: Callable[[], tuple[str, ...]] = _no_addresses
    """Our IP addresses that lead to ``port`` now, the best first."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The announcer's part of ``announcer_options``."""


class AnnouncerReceiver(Protocol):
    """What an announcer pushes into, in the event loop. Made by us."""

    def datagram_received(self, data: bytes, source: Address) -> bool | None:
        """A datagram came; what is sent to ``source`` gets to who sent it. False: so many come that
        it was not looked at, so whoever can may leave further ones unread for a moment.
        """

    def datagram_refused(self, address: Address) -> None:
        """The host at ``address`` said that nobody listens there."""

    def hinted(self, hint: Record | bytes, address: Address) -> None:
        """What a member announced (the very bytes, or a record of them) was found, and by it the
        member answers at ``address``. To be said again when it is found again, each time with
        another one of its addresses if there are several; who is known is not asked.
        """

    def vanished(self, hint: Record | bytes) -> None:
        """What a member announced was taken back: its last bytes, or a record of them."""

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
        """Tells everybody within the scope: about once a heartbeat, at each change, and when the
        member leaves. Never blocks; no more than 1,200 bytes.
        """

    def reaches(self, address: Address) -> bool:
        """Whether ``send`` is the way to an address."""

    def send(self, data: bytes, address: Address) -> None:
        """Sends a datagram to one address. Never blocks."""

    def close(self) -> None:
        """Stops to receive, and takes back what it keeps of its member. Idempotent."""
