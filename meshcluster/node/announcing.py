"""Announcements: to the group, and by unicast to the members that the group does not reach.

Where multicast does not work (a cloud, a VPN, some wireless networks) members know each other by
seeds, mDNS or the words of others, and no beacon would ever come. Who has not heard a member on
the group for a few intervals takes it that the group carries nothing between them, and tells that
member alone what it tells everybody. So changes, goodbyes and views travel there as well. Where
multicast works nothing is sent twice.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ..model import Address, is_named
from ..wire import codec
from ..wire.frames import Beacon, Datagram, DirectBeacon, Solicit
from .effects import Announce, Effect, SendDatagram
from .membership import Membership, Peer

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

    def announce(self, datagram: Datagram, now: float) -> None:
        """Tells the group, and those whom it does not reach."""
        self._effects.append(Announce(codec.encode_datagram(datagram)))
        if isinstance(datagram, Solicit):
            return  # who is known need not be asked who it is
        interval = self._interval()
        addresses = [p.address for p in self._peers if now > p.grouped_at + _patience(p, interval)]
        if addresses:
            data = codec.encode_datagram(_direct(datagram))
            self._effects += [SendDatagram(data, address) for address in addresses]

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


def _patience(peer: Peer, interval: float) -> float:
    """Seconds after which a member should have been heard on the group."""
    heartbeat = peer.details.heartbeat_seconds if peer.details is not None else 0.0
    return SILENT_INTERVALS * max(interval, heartbeat)


def _direct(datagram: Datagram) -> Datagram:
    """A beacon says that it is sent to one alone, so that nobody takes it for the group's."""
    if isinstance(datagram, Beacon):
        return DirectBeacon(*msgspec.structs.astuple(datagram))
    return datagram
