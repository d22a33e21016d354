"""Everybody we heard of: candidates (heard), members (proven, or vouched for by one) and observers
(proven, but counted nowhere), and what is known of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from ..config import Limits
from ..model import ID_BYTES, Address, Endpoint, Service, is_named, member_key
from ..security.window import Window
from ..wire.frames import Details
from .addresses import Addresses
from .crowds import Crowd
from .ledger import Ledger
from .negotiation import Experience, hosts
from .scope import rank
from .session import Session

if TYPE_CHECKING:
    from .parcels import Received
    from .suspicion import Suspicion

MOVED_SECONDS = 0.25
"""A member that is heard elsewhere so much later than at its address may have left that."""

GENUINE_SHARE = 1 / 32
"""How much one more stranger that proved itself, or did not, changes what we think of the next."""

MAX_OTHERS = 4
"""Addresses kept of a member beside the one where it answers: the latest ones."""


@dataclass(slots=True)
class Probing:
    """A probe under way: what must come back, to whom it went, since when, how often."""

    nonce: int
    address: Address
    want: bool
    since: float
    tries: int = 0
    refused: bool = False
    """Its endpoints refuse links: if it does not answer it is gone."""


class Peer:
    """One run of another member. ``service`` is set while it is a member."""

    __slots__ = (
        "_address",
        "_experience",
        "_probing",
        "authenticated",
        "beaconed_at",
        "challenge",
        "challenged_at",
        "counted",
        "details",
        "digest",
        "direct_at",
        "elsewhere",
        "elsewhere_at",
        "endpoints",
        "flapped_at",
        "flaps",
        "gone",
        "grouped_at",
        "heard_at",
        "key",
        "key_id",
        "knows",
        "lag",
        "ledger",
        "local",
        "met_at",
        "number",
        "others",
        "parcels",
        "proven",
        "reached_at",
        "reason",
        "refused",
        "service",
        "sessions",
        "sighted",
        "sighted_at",
        "suspicion",
        "told",
        "viewed_at",
        "vouched",
        "where",
        "wider",
        "window",
    )

    def __init__(self, member_id: bytes, boot: int, address: Address, now: float) -> None:
        self.key = member_key(member_id, boot)
        self.where: Addresses | None = None
        """What is told where it is, while it is in the table."""
        self.ledger: Ledger | None = None
        """Where its sessions count what they hold."""
        self._address = address
        self._probing: Probing | None = None
        self._stands_at(address, now)
        self.local = False
        """Proven to be on this machine: by its address, or by a link that cannot leave it."""
        self.proven = False
        """It answered us itself; otherwise a member's word is all we have, until it is used."""
        self.told = False
        """Its details are another member's word, which itself has not confirmed yet. They are not
        told on: a word does not outlive those who know better.
        """
        self.knows = 0
        """How many members it said it knows, itself included."""
        self.vouched = -1
        """Which version of its details the group was told of: once is enough."""
        self.counted: int | None = None
        """What our view's fingerprint has of it; None: it is not in there."""
        self.wider = False
        """It told us of members that are outside our scope."""
        self.viewed_at = -inf
        """When it was last told whom we know."""
        self.heard_at = now
        self.number = 0
        """Of the last beacon that was heard of it."""
        self.reason = 0
        """While it is a candidate: of the beacon for which it is asked."""
        self.lag = 0.0
        """Seconds that it said it is late with what it does."""
        self._is_missed_by_nobody(now)
        self.endpoints: Sequence[Endpoint] = ()
        self._experience: Experience | None = None
        self.details: Details | None = None
        self.digest = b""
        self.service: Service | None = None
        self.gone: Service | None = None
        """What it was when it was lost."""
        self.challenge = 0
        self.challenged_at = 0.0
        self.refused: bytes | None = None
        """Digest of the details that a hook refused; not asked again until they change."""
        self.sessions: dict[str, Session] = {}
        self.key_id = b""
        """Which key sealed what it said last; none: nothing of it was sealed yet."""
        self.authenticated = False
        """What is known of it was sealed, by itself or by those who spoke of it."""
        self.window = Window()
        """Which of its sealed datagrams came."""
        self.parcels: Received | None = None
        """Which of its parcels came (``parcels.py``)."""

    def doubt(self) -> None:
        """It seals what it says from now on: what was said in its name before may be anybody's, and
        is held against nothing that it says itself.
        """
        self.told, self.proven, self.local = True, False, False
        self.number, self.sighted, self.challenge, self.lag = 0, 0, 0, 0.0
        self.refused, self.parcels = None, None
        self._stands_at(self.address, self.grouped_at)

    def _is_missed_by_nobody(self, now: float) -> None:
        self.sighted = 0
        """The highest beacon that others say they heard of it."""
        self.sighted_at = -inf
        """When another member last said that it is alive."""
        self.suspicion: Suspicion | None = None
        self.flaps = 0.0
        """How often it was suspected, the older the less; and when last."""
        self.flapped_at = now

    def _stands_at(self, address: Address, now: float) -> None:
        """When it was heard there, and where else."""
        self.reached_at = -inf
        """When it was last heard from ``address`` itself."""
        self.others: tuple[str, ...] = ()
        """Further IP addresses that its beacons came from: worth dialling, not proven."""
        self.elsewhere = address
        self.elsewhere_at = -inf
        """Where a beacon of it came from that was not ``address``, and when the last one did."""
        self.grouped_at = now
        """When it was last heard on the group; at first it is given time for that."""
        self.beaconed_at = -inf
        """When it was last heard there from ``address`` itself."""
        self.direct_at = -inf
        """When it last sent us alone what is for the group: it does not hear us there."""
        self.met_at = -inf
        """When it was last probed by UNIX socket beside ``address``."""

    @property
    def id(self) -> bytes:
        """Of the member, whichever run of it."""
        return self.key[:ID_BYTES]

    @property
    def boot(self) -> int:
        """Of this run."""
        return int.from_bytes(self.key[ID_BYTES:])

    @property
    def address(self) -> Address:
        """Its own datagram socket, where it answers probes."""
        return self._address

    @address.setter
    def address(self, address: Address) -> None:
        before, self._address = self._address, address
        if before != address:
            self._moved(before)

    @property
    def probing(self) -> Probing | None:
        """The probe of it that is under way."""
        return self._probing

    @probing.setter
    def probing(self, probing: Probing | None) -> None:
        before, self._probing = self._probing, probing
        self._moved(before.address if before is not None else self._address)

    @property
    def experience(self) -> Experience:
        """Which of its endpoints failed lately; of thousands most are never dialled."""
        if self._experience is None:
            self._experience = Experience()
        return self._experience

    @property
    def places(self) -> set[Address]:
        """Where it answers, and where it is asked."""
        return {self._address} if self._probing is None else {self._address, self._probing.address}

    def _moved(self, before: Address) -> None:
        if self.where is None:
            return
        places = self.places
        if before not in places:
            self.where.remove(self, before)
        for address in places:
            self.where.add(self, address)

    def proved_local(self, local: bool) -> None:
        """It answered, from this machine or not; what others said of that is forgotten."""
        self.local = local or (self.local and self.proven)
        self.proven = True

    def answered_from(self, source: Address, *, local: bool, asked: bool = False) -> None:
        """It answers at ``source``. A member's IP address gives way to no name here, and to
        a lesser one only if it was asked there: heard by both, it would move to and fro.
        """
        self.proved_local(local)
        self.window.is_new = True
        if self.service is None or is_named(self.address):
            self.address = source
        elif not is_named(source) and (asked or rank(source[0]) >= rank(self.address[0])):
            self.address = source

    def heard_elsewhere(self, source: Address, now: float) -> None:
        """Its beacon came from elsewhere than ``address``."""
        if is_named(source):
            return
        self.elsewhere, self.elsewhere_at = source, now
        if source[0] not in self.others:
            self.others = (source[0], *self.others)[:MAX_OTHERS]

    @property
    def shown(self) -> bool:
        """It answered us itself, and by datagram if it seals those: nobody can have kept for long
        what comes with a later number.
        """
        return self.proven and (self.window.begun or not self.key_id)

    def left_meanwhile(self, since: float) -> str:
        """Where else it was heard, but not ``since``: links there were opened while it was there
        for a moment. Told once.
        """
        if not -inf < self.elsewhere_at < since:
            return ""
        self.elsewhere_at = -inf
        return self.elsewhere[0]

    @property
    def whereabouts(self) -> Address:
        """Where it is asked: where it answered, unless it is heard elsewhere since. (Its beacons
        go out on all networks at once.)
        """
        moved = self.elsewhere_at > self.reached_at + MOVED_SECONDS
        return self.elsewhere if moved else self.address

    def speaks_from(self, source: Address, *, here: bool) -> bool:
        """Whether its datagrams come from there (``here``: from this machine). All its networks see
        one port of it, and it may have heard us first in another one than we heard it.
        """
        if source == self.address or source[1] != self.address[1]:
            return source == self.address
        said = (ip for endpoint in self.endpoints for ip in hosts(endpoint))
        return (self.local and here) or source[0] in said

    def is_as_before(self, digest: bytes, number: int, source: Address) -> bool:
        """Whether a beacon with these only says that it, whom nobody misses, is still there."""
        return (
            digest == self.digest
            and number > self.number
            and source == self._address
            and self.service is not None
            and self.suspicion is None
            and not (self.told or self.sessions)
            and self.elsewhere_at == -inf
        )

    def describe(self, details: Details, digest: bytes) -> None:
        """Takes over what the member says of itself."""
        self.details = details
        self.digest = digest
        self.endpoints = details.endpoints
        if self._experience is not None:
            self._experience.keep(details.endpoints)

    @property
    def observer(self) -> bool:
        """It takes no part: nobody is told of it."""
        return self.details is not None and self.details.observer

    @property
    def state(self) -> str:
        """See ``model.Standing``."""
        if self.service is None:
            return "gone"
        if self.suspicion is not None:
            return "suspect"
        return "alive" if self.proven else "told"

    @property
    def latest(self) -> int:
        """The highest number of its beacons that we or others heard."""
        return max(self.number, self.sighted)

    @property
    def fingerprint(self) -> int:
        """Its part in the fingerprint of a view: of its run and of what it says of itself."""
        return int.from_bytes(self.key[:8]) ^ self.boot ^ int.from_bytes(self.digest)

    def session(self, lane: str, limits: Limits) -> Session | None:
        """The session of a lane, made at first use; None when it has too many (any thread)."""
        session = self.sessions.get(lane)
        if session is None and len(self.sessions) < limits.lanes:
            session = self.sessions.setdefault(lane, Session(self, lane, limits))
        return session


class Membership:
    """The table of peers, bounded. Iteration is over the members, in the order of arrival.

    ``closed``: nobody is heard who has none of our keys.
    """

    def __init__(self, limits: Limits, *, closed: bool = False) -> None:
        self._limits = limits
        self.ledger = Ledger()
        """Of the sessions with all of them."""
        self._closed = closed
        self._all: dict[bytes, Peer] = {}
        """Whoever is in none of the next two is a candidate."""
        self._members: dict[bytes, Peer] = {}
        self._observers: dict[bytes, Peer] = {}
        self._strangers: Crowd[bytes] = Crowd()
        """The candidates."""
        self._genuine = 1.0
        self.evict: Callable[[Peer], None] = self.forget
        """Called with a candidate for which there is no room any more; must forget it."""
        self._named = Addresses()
        """Members by name."""
        self._places = Addresses()

    def get(self, key: bytes) -> Peer | None:
        """The peer of that key, whatever it is."""
        return self._all.get(key)

    def member(self, key: bytes) -> Peer | None:
        """The member or observer of that key (any thread)."""
        return self._members.get(key) or self._observers.get(key)

    def hear(self, member_id: bytes, boot: int, source: Address, now: float) -> Peer:
        """The peer with this identity, a new candidate if need be."""
        peer = self._all.get(member_key(member_id, boot))
        return peer or self.add(member_id, boot, source, now)

    def add(self, member_id: bytes, boot: int, source: Address, now: float) -> Peer:
        """A new candidate, where nobody has this identity. Where there are too many, the oldest of
        the source that has the most gives way.
        """
        while len(self._strangers) >= self._limits.candidates:
            self.evict(self._all[self._strangers.gives_way()])
        peer = Peer(member_id, boot, source, now)
        self._strangers.add(peer.key, source[0])
        peer.authenticated = self._closed
        self._take_in(peer)
        return peer

    def _take_in(self, peer: Peer) -> None:
        self._all[peer.key] = peer
        peer.where = self._places
        peer.ledger = self.ledger
        for address in peer.places:
            self._places.add(peer, address)

    def admit(self, peer: Peer) -> bool:
        """Makes a candidate a member or an observer; False when the table is full."""
        table, limit = self._members, self._limits.members
        if peer.observer:
            table, limit = self._observers, self._limits.observers
        if len(table) >= limit:
            return False
        self._take_in(peer)
        self._strangers.remove(peer.key)
        self._genuine += (1.0 - self._genuine) * GENUINE_SHARE
        table[peer.key] = peer
        if table is self._members and peer.details is not None:
            self._named.add(peer, peer.details.name)
        return True

    def forget(self, peer: Peer) -> None:
        """Takes a peer out of the table."""
        self._all.pop(peer.key, None)
        self._strangers.remove(peer.key)
        peer.where = None
        for address in peer.places:
            self._places.remove(peer, address)
        self._observers.pop(peer.key, None)
        if self._members.pop(peer.key, None) is not None:
            self._unname(peer)

    def _unname(self, peer: Peer) -> None:
        if peer.details is not None:
            self._named.remove(peer, peer.details.name)

    def rename(self, peer: Peer, details: Details) -> None:
        """A member is not whom others said it was."""
        self._unname(peer)
        self._named.add(peer, details.name)

    def twin(self, peer: Peer, name: str, host: str) -> Peer | None:
        """Another member with the same name on the same host, or None."""
        for other in self._named.at(name):
            if other is not peer and other.details is not None and other.details.host == host:
                return other
        return None

    def at(self, address: Address) -> tuple[Peer, ...]:
        """The peers that answer, or should answer, at an address."""
        return self._places.at(address)

    def is_member_at(self, address: Address) -> bool:
        """Whether a member (or observer) answers at an address."""
        for peer in self._places.at(address):
            if peer.service is not None:
                return True
        return False

    def unheeded(self, by: Peer, subject: bytes) -> str:
        """Why a member's word about another one (or about several) is not taken; empty: it is."""
        if by.observer:
            return "observers"
        return "the unsealed, of one who seals" if self.outranks(subject, by) else ""

    def outranks(self, key: bytes, by: Peer) -> bool:
        """Whether one who seals is spoken of by one who does not."""
        peer = self._all.get(key)
        return peer is not None and bool(peer.key_id) and not by.key_id

    def suspects(self) -> list[Peer]:
        """Members that are missed."""
        return [peer for peer in self._members.values() if peer.suspicion is not None]

    def observers(self) -> list[Peer]:
        """Those who take no part."""
        return list(self._observers.values())

    def linkable(self) -> Iterator[Peer]:
        """Members and observers: everybody who may have sessions with us."""
        return iter((*self._members.values(), *self._observers.values()))

    @property
    def strangers(self) -> int:
        """How many candidates there are."""
        return len(self._strangers)

    def was_forged(self) -> None:
        """A candidate was asked, and nobody answered."""
        self._genuine -= self._genuine * GENUINE_SHARE

    @property
    def newcomers(self) -> int:
        """How many of the candidates will be members, if they are as those before them were."""
        return round(len(self._strangers) * self._genuine)

    def __iter__(self) -> Iterator[Peer]:
        return iter(self._members.values())

    def __len__(self) -> int:
        return len(self._members)
