"""Datagrams on their way out: to all in every way, to an address in the way that reaches it."""

from __future__ import annotations

from collections.abc import Sequence

from ..announcers import Announcer
from ..node.counters import Counters
from ..node.effects import Announce, SendDatagram


class Outlets:
    """Performs what the node wants sent."""

    def __init__(self, announcers: Sequence[Announcer], counters: Counters) -> None:
        self._announcers = announcers
        self._counters = counters

    def announce(self, effect: Announce) -> None:
        """To everybody, in every way; what is near only in those that keep it on this host."""
        for announcer in self._announcers:
            if effect.near:
                announce_near = getattr(announcer, "announce_near", None)
                if announce_near is not None:
                    announce_near(effect.data)
            elif effect.near is None or not getattr(announcer, "near_only", False):
                announcer.announce(effect.data)

    def send(self, effect: SendDatagram) -> None:
        """To one address."""
        for announcer in self._announcers:
            if announcer.reaches(effect.address):
                announcer.send(effect.data, effect.address)
                return
        self._counters.count("datagrams: no way to their address")

    def perform(self, effect: object) -> None:
        """Either of these; anything else is left undone."""
        if isinstance(effect, Announce):
            self.announce(effect)
        elif isinstance(effect, SendDatagram):
            self.send(effect)
