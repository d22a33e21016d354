"""Hosts that answer that nobody listens at an address: the process of whoever was there is gone."""

from __future__ import annotations

from collections.abc import Callable

from ..model import Address, is_unix
from .detector import Detector
from .membership import Membership
from .proof import Prober
from .schedule import Schedule

LAST_WORDS_SECONDS = 0.003
"""Whose host refuses what we send is gone, but may have said goodbye: twice so long we look."""


class Refusals:
    """Judges by them. ``probe`` asks a member."""

    def __init__(
        self, peers: Membership, prober: Prober, schedule: Schedule,
        probe: Callable[..., None], detector: Detector,
    ) -> None:  # fmt: skip
        self._peers = peers
        self._prober = prober
        self._schedule = schedule
        self._probe = probe
        self._detector = detector

    def refused(self, address: Address, now: float) -> None:
        """The host at an address answers that nobody listens there: its process is gone.

        The network's word is taken only for a probe's answer, our own kernel's always.
        """
        for peer in self._peers.at(address):
            probed = peer.probing is not None and peer.probing.address == address
            if probed and peer.whereabouts != address:
                self._prober.stop(peer)  # somebody else is there now
                self._probe(peer, now, want=True)
            elif probed or is_unix(address):
                self._schedule.set(("refused", (peer.key, True)), now + LAST_WORDS_SECONDS)

    def still(self, whose: tuple[bytes, bool], now: float) -> None:
        """What a process said last was on its way here before its host refused anything: a loop
        that was late may run its timers before it reads that, but not twice.
        """
        (key, first), peer = whose, self._peers.get(whose[0])
        if peer is not None and first:
            self._schedule.set(("refused", (key, False)), now + LAST_WORDS_SECONDS)
        elif peer is not None:
            self._detector.dead(peer, now, crashed=True)
