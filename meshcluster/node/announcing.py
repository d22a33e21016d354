"""Announcements: to the group, and by unicast to the members that the group does not reach.

Where multicast does not work (a cloud, a VPN, some wireless networks) members know each other by
seeds, mDNS or the words of others, and no beacon would ever come. Who has not heard a member on
the group for a few intervals takes it that the group carries nothing between them, and tells that
member alone what it tells everybody. So changes, goodbyes and views travel there as well. Where
multicast works nothing is sent twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf

import msgspec

from ..model import Address, is_named
from ..wire import codec
from ..wire.frames import Beacon, Datagram, DirectBeacon, Leave, Solicit
from .effects import Announce, Effect, SendDatagram
from .membership import Membership, Peer
from .views import DIRECT_PROOFS

LOOK_INTERVALS = 0.1
"""In a large mesh all are looked at so seldom: there are many more announcements than beacons when
many die at once.
"""

SILENT_INTERVALS = 3.0
"""A member that was not heard on the group for this many of our intervals is told by unicast."""


class Announcing:
    """Sends what everybody should hear. ``interval`` gives the seconds between two beacons."""

    def __init__(
        self, peers: Membership, effects: list[Effect], interval: Callable[[], float]
    ) -> None:
        self._peers = peers
        self._effects = effects
        self._interval = interval
        self._silent: list[Peer] = []
        """Who was not reached at the last look at all of a large mesh; and when the next is."""
        self._look_at = -inf

    def announce(self, datagram: Datagram, now: float) -> None:
        """Tells the group, and those whom it does not reach."""
        self._effects.append(Announce(codec.encode_datagram(datagram)))
        if isinstance(datagram, Solicit):
            return  # who is known need not be asked who it is
        if isinstance(datagram, Leave):
            self._look_at = -inf  # nobody is to be missed
        apart = self._not_reached(now)
        if apart:
            data = codec.encode_datagram(_direct(datagram))
            self._effects += [SendDatagram(data, peer.address) for peer in apart]

    def _not_reached(self, now: float) -> list[Peer]:
        interval = self._interval()
        among: Iterable[Peer] = self._peers
        if len(self._peers) > DIRECT_PROOFS:
            if now >= self._look_at:
                self._look_at = now + LOOK_INTERVALS * interval
                self._silent = _silent(self._peers, interval, now)
            among = [peer for peer in self._silent if peer.service is not None]
        return _silent(among, interval, now)

    def heard(self, peer: Peer, beacon: Beacon, source: Address, now: float) -> None:
        """A beacon came: by the group, or to us alone."""
        if type(beacon) is Beacon:
            peer.grouped_at = now
            if source == peer.address:
                peer.beaconed_at = now
        else:
            peer.direct_at = now

    def reaches(self, peer: Peer, now: float) -> bool:
        """Whether a message to the group comes to a member from the address where it takes such:
        we hear its beacons there, and it sends us none alone, as it would if it did not hear ours.
        """
        since = now - _patience(peer, self._interval())
        return peer.beaconed_at >= since > peer.direct_at and not is_named(peer.address)


def _silent(peers: Iterable[Peer], interval: float, now: float) -> list[Peer]:
    since = now - SILENT_INTERVALS * interval  # heard later by most, without a look at each
    quiet = [peer for peer in peers if peer.grouped_at < since]
    return [peer for peer in quiet if now > peer.grouped_at + _patience(peer, interval)]


def _patience(peer: Peer, interval: float) -> float:
    """Seconds after which a member should have been heard on the group."""
    heartbeat = peer.details.heartbeat_seconds if peer.details is not None else 0.0
    return SILENT_INTERVALS * max(interval, heartbeat)


def _direct(datagram: Datagram) -> Datagram:
    """A beacon says that it is sent to one alone, so that nobody takes it for the group's."""
    if isinstance(datagram, Beacon):
        return DirectBeacon(*msgspec.structs.astuple(datagram))
    return datagram
