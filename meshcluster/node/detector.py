"""The failure detector: who is missed, who is suspected, who is taken for dead.

Silence is only a reason to ask. Each member asks its next neighbours on a ring of all members, and
one more in turn, if they were not heard lately; and it asks whose beacon is overdue or whose link
broke. Who does not answer is asked by a few others as well. If none of them is answered it is a
suspect: the group is told, and whoever has heard it since says so, itself first of all. A suspect
is asked on and on, and taken for dead when nothing at all was heard of it for some time
(``suspicion.py``). Only a host's answer that the process is gone ends a member at once.

Up to ``DIRECT_PROOFS`` members each one looks for itself before it believes that another is dead;
in a larger mesh the word of two does, or of one where another one has suspected the member for a
while. So nobody is dead because one says so.

Who was stopped or starved itself does not count that time against the others.

Sources: Das, Gupta, Motivala: SWIM, DSN 2002 (asking in turn, asking through others, suspicion);
Dadgar, Phillips, Currey: Lifeguard, arXiv 1707.00788 (own slowness, time that shrinks with
confirmations). Beacons number themselves, so they are the incarnations of these papers: whoever
has heard a later beacon knows that a suspicion is out of date.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import ceil, inf, log2
from random import Random
from typing import TYPE_CHECKING

from ..config import ClusterConfig
from ..model import CRASHED, EXPIRED, UNREACHABLE, Address, Identity
from ..wire import codec
from ..wire.frames import Datagram, Dead, ProbeRequest, Sighting, Suspect
from .counters import Counters
from .effects import Effect, SendDatagram, ServiceSuspected
from .membership import Membership, Peer
from .relays import Relays
from .ring import Ring
from .schedule import Schedule
from .suspicion import CONFIRMATIONS, Suspicion
from .views import DIRECT_PROOFS

if TYPE_CHECKING:
    from .discovery import Discovery
    from .views import Views

BEACON_GAP_SECONDS = 0.05
"""Between two beacons of a member, however often it changes what it says of itself."""

LATEST_BEACON = 1.25
"""Intervals after which a beacon that was not lost has come, for all its jitter."""

OVERDUE_INTERVALS = 1.5
"""A member unheard for this many of its own intervals is asked."""

EXPIRE_INTERVALS = 6.0
"""A member is kept for as many of its intervals at least, however short ``expire_seconds`` is."""

TRIES, TRIES_MEMBERS = 3, 100
"""Who does not answer so many questions is a suspect, in a mesh of up to so many members. In one of
twice as many twice as many are asked: one question more keeps those suspected by bad luck as few.
"""

HEALTH_MOST = 8
"""A detector that finds itself slow is at most so many times more patient (Lifeguard's bound)."""

WORDS = 4
"""In a large mesh so many of those who asked a dead member in vain say that it is: two would do,
if nothing were lost.
"""

WORD_SECONDS, LAST_WORD_SECONDS = 0.3, 2.0
"""They say it again so much later, and once more."""

SIGHTINGS = 3
"""Of those who know better than a suspicion about so many say so."""

REFUTE_SECONDS = 0.25
"""Who is suspected beacons at once and again after this time, in case the first is lost."""

FLAPS = 3.0
FLAP_SECONDS = 30.0
"""Of a member that was suspected more often than ``FLAPS`` lately no more is told, until it was
quiet: what it was suspected before counts half as much after ``FLAP_SECONDS``.
"""

BEACONS_AT_ONCE = 100
"""Room for clocks and waits in counting how many beacons a member can have sent."""

ROUND_KEY = ("round", None)
REFUTE_KEY = ("refute", None)


class Detector:
    """Judges members. ``ping`` asks one by its link, ``gone`` is told of the dead, ``announce``
    tells all.
    """

    def __init__(
        self, identity: Identity, config: ClusterConfig, *, peers: Membership, random: Random,
        schedule: Schedule, effects: list[Effect], counters: Counters, views: Views,
        announce: Callable[[Datagram, float], None],
        gone: Callable[[Peer, str, float], None],
        ping: Callable[[Peer, float], None],
    ) -> None:  # fmt: skip
        self._identity = identity
        self._me = (config.cluster, identity.id, identity.boot)
        self._config = config
        self._timing = config.pace
        self._peers = peers
        self._random = random
        self._schedule = schedule
        self._effects = effects
        self._counters = counters
        self._views = views
        self._announce = announce
        self._gone = gone
        self._ping = ping
        self._discovery: Discovery
        self.ring = Ring(identity.key, random)
        self._awake_at = -inf
        """Silence before this does not count: we were not listening."""
        self._looked_at = -inf
        """When we last looked after those whose turn it was."""
        self._health = 0
        self.lag = 0.0
        """Seconds that we were late at worst, lately."""
        self.relays = Relays(random, lambda *peer: self._discovery.send_probe(*peer), self._sight)
        self._refuted_at = -inf
        self._accuser = b""
        """Who missed us last, though we live."""
        self._repeated: dict[bytes, tuple[Dead, float]] = {}
        """What is said again of whom we took for dead, and until when."""

    def connect(self, discovery: Discovery) -> None:
        """Sets that, which is made with this."""
        self._discovery = discovery

    # --- our own state -----------------------------------------------------------------------

    def overslept(self, late: float, now: float) -> None:
        """We do something ``late``. If that is much: judgement begins anew."""
        if late < self._timing.late_seconds:
            return
        self._counters.count("times we were late ourselves")
        self.lag = max(self.lag, late)
        self._awake_at = now
        self._worse()
        for peer in self._peers.suspects():
            before = peer.suspicion
            if before is not None:
                self._suspicion(peer, now, active=before.active).shown = before.shown

    def _worse(self) -> None:
        self._health = min(self._health + 1, HEALTH_MOST)

    def answered(self) -> None:
        """A question of ours was answered by who was asked, or none was needed: we hear well."""
        if self._health:
            self._health -= 1
        self.lag *= 0.5

    @property
    def patience(self) -> float:
        """How many times longer than usual we wait: we may be slow ourselves."""
        return 1.0 + self._health

    @property
    def answer_seconds(self) -> float:
        """How long an answer of a member may take."""
        return self._timing.answer_seconds * self.patience

    @property
    def tries(self) -> int:
        """How often a member is asked until it is a suspect."""
        return TRIES + max(0, ceil(log2(self._views.known / TRIES_MEMBERS)))

    def _silence(self, peer: Peer, now: float) -> float:
        """Seconds in which we could have heard of a member, and did not."""
        return now - max(peer.heard_at, peer.sighted_at, self._awake_at)

    @property
    def _each_looks(self) -> bool:
        """Whether each member looks for itself before it takes another one for dead."""
        return self._views.known <= DIRECT_PROOFS

    # --- who is asked ------------------------------------------------------------------------

    def watch_from(self, peer: Peer, now: float) -> None:
        """Begins to look after a member (or observer) that was heard just now."""
        if self._repeated.pop(peer.key, None) is not None:
            self._schedule.cancel(("dead", peer.key))
        if not peer.observer:
            self.ring.add(peer.key)
        if ROUND_KEY not in self._schedule:
            self._set_round(now)

    def forget(self, peer: Peer) -> None:
        """A member is none any more."""
        self._schedule.cancel(("suspect", peer.key))
        self._schedule.cancel(("ask", peer.key))
        peer.suspicion = None
        self.ring.remove(peer.key)

    def _bounds(self, peer: Peer) -> tuple[float, float]:
        """Seconds of silence after which a member is given up, and after which it is asked."""
        interval = self._interval(peer)
        expire = max(self._config.expire_seconds, EXPIRE_INTERVALS * interval)
        return expire, min(OVERDUE_INTERVALS * interval + peer.lag, expire / 2)

    def _interval(self, peer: Peer) -> float:
        """Seconds between two beacons of a member."""
        # Who is only told of must soon be heard, whatever was said of its heartbeat.
        details = None if peer.told else peer.details
        return self._views.interval(max((details or self._config).heartbeat_seconds, 0.01))

    def overdue(self, peer: Peer) -> float:
        """After how many seconds of silence a member is asked."""
        return self._bounds(peer)[1]

    def round(self, now: float) -> None:
        """Looks after those whose turn it is."""
        if not len(self._peers) and not self._peers.observers():
            return  # until somebody comes
        wait = self._set_round(now)
        asked = self._look_after(self.ring.next(self._timing.watched), self._lately, now)
        asked += self._look_after(self.ring.turn(1), self._lately_by_chance, now)
        calm = not asked and self._awake_at < self._looked_at
        self._looked_at = now
        if calm:  # we hear all of them, as well as an answer
            self.answered()
        interval = self._views.interval(self._config.heartbeat_seconds)
        share = 1.0 if self._each_looks else min(1.0, wait / (OVERDUE_INTERVALS * interval))
        since = now - self._soonest
        for key in self.ring.sweep(ceil(share * len(self._peers))):
            peer = self._peers.member(key)
            if peer is not None and peer.heard_at < since:
                self._sweep(peer, now)
        for peer in self._peers.observers():
            self._sweep(peer, now)

    def _look_after(
        self, keys: Iterable[bytes], lately: Callable[[Peer], float], now: float
    ) -> int:
        """Asks those of these who were not heard ``lately``; how many that are."""
        found = [peer for key in keys if (peer := self._peers.member(key)) is not None]
        silent = [peer for peer in found if self._silence(peer, now) > lately(peer)]
        for peer in silent:
            self.ask(peer, now)
        return len(silent)

    def _lately(self, peer: Peer) -> float:
        """Who was heard so many seconds ago need not be asked in its turn; nor need whose next
        beacon is only just due: that would be a question and an answer for each beacon.
        """
        lately = 0.9 * self._timing.probe_seconds
        due = LATEST_BEACON * self._interval(peer)
        return due if lately < due <= 1.75 * lately else lately

    def _lately_by_chance(self, peer: Peer) -> float:
        """The same for one who is no neighbour: in a large mesh, whose beacons are rare, it has
        neighbours with links to it.
        """
        lately = self._lately(peer)
        return lately if self._each_looks else max(lately, LATEST_BEACON * self._interval(peer))

    @property
    def _soonest(self) -> float:
        """No member is overdue sooner than after so many seconds of silence."""
        return min(OVERDUE_INTERVALS * self._views.interval(0.0), self._config.expire_seconds / 2)

    def _sweep(self, peer: Peer, now: float) -> None:
        """Looks whether a member (or observer) is overdue. In a large mesh a few ask it then, and
        who still does not hear it when it should expire.
        """
        expire, overdue = self._bounds(peer)
        silence = self._silence(peer, now)
        if silence >= (expire if self._each_looks or peer.observer else 2 * expire):
            self._gone(peer, EXPIRED, now)
        elif silence >= overdue:
            if peer.observer or peer.told or silence >= expire or self._views.asks(0):
                self.ask(peer, now)

    def _set_round(self, now: float) -> float:
        wait = self._timing.probe_seconds * self.patience * (0.9 + 0.2 * self._random.random())
        self._schedule.set(ROUND_KEY, now + wait)
        return wait

    def ask_at_last(self, key: bytes, now: float) -> None:
        """Asks a member that another one suspects."""
        peer = self._peers.member(key)
        if peer is not None and peer.suspicion is not None:
            self.ask(peer, now)

    def ask(self, peer: Peer, now: float) -> None:
        """Asks a member whether it is there."""
        self._discovery.probe(peer, now, want=False)

    # --- no answer ---------------------------------------------------------------------------

    def waits(self, peer: Peer, now: float) -> None:
        """A question to a member is repeated: it is asked by its link, and others look as well."""
        self._ping(peer, now)
        if peer.probing is None or self._views.known < 3:
            return
        request = ProbeRequest(*self._me, peer.key, peer.latest, peer.probing.nonce)
        for key in self.ring.some(self._timing.relays, without=peer.key):
            relay = self._peers.member(key)
            if relay is not None and relay.suspicion is None:
                self._send(request, relay.address)

    def unanswered(self, peer: Peer, now: float) -> None:
        """A member did not answer, however often it was asked, and nothing else was heard."""
        if now - self._awake_at < self.tries * self._timing.answer_seconds:
            self.ask(peer, now)  # when it may have answered we did not listen
        elif peer.observer:
            self._gone(peer, EXPIRED, now)
        else:
            self._suspect(peer, now)

    def _suspect(self, peer: Peer, now: float) -> None:
        if peer.suspicion is None or not peer.suspicion.active:
            self._begin(peer, now)
        elif self._worth_telling(peer.suspicion, now):
            self._tell(peer, now)
        self.ask(peer, now)
        self.waits(peer, now)

    def _worth_telling(self, suspicion: Suspicion, now: float) -> bool:
        """The first few who find out by themselves confirm it, then somebody says it each time."""
        if not suspicion.told and len(suspicion.by) < CONFIRMATIONS:
            return True
        return now - suspicion.said_at >= self._timing.probe_seconds

    def _begin(self, peer: Peer, now: float) -> None:
        """Suspects a member by ourselves."""
        others = peer.suspicion
        peer.suspicion = self._suspicion(peer, now, active=True)
        if others is None:
            self._show(peer, now)
        else:
            peer.suspicion.shown = others.shown
            peer.suspicion.by |= others.by
            peer.suspicion.dead |= others.dead
            peer.suspicion.doubted_at = others.doubted_at
            self._set_end(peer, now)
        self._tell(peer, now)

    def _show(self, peer: Peer, now: float) -> None:
        """Users hear of a suspicion, unless it is one of many of a member that comes and goes."""
        assert peer.suspicion is not None
        assert peer.service is not None
        peer.flaps = 1.0 + peer.flaps * 0.5 ** ((now - peer.flapped_at) / FLAP_SECONDS)
        peer.flapped_at = now
        if peer.flaps <= FLAPS:
            peer.suspicion.shown = True
            self._effects.append(ServiceSuspected(peer.service, True))
        else:
            self._counters.count("suspicions of a member that comes and goes, not told")

    def _suspicion(self, peer: Peer, now: float, *, active: bool) -> Suspicion:
        peer.suspicion = Suspicion(now, active=active)
        self._set_end(peer, now)
        return peer.suspicion

    def _set_end(self, peer: Peer, now: float) -> None:
        """Sets when a suspicion ends: now, where a confirmation leaves it no more time. (What was
        due earlier would look as if we were late.)
        """
        suspicion = peer.suspicion
        assert suspicion is not None
        wait = suspicion.seconds(self._views.known, self._timing.suspect_seconds)
        if not suspicion.active:  # those who ask it come to their conclusion first
            wait *= 1.5
        end = suspicion.since + wait * self.patience
        self._schedule.set(("suspect", peer.key), max(now, end))

    def _tell(self, peer: Peer, now: float) -> None:
        assert peer.suspicion is not None
        peer.suspicion.said_at, peer.suspicion.told = now, True
        self._say(Suspect(*self._me, peer.key, peer.latest), now)

    def _say(self, word: Datagram, now: float) -> None:
        """Tells the group, which does not know an observer."""
        if not self._config.observer:
            self._announce(word, now)

    def suspected_long(self, key: bytes, now: float) -> None:
        """A suspicion has lasted as long as it may."""
        peer = self._peers.member(key)
        if peer is None or peer.suspicion is None:
            return
        if peer.suspicion.active:
            self.dead(peer, now, crashed=False)
        else:  # nobody drew the conclusion: see for ourselves
            peer.suspicion.active = True
            peer.suspicion.since = now
            self._set_end(peer, now)
            self.ask(peer, now)

    def dead(self, peer: Peer, now: float, *, crashed: bool) -> None:
        """A member is dead as far as we can see: tells the others."""
        heard = peer.suspicion is not None and bool(peer.suspicion.dead)
        tells = peer.service is not None and not peer.observer and not (heard and self._each_looks)
        word = Dead(*self._me, peer.key, peer.latest, crashed)
        self._gone(peer, CRASHED if crashed else UNREACHABLE, now)
        if tells:
            self._say(word, now)
            if not self._each_looks:
                self._repeated[peer.key] = word, now + LAST_WORD_SECONDS
                self._schedule.set(("dead", peer.key), now + WORD_SECONDS)

    def refused(self, peer: Peer, now: float) -> bool:
        """Every endpoint of a member refuses links: tells whether it is dead, or may be. Who has
        answered what it was asked when its link broke has lost its listener alone.
        """
        if not peer.proven:
            self.dead(peer, now, crashed=True)
            return True
        if peer.probing is not None:
            peer.probing.refused = True
        return peer.probing is not None

    def dead_again(self, key: bytes, now: float) -> None:
        """Who did not hear that a member is dead has heard that it is missed, and waits."""
        word, until = self._repeated[key]
        self._say(word, now)
        if now < until:
            self._schedule.set(("dead", key), until + WORD_SECONDS)
        else:
            del self._repeated[key]

    def alive(self, peer: Peer, now: float) -> None:
        """A suspect was heard, or heard of."""
        if peer.suspicion is None:
            return
        if peer.service is not None and peer.suspicion.shown:
            self._effects.append(ServiceSuspected(peer.service, False))
        peer.suspicion = None
        self._schedule.cancel(("suspect", peer.key))
        if peer.probing is not None and not peer.probing.want:
            self._discovery.stop_probe(peer)

    # --- what others say ---------------------------------------------------------------------

    def _subject(self, word: Suspect | Dead | ProbeRequest | Sighting) -> Peer | None:
        """The member that another one speaks of. Of observers nobody does."""
        peer = self._peers.member(word.subject)
        return peer if peer is not None and not peer.observer else None

    def heard_suspect(self, suspect: Suspect, by: Peer, now: float) -> None:
        """Another member misses one."""
        if suspect.subject == self._identity.key:
            self._refute(by, now)
            return
        peer = self._subject(suspect)
        if peer is None:
            return
        if peer.latest > suspect.number:
            self._know_better(peer, suspect, by)
            return
        if peer.suspicion is None and self._accused(peer, now):
            wait = self._timing.answer_seconds * self._random.random()  # not all at once
            self._schedule.set(("ask", peer.key), now + wait)
        assert peer.suspicion is not None
        peer.suspicion.said_at = now
        self._confirm(peer, by, now)

    def _accused(self, peer: Peer, now: float) -> bool:
        """Suspects a member on another one's word. Tells whether we look ourselves: of a large mesh
        a few do, for a thousand questions at once drown the answer.
        """
        self._suspicion(peer, now, active=self._each_looks)
        self._show(peer, now)
        return self._each_looks or self._random.random() < SIGHTINGS / self._views.known

    def _confirm(self, peer: Peer, by: Peer, now: float) -> None:
        """Another member finds the same."""
        assert peer.suspicion is not None
        if peer.suspicion.suspected_by(by.key):
            self._set_end(peer, now)

    def heard_dead(self, dead: Dead, by: Peer, now: float) -> None:
        """Another member takes one for dead."""
        if dead.subject == self._identity.key:
            self._refute(by, now)
            return
        peer = self._subject(dead)
        if peer is None:
            return
        if peer.latest > dead.number:
            self._know_better(peer, dead, by)
            return
        if peer.suspicion is None and self._accused(peer, now):
            self.ask(peer, now)
        assert peer.suspicion is not None
        peer.suspicion.dead_by(by.key)
        self._confirm(peer, by, now)
        if self._each_looks:
            return
        suspicion = peer.suspicion
        doubted = now - suspicion.doubted_at >= self._timing.suspect_seconds
        if len(suspicion.dead) > 1 or (doubted and len(suspicion.by) + suspicion.active > 1):
            if suspicion.active and len(suspicion.dead) < WORDS:
                self.dead(peer, now, crashed=dead.crashed)  # we did not reach it either
            else:
                self._gone(peer, CRASHED if dead.crashed else UNREACHABLE, now)

    def _know_better(self, peer: Peer, word: Suspect | Dead, by: Peer) -> None:
        """Somebody misses a member that we have heard since: a few of us say so. What others say
        that they heard is not told on: it would live for ever, true or not.
        """
        if peer.number <= word.number:
            return
        if self._random.random() < SIGHTINGS / max(self._views.known, 1):
            self._sight(peer, 0, by.address)

    def _refute(self, by: Peer, now: float) -> None:
        """We are missed: we beacon at once, and once more. We may be slow; but one member alone,
        which may be wrong or lie, makes us only a little more patient, however often it says so.
        """
        if now < self._refuted_at + REFUTE_SECONDS:
            return
        self._refuted_at = now
        if by.key != self._accuser:
            self._accuser = by.key
            self._worse()
        self._discovery.beacon_soon(now)
        self._schedule.set(REFUTE_KEY, now + REFUTE_SECONDS)

    def refute_again(self, now: float) -> None:
        """The first beacon may have been lost."""
        self._discovery.beacon_soon(now)

    def asked(self, request: ProbeRequest, by: Peer) -> None:
        """Another member wants us to look for one."""
        peer = self._subject(request)
        if peer is not None:
            self.relays.asked(request, peer, by)

    def sighted(self, sighting: Sighting, now: float) -> None:
        """Another member says that one is alive."""
        peer = self._subject(sighting)
        if peer is None:
            return
        asked = peer.probing is not None and sighting.nonce == peer.probing.nonce
        # So many beacons it may have sent since we heard it; more was never sent by anybody.
        most = peer.number + BEACONS_AT_ONCE + (now - peer.heard_at) / BEACON_GAP_SECONDS
        if not asked and not peer.latest < sighting.number <= most:
            self._counters.count("datagrams: sightings out of date")
            return
        if peer.latest < sighting.number <= most:
            peer.sighted = sighting.number
        peer.sighted_at = now
        self.alive(peer, now)

    def _sight(self, peer: Peer, nonce: int, to: Address) -> None:
        """Says that a member is alive."""
        self._send(Sighting(*self._me, peer.key, peer.number, nonce), to)

    def _send(self, datagram: Datagram, address: Address) -> None:
        """Tells one member; see ``_say``."""
        if not self._config.observer:
            self._effects.append(SendDatagram(codec.encode_datagram(datagram), address))
