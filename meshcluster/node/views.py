"""How the members of a large mesh learn of each other without each asking each.

Up to ``DIRECT_PROOFS`` members everybody proves everybody. Beyond that a few prove a newcomer and
vouch for it to the group, and it fetches whom they know over a link. Who missed a word sees in the
beacons that others have another view, and compares with one of them, until nothing new comes.
A word is only ever taken from a member, and only until that of whom it speaks is used: its own
answer to the first dial or probe then proves it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from random import Random

from ..config import Limits
from ..model import Address, Identity, ip_of, member_key, unix_address
from ..wire import codec
from ..wire.frames import Datagram, Details, Entry, View, ViewRequest, Vouch
from .links import Links
from .membership import Membership, Peer
from .schedule import Schedule
from .scope import Scope, is_loopback
from .session import Session

DIRECT_PROOFS = 64
"""In a mesh of up to so many members each proves each: 3 N (N - 1) / 2 datagrams in all."""

BEACONS_A_SECOND = 100.0
"""Of all members together; beyond as many members their intervals grow."""

LOST_SECONDS, LOST_INTERVALS = 10.0, 3.0
"""How long others may still believe in a member that we know is gone, at least: they probe it when
it misses a heartbeat, and tell nobody of it whom they have not heard themselves.
"""

PROVERS = 8.0
"""How many members of a larger mesh ask a newcomer, on average."""

VOUCH_SECONDS = 0.4
"""Who vouches waits up to this long and does not where another one did: about one does."""

FIRST_LOOK_SECONDS = 0.05
LOOK_SECONDS = (0.2, 60.0)
"""Between two comparisons of views: short while they bring news, doubled when they do not."""

ANSWER_SECONDS = 0.1
"""Between two answers to one member: to ask costs little, to answer much."""

VIEWS_KEPT = 16
"""A beacon may have been on its way while our view changed: the last views are no difference."""

DIFFERING = 8
"""So many beacons in a row tell of other views: it is we who miss something. Were it the other one,
all members would ask it.
"""

ALIKE = 3
"""So many in a row tell of ours: there is nothing to compare."""

CATCH_UP_SECONDS = 0.3
"""Who knows fewer members than another one, in a mesh where each proves each, gives it so long:
where multicast works they are known by then, elsewhere they are fetched. Who was given seeds takes
it that it does not work, and waits less.
"""

NAMED_BYTES = 32
ENTRIES_A_FRAME = 256
DETAILS_A_FRAME = 256 * 1024
"""Bytes: a frame also has the names of all members, 512 KiB at most."""

VIEW_KEY = ("view", None)
VOUCH_KEY = ("vouch", None)

Proved = Callable[[Peer, Details, float], None]


class Views:
    """The view of one member, and what it tells others of it."""

    def __init__(
        self, identity: Identity, cluster: str, limits: Limits, *, peers: Membership,
        links: Links, random: Random, schedule: Schedule,
        vouched: Proved, probe: Callable[[Peer, float], None],
        forget: Callable[[Peer, float], None], scope: Scope, seeded: bool,
        announce: Callable[[Datagram, float], None],
    ) -> None:  # fmt: skip
        self._identity = identity
        self._cluster = cluster
        self._limits = limits
        self._peers = peers
        self._links = links
        self._random = random
        self._schedule = schedule
        self._vouched = vouched
        self._probe = probe
        self._forget = forget
        self._scope = scope
        self._tellable = scope.tellable
        self._announce = announce
        self._catch_up = FIRST_LOOK_SECONDS if seeded else CATCH_UP_SECONDS
        self._print = 0
        """The fingerprints of those that are told of and our own, combined by exclusive or: order
        is no matter.
        """
        self._counted = 0
        self._recent: deque[int] = deque(maxlen=VIEWS_KEPT)
        self._vouching: dict[bytes, Peer] = {}
        self._lost: OrderedDict[bytes, float] = OrderedDict()
        self._heard: OrderedDict[bytes, tuple[bytes, str, float]] = OrderedDict()
        """What strangers said whom we left to others to ask: the digest of their details, from
        where, and until when we count as having heard them: who vouches for the same of them by
        then is not all the proof we have.
        """
        self._differing = 0
        """Beacons in a row that told of another view."""
        self._wait = LOOK_SECONDS[0]
        self._partner: Peer | None = None
        self._catching_up = False
        """The next comparison is only meant to bring members of whom we know fewer."""
        self._rested_at = 0.0
        self._alike = 0
        """Beacons in a row that told of ours."""

    # --- our view ----------------------------------------------------------------------------

    def interval(self, heartbeat_seconds: float) -> float:
        """Seconds between two beacons of one member: the whole mesh sends no more than a bound."""
        return max(heartbeat_seconds, self.known / BEACONS_A_SECOND)

    @property
    def known(self) -> int:
        """How many members we know, ourselves included."""
        return len(self._peers) + 1

    @property
    def known_beyond(self) -> int:
        """How many of them, ourselves included, may be told of beyond this host (at ``ttl=0``: all
        of them): of these our beacons speak, for others hear them who know no more.
        """
        return self._counted + 1

    def known_to(self, address: str) -> int:
        """How many members we know, for one who asks from an address."""
        return self.known if is_loopback(address) else self.known_beyond

    @property
    def fingerprint(self) -> int:
        """Equal for members who know the same members with the same details, where these may be
        told of beyond this host.
        """
        return self._print

    @property
    def large(self) -> bool:
        """Whether a member's word is taken."""
        return len(self._peers) >= DIRECT_PROOFS

    def toggle(self, fingerprint: int) -> None:
        """Puts a member's fingerprint into our view's, or takes it out."""
        self._recent.append(self._print)
        self._print ^= fingerprint

    def count(self, peer: Peer) -> None:
        """Puts a member into our view's fingerprint as it is now, or takes it out."""
        service = peer.service
        told = service is not None and self._tellable(service.address, False)
        counted = peer.fingerprint if told else None
        if counted != peer.counted:
            self._counted += (counted is not None) - (peer.counted is not None)
            self.toggle((peer.counted or 0) ^ (counted or 0))
            peer.counted = counted

    def entered(self, peer: Peer, now: float) -> None:
        """A member was admitted."""
        self.count(peer)
        self._lost.pop(peer.key, None)
        if peer.proven and not peer.told:
            self.vouch_for(peer, now)
        if len(self._peers) == DIRECT_PROOFS:  # the mesh has grown large under us
            self._look_on(now)

    def left(self, peer: Peer, now: float) -> None:
        """A member left or died: nobody's word brings this run of it back, for a while."""
        self.count(peer)
        self._vouching.pop(peer.key, None)
        self._heard.pop(peer.key, None)
        if not self.large:
            return  # nobody's word is taken anyway
        lost = self._lost
        heartbeat = peer.details.heartbeat_seconds if peer.details is not None else 0.0
        lost[peer.key] = now + max(LOST_SECONDS, LOST_INTERVALS * self.interval(heartbeat))
        while len(lost) > self._limits.candidates or next(iter(lost.values())) <= now:
            lost.popitem(last=False)

    def asks(self, known: int) -> bool:
        """Whether we ask a stranger from a mesh of ``known``: in a large one a few do."""
        size = max(known, len(self._peers) + self._peers.newcomers + 1)
        return size <= DIRECT_PROOFS or self._random.random() < PROVERS / size

    def heard_stranger(self, key: bytes, digest: bytes, source: Address, now: float) -> None:
        """A stranger announced itself whom we do not ask."""
        self._heard[key] = (digest, source[0], now + LOST_SECONDS)
        if len(self._heard) > self._limits.candidates:
            self._heard.popitem(last=False)

    # --- vouching ----------------------------------------------------------------------------

    def vouch_for(self, peer: Peer, now: float) -> None:
        """A member proved itself to us, or proved a change: the others may take our word."""
        version = peer.details.version if peer.details is not None else 0
        if not self.large or peer.vouched >= version:
            return
        self._vouching[peer.key] = peer
        if VOUCH_KEY not in self._schedule:
            self._schedule.set(VOUCH_KEY, now + VOUCH_SECONDS * self._random.random())

    def send_vouches(self, now: float) -> None:
        """Tells everybody for whom nobody else has vouched meanwhile."""
        entries = []
        for peer in self._vouching.values():
            entry = self._entry(peer)
            if entry is not None:
                entries.append(entry)
                peer.vouched = entry.details.version
        self._vouching.clear()
        for vouch in vouches(self._identity, self._cluster, entries, self._limits.datagram_bytes):
            self._announce(vouch, now)

    def heard_vouch(self, vouch: Vouch, by: Peer, now: float) -> None:
        """A member vouches for others."""
        for entry in vouch.members:
            key = member_key(entry.id, entry.boot)
            peer = self._peers.get(key)
            if peer is not None and not peer.told and peer.details == entry.details:
                peer.vouched = entry.details.version  # no need to say it again
                self._vouching.pop(key, None)
            self._take(entry, key, peer, by, now)

    # --- comparing ---------------------------------------------------------------------------

    def look_soon(self, peer: Peer, known: int, now: float) -> None:
        """A member that just proved itself knows ``known``: fetch them if that is many more, unless
        they come by themselves meanwhile, as when thousands start together.
        """
        peer.knows = known
        ours = self.known_to(peer.address[0])
        if known > DIRECT_PROOFS and known > ours + known // 8:
            self._partner, self._catching_up = peer, True
            self._set_look(now + FIRST_LOOK_SECONDS * self._random.random())
        elif ours < known <= DIRECT_PROOFS and now >= self._rested_at:
            if VIEW_KEY not in self._schedule:
                self._partner, self._catching_up = peer, True
                self._set_look(now + self._catch_up * (1 + self._random.random()))

    def heard_view(
        self, peer: Peer, known: int, fingerprint: int, now: float, *, direct: bool
    ) -> None:
        """A member's beacon tells of its view. In a small mesh the members that everybody hears
        are proven by that; there only a ``direct`` beacon, which not everybody gets, says much.

        Who keeps to this host knows nobody beyond it, and who has another ``ttl`` than we knows
        whom we may not: their views differ for ever, so they are no reason to compare.
        """
        peer.knows = known
        if peer.counted is None or (peer.wider and not direct):
            return
        if fingerprint == self._print:
            self._wait = LOOK_SECONDS[0]
            self._differing = 0
            self._alike += 1
            if self._alike >= ALIKE and not self._catching_up:
                self._schedule.cancel(VIEW_KEY)  # what we missed came by the words of others
            return
        if known <= DIRECT_PROOFS and not direct:
            return
        if fingerprint in self._recent:
            return
        self._alike = 0
        self._differing += 1
        if self._differing >= DIFFERING and now >= self._rested_at:
            self._partner, self._catching_up = peer, False
            self._look_on(now)

    def _look_on(self, now: float) -> None:
        if VIEW_KEY not in self._schedule and now >= self._rested_at:
            self._set_look(now + self._pause())

    def _set_look(self, when: float) -> None:
        self._schedule.set(VIEW_KEY, when)

    def _pause(self) -> float:
        return self._wait * (1 + 2 * self._random.random())

    def look(self, now: float) -> None:
        """Asks a member whom it knows."""
        peer, self._partner = self._partner, None
        catching_up, self._catching_up = self._catching_up, False
        if catching_up and (peer is None or peer.knows <= self.known_to(peer.address[0])):
            return  # they came by themselves
        if peer is None or peer.service is None:
            peer = self._random.choice(tuple(self._peers)) if len(self._peers) else None
            if peer is None or not self._links.route(peer):
                return  # the next beacon that shows another view brings us here again
        session = peer.session("", self._limits)
        if session is not None:
            self._rest(now)
            self._links.post(session, ViewRequest(self._named(peer)), now)

    def _rest(self, now: float) -> None:
        """Until news come, comparisons become rarer."""
        self._differing = 0
        self._rested_at = now + self._wait
        self._wait = min(2 * self._wait, LOOK_SECONDS[1])

    def _named(self, asked: Peer) -> bytes:
        tellable, local = self._tellable, asked.local
        return b"".join(
            [
                peer.key + peer.digest
                for peer in self._peers
                if peer is not asked and tellable(peer.address[0], local)
            ]
        )

    def requested(self, request: ViewRequest, session: Session, now: float) -> None:
        """Answers with whom the asker did not name, and asks for whom we do not know."""
        asker = session.peer
        named = _cut(request.keys)
        answer = [
            entry
            for peer in self._peers
            if peer is not asker and peer.key + peer.digest not in named
            if (entry := self._entry(peer, asker)) is not None
        ]
        get, own = self._peers.get, self._identity.key
        unknown = [
            name
            for name in named
            if name[:24] != own and ((p := get(name[:24])) is None or p.service is None)
        ]
        self._answer(session, answer, b"".join(unknown), now)

    def answered(self, view: View, session: Session, now: float) -> None:
        """Takes in whom another member knows; tells it of those it does not."""
        news, by = 0, session.peer
        by.wider = by.wider or not all(self._in_scope(entry, by) for entry in view.members)
        for entry in view.members:
            if self._fits(entry.details):
                key = member_key(entry.id, entry.boot)
                news += self._take(entry, key, self._peers.get(key), by, now)
        if news:
            self._wait = LOOK_SECONDS[0]
            self._rested_at = now
            self._look_on(now)
        if view.unknown:
            wanted = {name[:24] for name in _cut(view.unknown)}
            peers = [p for key in sorted(wanted) if (p := self._peers.member(key)) is not None]
            entries = [e for p in peers if (e := self._entry(p, session.peer)) is not None]
            self._answer(session, entries, b"", now)

    def _answer(self, session: Session, entries: list[Entry], unknown: bytes, now: float) -> None:
        if (not entries and not unknown) or now < session.peer.viewed_at + ANSWER_SECONDS:
            return
        session.peer.viewed_at = now
        for some in _frames_of(entries):
            self._links.post(session, View(some, unknown), now)
            unknown = b""

    # --- a word ------------------------------------------------------------------------------

    def _entry(self, peer: Peer, to: Peer | None = None) -> Entry | None:
        """What we say of a member, if it may be told and we have it from itself."""
        if peer.details is None or peer.service is None or peer.observer or peer.told:
            return None
        if not self._tellable(peer.address[0], to is not None and to.local):
            return None
        return Entry(peer.id, peer.boot, ip_of(peer.address), peer.details)

    def _take(self, entry: Entry, key: bytes, peer: Peer | None, by: Peer, now: float) -> bool:
        """Takes a member's word for another one; True when that is new to us."""
        if self._peers.outranks(key, by):
            return False
        if peer is not None and peer.service is not None:
            self._take_change(peer, entry.details, by, now)
            return False
        if key == self._identity.key or not self._credible(entry, by):
            return False
        peer = peer or self._peers.add(entry.id, entry.boot, _address_of(entry), now)
        if not self._takes_word_of(by):
            self._probe(peer, now)
            return False
        if self._lost.get(key, now) <= now and peer.refused != codec.digest(entry.details):
            peer.local = peer.local or (by.local and self._scope.is_own(entry.address))
            digest, source, until = self._heard.pop(key, (b"", "", 0.0))
            self._vouched(peer, entry.details, now)
            if now < until and (digest, source) == (peer.digest, entry.address):
                peer.told = False  # we have heard it ourselves
        if peer.service is None and peer.probing is None:
            self._forget(peer, now)
        return peer.service is not None

    def _takes_word_of(self, member: Peer) -> bool:
        """Whether the mesh is large, as far as we or that member know: a newcomer knows few."""
        return self.large or member.knows > DIRECT_PROOFS

    def _take_change(self, peer: Peer, details: Details, by: Peer, now: float) -> None:
        """A member's word that another one says something new of itself."""
        known = peer.details
        if known is None or details.version <= known.version:
            return
        if not self._takes_word_of(by):
            self._probe(peer, now)
        else:
            self._vouched(peer, details, now)

    def _credible(self, entry: Entry, by: Peer) -> bool:
        """Whether there can be such a member, as far as one can see."""
        details = entry.details
        if details.observer:
            return False
        if details.port == 0 and not by.local:  # it has a UNIX socket only
            return False
        return self._in_scope(entry, by)

    def _in_scope(self, entry: Entry, by: Peer) -> bool:
        covered = self._scope.covers(entry.address, local=by.local)
        return covered and self._tellable(entry.address, by.local)

    def _fits(self, details: Details) -> bool:
        """Whether a member could say that much of itself. What came in a datagram it can."""
        return len(codec.encode_details(details)) <= self._limits.hello_bytes


def vouches(
    identity: Identity, cluster: str, entries: list[Entry], datagram_bytes: int
) -> Iterator[Vouch]:
    """As few as can tell of all; one member that alone is too large travels over links only."""
    count = len(entries)
    while entries:
        vouch = Vouch(cluster, identity.id, identity.boot, entries[:count])
        size = len(codec.encode_datagram(vouch))
        if size <= datagram_bytes:
            yield vouch
        elif count > 1:  # halving at worst once too often
            count = min(count - 1, max(1, count * datagram_bytes // size))
            continue
        entries = entries[count:]
        count = len(entries)


def _frames_of(entries: list[Entry]) -> Iterator[list[Entry]]:
    """The entries in runs that each fit a frame; one run at least, though it be empty."""
    size, run = 0, list[Entry]()
    for entry in entries:
        size += len(codec.encode_details(entry.details))
        if run and (size > DETAILS_A_FRAME or len(run) == ENTRIES_A_FRAME):
            yield run
            size, run = len(codec.encode_details(entry.details)), []
        run.append(entry)
    yield run


def _address_of(entry: Entry) -> Address:
    """Where a member answers of whom we were told."""
    port = entry.details.port
    return (entry.address, port) if port else unix_address(entry.id)


def _cut(names: bytes) -> dict[bytes, None]:
    """The names in a run of them, each once; what is left over at the end counts for nothing."""
    whole = len(names) - len(names) % NAMED_BYTES
    return {names[i : i + NAMED_BYTES]: None for i in range(0, whole, NAMED_BYTES)}
