"""What an announcer is: it carries datagrams to a group of strangers, and to one address."""

from __future__ import annotations

from typing import Protocol

from ..model import Address


class AnnouncerReceiver(Protocol):
    """What an announcer pushes into, in the event loop. Made by us."""

    def datagram_received(self, data: bytes, source: Address) -> None:
        """A datagram came."""

    def datagram_refused(self, address: Address) -> None:
        """The host at ``address`` said that nobody listens there."""


class Announcer(Protocol):
    """Opened once, closed once. Once open it never raises: what cannot be sent is lost.

    One that holds descriptors also has ``descriptors``; see ``meshcluster.protocols.base``.
    """

    @property
    def port(self) -> int:
        """The member's own UDP port, known once open: where it answers probes."""

    async def open(self) -> None:
        """Gets ready; ``port`` is known afterwards.

        Raises:
            ConfigError: it cannot work here; the text says what to do.
        """

    def start(self, receiver: AnnouncerReceiver) -> None:
        """Begins to receive."""

    def announce(self, data: bytes) -> None:
        """Sends a datagram to the group."""

    def send(self, data: bytes, address: Address) -> None:
        """Sends a datagram to one address."""

    def close(self) -> None:
        """Stops to receive. Idempotent."""
