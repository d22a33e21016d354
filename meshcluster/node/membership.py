"""Everybody we heard of: candidates (heard) and members (proven), and what is known of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

from ..config import Limits
from ..model import Address, Endpoint, Identity, Service, ip_of, is_unix, member_key
from ..wire import codec
from ..wire.frames import Details
from .session import Session


@dataclass(slots=True)
class Probing:
    """A probe under way: what must come back, to whom it went, since when, how often."""

    nonce: int
    address: Address
    want: bool
    since: float
    tries: int = 0


class Peer:
    """One run of another member. ``service`` is set while it is a member."""

    __slots__ = (
        "address",
        "boot",
        "challenge",
        "challenged_at",
        "details",
        "digest",
        "endpoints",
        "heard_at",
        "id",
        "key",
        "local",
        "met_at",
        "probing",
        "refused",
        "service",
        "sessions",
    )

    def __init__(self, member_id: bytes, boot: int, address: Address, now: float) -> None:
        self.id = member_id
        self.boot = boot
        self.key = member_key(member_id, boot)
        self.address = address
        """Its own datagram socket, where it answers probes."""
        self.local = False
        """Proven to be on this machine: by its address, or by a link that cannot leave it."""
        self.heard_at = now
        self.met_at = -inf
        """When it was last probed by UNIX socket beside ``address``."""
        self.endpoints: tuple[Endpoint, ...] = ()
        self.details: Details | None = None
        self.digest = b""
        self.service: Service | None = None
        self.probing: Probing | None = None
        self.challenge = 0
        self.challenged_at = 0.0
        self.refused: bytes | None = None
        """Digest of the details that a hook refused; not asked again until they change."""
        self.sessions: dict[str, Session] = {}

    def answered_from(self, source: Address) -> None:
        """It answers at ``source``. A member's IP address gives way to no UNIX socket: heard by
        both, it would move to and fro.
        """
        if self.service is None or is_unix(self.address) or not is_unix(source):
            self.address = source

    def describe(self, details: Details) -> None:
        """Takes over what the member says of itself."""
        self.details = details
        self.digest = codec.digest(details)
        self.endpoints = details.endpoints

    def as_service(self) -> Service:
        """The snapshot that users see, from its details."""
        details = self.details
        assert details is not None
        return Service(
            Identity(self.id, self.boot, details.name, details.host),
            tags=details.tags,
            address=ip_of(self.address),
            local=self.local,
            endpoints=details.endpoints,
            props=details.props,
        )

    def session(self, lane: str, limits: Limits) -> Session | None:
        """The session of a lane, made at first use; None when it has too many (any thread)."""
        session = self.sessions.get(lane)
        if session is None and len(self.sessions) < limits.lanes:
            session = self.sessions.setdefault(lane, Session(self, lane, limits))
        return session


class Membership:
    """The table of peers, bounded. Iteration is in the order of arrival."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._candidates: dict[bytes, Peer] = {}
        self._members: dict[bytes, Peer] = {}

    def get(self, key: bytes) -> Peer | None:
        """The peer of that key, candidate or member."""
        return self._members.get(key) or self._candidates.get(key)

    def member(self, key: bytes) -> Peer | None:
        """The member of that key (any thread)."""
        return self._members.get(key)

    def hear(self, member_id: bytes, boot: int, source: Address, now: float) -> Peer | None:
        """The peer with this identity, a new candidate if need be; None when the table is full."""
        peer = self.get(member_key(member_id, boot))
        if peer is None and len(self._candidates) < self._limits.candidates:
            peer = Peer(member_id, boot, source, now)
            self._candidates[peer.key] = peer
        return peer

    def admit(self, peer: Peer) -> bool:
        """Makes a candidate a member; False when the table is full."""
        if len(self._members) >= self._limits.members:
            return False
        self._candidates.pop(peer.key, None)
        self._members[peer.key] = peer
        return True

    def forget(self, peer: Peer) -> None:
        """Takes a peer out of the table."""
        self._candidates.pop(peer.key, None)
        self._members.pop(peer.key, None)

    def twin(self, peer: Peer, name: str, host: str) -> Peer | None:
        """Another member with the same name on the same host, or None."""
        for other in self._members.values():
            details = other.details
            if other is not peer and details and details.name == name and details.host == host:
                return other
        return None

    def at(self, address: Address) -> Iterator[Peer]:
        """The peers that answer, or should answer, at an address."""
        for peer in (*self._members.values(), *self._candidates.values()):
            if peer.address == address:
                yield peer

    def __iter__(self) -> Iterator[Peer]:
        return iter(self._members.values())

    def __len__(self) -> int:
        return len(self._members)
