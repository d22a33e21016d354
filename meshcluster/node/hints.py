"""Hints: what records say of members, which may be long out of date.

A hint makes its address one to be probed, as a beacon does; but nothing came from there, so it is
no sign of life, moves nobody, and ends no membership.
"""

from __future__ import annotations

from ..config import ClusterConfig
from ..errors import DecodeError
from ..model import Address, Identity, member_key
from ..security.keyring import Keyring
from ..wire import codec
from ..wire.frames import Beacon, Leave
from ..wire.txt import Record, cluster_word, record_of
from .counters import Counters
from .discovery import Discovery
from .guard import Guard
from .membership import Membership
from .views import Views


class Hints:
    """Takes hints for a node. What a probe proves, ``Discovery`` learns."""

    def __init__(
        self, identity: Identity, config: ClusterConfig, *, peers: Membership, views: Views,
        discovery: Discovery, counters: Counters, keyring: Keyring, guard: Guard | None,
    ) -> None:  # fmt: skip
        self._identity = identity
        self._config = config
        self._cluster = cluster_word(config.cluster)
        self._peers = peers
        self._views = views
        self._discovery = discovery
        self._counters = counters
        self._keyring = keyring
        self._guard = guard

    def heard(self, hint: Record | bytes, address: Address, now: float) -> None:
        """A record, or what a member once announced, says who answers at an address."""
        if isinstance(hint, bytes):
            beacon = self._announced(hint)
            if isinstance(beacon, Leave):
                self._gone(beacon.id, beacon.boot, now)
            if not isinstance(beacon, Beacon):
                return
            hint = record_of(beacon, "", port=address[1], ttl=self._config.ttl)
            ours = hint.cluster == self._cluster
        elif hint.key_id:
            ours = self._keyring.find(hint.key_id) is not None
        else:
            ours = hint.cluster == self._cluster and not self._keyring.required
        if ours:
            self._hinted(hint, address, now)
        else:
            self._counters.count("hints: of another cluster, or another secret")

    def _announced(self, data: bytes) -> Beacon | Leave | None:
        """What such bytes say of their member; whatever else they are is counted."""
        if self._guard is not None:
            opened = self._guard.hint(data)
            if opened is None:
                return None
            data = opened
        try:
            if len(data) > self._config.limits.datagram_bytes:
                raise DecodeError("oversized")
            datagram = codec.decode_datagram(data)
        except DecodeError as error:
            self._counters.count(f"hints: {str(error).split(':')[0]}")
            return None
        if isinstance(datagram, Beacon | Leave):
            return datagram
        self._counters.count("hints: of no member")
        return None

    def _hinted(self, hint: Record, address: Address, now: float) -> None:
        if not self._discovery.scope.covers(address[0]):
            self._counters.count("hints: from outside the scope")
        elif hint.id != self._identity.id:
            self._look(hint, address, now)

    def _look(self, hint: Record, address: Address, now: float) -> None:
        key = member_key(hint.id, hint.boot)
        peer = self._peers.get(key)
        if peer is None:
            if not self._views.asks(0):  # a large mesh: others ask it, and vouch for it
                self._counters.count("hints: left to others of a large mesh")
                return
            peer = self._peers.add(hint.id, hint.boot, address, now)
        if peer.service is not None:
            if hint.digest not in (b"", peer.digest):
                self._discovery.probe(peer, now, want=True)
        elif (peer.refused is None or hint.digest not in (b"", peer.refused)) and (
            peer.probing is None
        ):
            peer.endpoints = hint.endpoints
            self._discovery.probe(peer, now, want=True, address=address)

    def vanished(self, hint: Record | bytes, now: float) -> None:
        """What told of a member was taken back: it may have left, and is asked."""
        told = self._announced(hint) if isinstance(hint, bytes) else hint
        if told is not None:
            self._gone(told.id, told.boot, now)

    def _gone(self, member_id: bytes, boot: int, now: float) -> None:
        peer = self._peers.member(member_key(member_id, boot))
        if peer is not None:
            self._discovery.probe(peer, now, want=False)
