"""Monitors: links that are kept open because they break at once when a process ends.

A crash is so known in milliseconds to whoever has a link to the member, who then looks: its host
refuses a new one. In a mesh of up to ``DIRECT_PROOFS`` every two members have a link; in a larger
one each member opens links to its next neighbours on the ring.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from ..config import Limits
from .links import Links
from .membership import Membership, Peer
from .ring import Ring
from .schedule import Schedule
from .views import DIRECT_PROOFS

NEIGHBOURS = 3
"""Links to so many in a large mesh. As many are opened to us: it takes the word of two (see
``detector.py``), and some may die together with a neighbour.
"""

SETTLE_SECONDS = 0.5
"""After a member came or went: who comes for a moment need not be linked, and in a mesh that
starts there is more urgent work.
"""

AT_ONCE = 8
PAUSE_SECONDS = 0.05
"""So many links are opened, then after a pause the next."""

RETRY_SECONDS = 30.0
"""A link that could not be opened is tried again with the next change, or after this."""

MONITOR_KEY = ("monitor", None)


class Monitors:
    """Keeps the links open that this member owes; the others open theirs."""

    def __init__(
        self, own: bytes, limits: Limits, *, peers: Membership, ring: Ring, links: Links,
        schedule: Schedule, random: Random,
    ) -> None:  # fmt: skip
        self._own = own
        self._limits = limits
        self._peers = peers
        self._ring = ring
        self._links = links
        self._schedule = schedule
        self._random = random
        self._left: list[bytes] = []
        self._settling = False

    def changed(self, now: float) -> None:
        """A member came or went. Where that never ends, links are opened all the same."""
        self._left.clear()
        if not self._settling:
            self._settling = True
            self._schedule.set(MONITOR_KEY, now + SETTLE_SECONDS * (1 + self._random.random()))

    def open(self, now: float) -> None:
        """Opens the next few links."""
        self._settling = False
        if not self._left:
            self._left = [peer.key for peer in self._owed() if not _linked(peer)]
        for key in self._left[:AT_ONCE]:
            peer = self._peers.member(key)
            session = peer.session("", self._limits) if peer is not None else None
            if session is not None and not session.broken:
                self._links.want(session, now)
        del self._left[:AT_ONCE]
        wait = PAUSE_SECONDS if self._left else RETRY_SECONDS * (1 + self._random.random())
        self._schedule.set(MONITOR_KEY, now + wait)

    def _owed(self) -> Iterable[Peer]:
        """Of two members of a small mesh the one with the lower key opens the link."""
        if len(self._peers) < DIRECT_PROOFS:
            return [peer for peer in self._peers if self._own < peer.key]
        found = (self._peers.member(key) for key in self._ring.next(NEIGHBOURS))
        return [peer for peer in found if peer is not None]


def _linked(peer: Peer) -> bool:
    return any(session.link or session.dial for session in peer.sessions.values())
