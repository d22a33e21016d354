"""Snapshots shared by all members of a simulation, so that thousands of them fit."""

from __future__ import annotations

from ..model import Service
from ..node.membership import Peer
from ..node.snapshots import Snapshots
from ..wire.frames import Datagram, Details

KEPT_DATAGRAMS = 4096


class SharedSnapshots(Snapshots):
    """Decodes each datagram once, and makes each service once, however many members see it."""

    def __init__(self) -> None:
        super().__init__()
        self._datagrams: dict[bytes, Datagram] = {}
        self._digests: dict[tuple[bytes, int], bytes] = {}
        self._details: dict[tuple[bytes, int], Details] = {}
        self._services: dict[tuple[bytes, str, bool, bool, bool], Service] = {}

    def expect(self, data: bytes) -> None:
        """Decodes a datagram that many will receive."""
        if data not in self._datagrams:
            if len(self._datagrams) >= KEPT_DATAGRAMS:
                del self._datagrams[next(iter(self._datagrams))]
            self._datagrams[data] = super().datagram(data)

    def datagram(self, data: bytes) -> Datagram:
        """See ``Snapshots``; what was not expected has one receiver, and is decoded for it."""
        return self._datagrams.get(data) or super().datagram(data)

    def digest(self, peer: Peer, details: Details) -> bytes:
        """See ``Snapshots``: members of a simulation are honest about their versions."""
        key = (peer.key, details.version)
        known = self._digests.get(key)
        if known is None:
            known = self._digests[key] = super().digest(peer, details)
        return known

    def details(self, peer: Peer, details: Details) -> Details:
        """See ``Snapshots``."""
        key = (peer.key, details.version)
        known = self._details.get(key)
        if known is None:
            known = self._details[key] = super().details(peer, details)
        return known

    def service(self, peer: Peer, *, lan: bool) -> Service:
        """See ``Snapshots``."""
        key = (peer.key + peer.digest, peer.address[0], peer.local, lan, peer.authenticated)
        known = self._services.get(key)
        if known is None:
            known = self._services[key] = super().service(peer, lan=lan)
        return known
