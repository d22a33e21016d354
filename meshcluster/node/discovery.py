"""Datagrams: what announces us, what makes strangers candidates, and proves them.

A beacon is only a hint. It makes its source a candidate, and a probe to that source, answered,
proves it; an acknowledgement proves us to it. So two members know each other one round trip after
the first beacon, and nobody is believed for what it multicasts of itself. (Of others, in a large
mesh: see ``views.py``.)

An observer sends no beacon. It solicits, and whoever answers is proven; those who answered do not
keep it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf
from random import Random
from typing import Any

from ..config import ClusterConfig
from ..errors import DecodeError
from ..model import (
    LEFT,
    UNREACHABLE,
    Address,
    Identity,
    is_named,
    member_key,
    unix_address,
)
from ..wire import codec
from ..wire.frames import (
    AnyParcel,
    Beacon,
    Datagram,
    Dead,
    Details,
    DirectBeacon,
    GroupParcel,
    Leave,
    Parcel,
    Probe,
    ProbeAck,
    ProbeReply,
    ProbeRequest,
    Receipt,
    Sighting,
    Solicit,
    Suspect,
    Vouch,
)  # fmt: skip
from .announcing import Announcing
from .counters import Counters
from .datagrams import Datagrams
from .detector import BEACON_GAP_SECONDS, Detector
from .effects import Effect, Report, SendDatagram
from .membership import Membership, Peer
from .policing import Policing, no_greeting
from .proof import Prober
from .refusals import Refusals
from .rhythm import JOIN_BURST_SECONDS, Rhythm, lag_of
from .schedule import Schedule
from .scope import Scope, rank
from .snapshots import Snapshots
from .views import Views

MEET_SECONDS = 5.0
"""A member that beacons by UNIX socket as well is probed there this seldom: perhaps it is deaf."""

DISCOVER_SECONDS = 5.0
"""Between two ``discover``, so that nobody floods the mesh."""

SOLICITED_SECONDS = 3.0
"""How long a solicitation may be answered: everybody heard its number."""

BEACON_KEY = ("beacon", None)

Word = Vouch | Suspect | Dead | ProbeRequest | Sighting
_ASKING = (Probe, Solicit)
_TO_ALL = (Beacon, Solicit)


class Discovery:
    """Speaks and understands datagrams for a node, which is told what they prove."""

    def __init__(
        self, identity: Identity, config: ClusterConfig, *, peers: Membership, prober: Prober,
        random: Random, schedule: Schedule, effects: list[Effect], counters: Counters,
        scope: Scope, own: Datagrams, views: Views,
        snapshots: Snapshots, announcing: Announcing,
        parcel: Callable[[AnyParcel, Peer, float], None],
        proved: Callable[[Peer, Details, float], None],
        by_link: Callable[[Peer, float], None], alive: Callable[[Peer, float], None],
        gone: Callable[[Peer, str, float], None], moved: Callable[[Peer, str, float], None],
        stirred: Callable[..., None], detector: Detector,
    ) -> None:  # fmt: skip
        self._identity = identity
        self._config = config
        self._peers = peers
        self._prober = prober
        self._random = random
        self._schedule = schedule
        self._effects = effects
        self._counters = counters
        self.scope = scope
        self._own = own
        self._views = views
        self._snapshots = snapshots
        self._announcing = announcing
        self._parcel = parcel
        self._proved = proved
        self._by_link = by_link
        self._alive = alive
        self._gone = gone
        self._moved = moved
        self._stirred = stirred
        self._detector = detector
        self.policing = Policing(config.limits, peers=peers, scope=scope, counters=counters)
        self.refusals = Refusals(peers, prober, schedule, self.probe, detector)
        self._rhythm = Rhythm(random)
        self._beaconed_at = -inf
        self._solicited = 0
        """The number that answers our last solicitation."""
        self._solicited_until = -inf
        self._discover_at = 0.0
        self._heard: dict[type, Callable[[Peer, Any, Address, float], None]] = {
            Beacon: self._heard_beacon,
            DirectBeacon: self._heard_beacon,
            Solicit: self._heard_probe,
            Probe: self._heard_probe,
            ProbeReply: self._heard_reply,
            ProbeAck: self._heard_ack,
            Leave: self._heard_leave,
        }

    # --- out ---------------------------------------------------------------------------------

    def beacon(self, now: float) -> None:
        """Announces us (or solicits, as an observer) and sets the time of the next time."""
        rhythm, views = self._rhythm, self._views
        if self._config.observer:
            if rhythm.sent >= len(JOIN_BURST_SECONDS):
                return
            self._solicit(now)
        else:
            self._announcing.announce(self._own.beacon(rhythm.sent + 1), now)
        self._beaconed_at = now
        interval = views.interval(self._config.heartbeat_seconds)
        self._schedule.set(BEACON_KEY, now + rhythm.wait(interval, large=views.large))

    def discover(self, now: float) -> bool:
        """Asks everybody to answer; False: it was asked a moment ago."""
        if now < self._discover_at:
            return False
        self._discover_at = now + DISCOVER_SECONDS
        self._solicit(now)
        return True

    def beacon_soon(self, now: float) -> None:
        """Announces us now, or a moment later if we did so just before."""
        self._schedule.set(BEACON_KEY, max(now, self._beaconed_at + BEACON_GAP_SECONDS))

    def _solicit(self, now: float) -> None:
        self._announcing.announce(self._own.solicit(self._open_solicitation(now)), now)

    def _open_solicitation(self, now: float) -> int:
        """The number whose answers are taken, from anybody, for some seconds from now on."""
        if now >= self._solicited_until:
            self._solicited = self._random.getrandbits(63) | 1
        self._solicited_until = now + SOLICITED_SECONDS
        return self._solicited

    def knock(self, addresses: Iterable[Address], now: float) -> None:
        """Asks whoever is at these addresses to answer, known or not."""
        probe = self._own.probe(self._open_solicitation(now), want=True)
        for address in addresses:
            self._send(probe, address)

    def say_goodbye(self, now: float) -> None:
        """Tells everybody that we leave."""
        if self._config.observer:
            return
        self._announcing.announce(self._own.leave(), now)

    def probe(self, peer: Peer, now: float, *, want: bool, address: Address | None = None) -> None:
        """Asks a peer whether it is there, unless it is being asked already."""
        if self._prober.start(peer, address or peer.whereabouts, want=want, now=now):
            self._send_probe(peer, now)

    def broke(self, peer: Peer, now: float) -> None:
        """A link of a member broke: it is asked at once."""
        self._prober.hurry(peer, peer.whereabouts, now)
        self._send_probe(peer, now)

    def probe_again(self, key: bytes, now: float) -> None:
        """A probe went unanswered: send it again, or draw the conclusion."""
        peer = self._peers.get(key)
        if peer is None or peer.probing is None:
            return
        since = peer.probing.since
        heard = max(peer.heard_at, peer.sighted_at) > since  # by us, or by others
        if heard and not peer.probing.want and peer.service is not None:
            self._prober.stop(peer)
        elif peer.probing.refused and peer.probing.tries >= 0 and not heard:
            self._detector.dead(peer, now, crashed=True)
        elif self._prober.again(peer, now):
            self._send_probe(peer, now)
            if peer.service is not None and peer.probing.tries > 1:
                self._detector.waits(peer, now)
        elif peer.service is None:
            self._peers.was_forged()
            self._gone(peer, UNREACHABLE, now)
        elif not heard:
            self._detector.unanswered(peer, now)

    def stop_probe(self, peer: Peer) -> None:
        """Asks a peer no more."""
        self._prober.stop(peer)

    def send_probe(self, peer: Peer, nonce: int) -> None:
        """Asks a member on behalf of another one; only once."""
        self._send(self._own.probe(nonce, want=False), peer.address)

    def _send_probe(self, peer: Peer, now: float) -> None:
        """To whom proved nothing, if it has not had too many: somebody else may be there."""
        probing = peer.probing
        assert probing is not None
        data = codec.encode_datagram(self._own.probe(probing.nonce, want=probing.want))
        self._answer([data], probing.address, now, proven=peer.service is not None)

    def _send(self, datagram: Datagram, address: Address) -> None:
        self._send_bytes(codec.encode_datagram(datagram), address)

    def _send_bytes(self, data: bytes, address: Address) -> None:
        self._effects.append(SendDatagram(data, address))

    # --- in ----------------------------------------------------------------------------------

    def received(self, data: bytes, source: Address, now: float, *, sealed: bool = False) -> None:
        """Takes one datagram; whatever is wrong with it is counted, and reported once."""
        if not self.scope.covers(source[0]):
            ttl = self._config.ttl
            where = "our networks" if ttl else "this host"
            self._drop(f"from outside {where}", f"datagram from {source[0]} at ttl={ttl}")
            return
        if len(data) > self._config.limits.datagram_bytes:
            self._drop("oversized", f"datagram of {len(data)} bytes from {source[0]}")
            return
        try:
            datagram = self._snapshots.datagram(data)
        except DecodeError as error:
            self._drop(str(error).split(":")[0], f"{error}, from {source[0]}")
            return
        if datagram.cluster != self._config.cluster:
            self._counters.count("datagrams: of another cluster")
        elif datagram.id == self._identity.id:
            self._counters.count("datagrams: own copies")
        else:
            self._dispatch(datagram, source, now, sealed)

    def _dispatch(self, datagram: Datagram, source: Address, now: float, sealed: bool) -> None:
        key = member_key(datagram.id, datagram.boot)
        peer = self._peers.get(key)
        if peer is not None and peer.key_id and not sealed:
            self._counters.count("datagrams: not sealed, of one who seals")
            return
        if type(datagram) is Beacon and peer is not None:
            if peer.is_as_before(datagram.digest, datagram.number, source):
                self._still_there(peer, datagram, now)
                return
        kind = type(datagram)
        heard = self._heard.get(kind)
        if heard is None:
            self._heard_other(datagram, peer, source, now)
            return
        if isinstance(datagram, _ASKING) and datagram.observer:
            if kind is Probe or self._views.asks(0):
                self._show_ourselves(datagram.nonce, source, now)
            return
        solicited = self._solicited if now < self._solicited_until else 0
        if peer is None and (why := no_greeting(datagram, solicited)):
            self._counters.count(f"datagrams: {why}")
            return
        if peer is None and isinstance(datagram, _TO_ALL):
            if not self._views.asks(getattr(datagram, "known", 0)):
                # A stranger in a large mesh: others ask it, and vouch for it.
                self._views.heard_stranger(key, datagram.digest, source, now)
                return
        if peer is None:
            if not self.policing.may_meet(source, now):
                return
            peer = self._peers.add(datagram.id, datagram.boot, source, now)
        heard_at = peer.heard_at
        heard(peer, datagram, source, now)
        if peer.suspicion is not None and peer.heard_at == now:
            self._detector.alive(peer, now)
        if peer.sessions and peer.service is not None and peer.heard_at == now:
            self._stirred(peer, now, silent=now - heard_at > self._detector.overdue(peer))
        if peer.service is None and peer.probing is None:
            if ("forget", peer.key) not in self._schedule:
                self._peers.forget(peer)

    def _heard_other(
        self, datagram: Datagram, peer: Peer | None, source: Address, now: float
    ) -> None:  # fmt: skip
        """A message, or a word about another member."""
        if isinstance(datagram, Parcel | GroupParcel | Receipt):
            self._heard_parcel(peer, datagram, source, now)
        elif peer is None or peer.service is None or not self._speaks_from(peer, source):
            self._counters.count("datagrams: words of strangers")
        elif unheeded := self._peers.unheeded(peer, getattr(datagram, "subject", b"")):
            self._counters.count(f"datagrams: words of {unheeded}")
        elif isinstance(datagram, Word):
            self._word(datagram, peer, now)

    def _word(self, word: Word, by: Peer, now: float) -> None:
        """A member speaks of another one."""
        if isinstance(word, Vouch):
            self._views.heard_vouch(word, by, now)
        elif isinstance(word, Suspect):
            self._detector.heard_suspect(word, by, now)
        elif isinstance(word, Dead):
            self._detector.heard_dead(word, by, now)
        elif isinstance(word, ProbeRequest):
            self._detector.asked(word, by)
        else:
            self._detector.sighted(word, now)

    def _heard_parcel(
        self, peer: Peer | None, parcel: AnyParcel, source: Address, now: float
    ) -> None:
        """Only who answered us itself may send any; whom we have by word is asked, so that its next
        is taken. A receipt harms nobody.
        """
        if peer is None or peer.service is None:
            self._counters.count("parcels: of strangers")
        elif not self._speaks_from(peer, source):
            # To the group they come by every network that both are in.
            other = isinstance(parcel, GroupParcel) and source[0] in peer.others
            self._counters.count(f"parcels: {'by another way' if other else 'of strangers'}")
        elif peer.shown or isinstance(parcel, Receipt):
            peer.heard_at = now
            self._parcel(parcel, peer, now)
        else:
            self._counters.count("parcels: of members known by word")
            self.probe(peer, now, want=False)

    def _still_there(self, peer: Peer, beacon: Beacon, now: float) -> None:
        """What nearly all datagrams of a mesh say, and nothing else: this is the short way."""
        peer.number, peer.lag = beacon.number, lag_of(beacon)
        peer.heard_at = peer.reached_at = peer.grouped_at = peer.beaconed_at = now
        self._views.heard_view(peer, beacon.known, beacon.view, now, direct=False)

    def _heard_beacon(self, peer: Peer, beacon: Beacon, source: Address, now: float) -> None:
        self._announcing.heard(peer, beacon, source, now)
        if peer.service is None:
            if self._prober.may_ask(peer, source, beacon.number):
                peer.address = source
            peer.endpoints = beacon.endpoints
            peer.local = peer.local or self.scope.is_own(source[0])
            if peer.refused != beacon.digest and not self._prober.expects_proof(peer, now):
                self.probe(peer, now, want=True)
        elif source != peer.address:
            self._heard_elsewhere(peer, beacon, source, now)
        elif 0 < beacon.number <= peer.number:
            self._counters.count("datagrams: repeated beacons")
        else:
            peer.number, peer.lag = beacon.number, lag_of(beacon)
            peer.heard_at = peer.reached_at = now
            if peer.elsewhere_at > -inf:
                if left := peer.left_meanwhile(now - self._detector.overdue(peer)):
                    self._moved(peer, left, now)
            if beacon.digest == peer.digest:
                peer.told = False
                direct = isinstance(beacon, DirectBeacon)
                self._views.heard_view(peer, beacon.known, beacon.view, now, direct=direct)
            elif self._views.asks(beacon.known):
                self.probe(peer, now, want=True)

    def _heard_elsewhere(self, peer: Peer, beacon: Beacon, source: Address, now: float) -> None:
        """A member's beacon came from another address than the one where it answers."""
        if is_named(source) and peer.probing is None:
            peer.heard_at = now
            if beacon.digest == peer.digest and now < peer.met_at + MEET_SECONDS:
                return
            peer.met_at = now
        elif rank(source[0]) <= rank(peer.address[0]) and self._reaches(peer, now):
            peer.heard_elsewhere(source, now)  # on another network that it and we are in
            return
        elif peer.probing is not None and peer.probing.address == peer.address:
            self._prober.stop(peer)  # it went from there: ask where it is heard
        self.probe(peer, now, want=True, address=source)

    def _reaches(self, peer: Peer, now: float) -> bool:
        """Whether a member was heard lately from the address where it answers."""
        return now < peer.reached_at + self._detector.overdue(peer)

    def _show_ourselves(self, nonce: int, source: Address, now: float) -> None:
        """Answers an observer, and forgets it."""
        if self._config.observer or not self.policing.may_meet(source, now):
            return
        self._answer(self._own.shown(nonce, to=source[0]), source, now, proven=False)

    def _answer(self, answers: Iterable[bytes], to: Address, now: float, *, proven: bool) -> None:
        """With the first of these that is not too much for who may not be ``proven``."""
        for data in answers:
            if proven or self.policing.may_send(to, len(data), now):
                self._send_bytes(data, to)
                return

    def _heard_probe(self, peer: Peer, probe: Probe | Solicit, source: Address, now: float) -> None:
        """A solicitation asks everybody what a probe asks one."""
        wants = isinstance(probe, Solicit) or probe.want
        if peer.service is None:
            peer.address = source
            peer.local = peer.local or self.scope.is_own(source[0])
        elif source == peer.address:
            peer.heard_at = peer.reached_at = now
        known = peer.service is not None and probe.digest == peer.digest
        refused = peer.refused == probe.digest
        challenge = 0 if known or refused else self._prober.challenge(peer, now)
        replies = self._own.reply(probe.nonce, challenge, wanted=wants, to=source[0])
        proven = peer.service is not None and source == peer.address
        self._answer(replies, source, now, proven=proven)

    def _heard_reply(self, peer: Peer, reply: ProbeReply, source: Address, now: float) -> None:
        if self._detector.relays.answered(reply.nonce, peer):
            peer.heard_at = now
            return
        probing = self._prober.answered(peer, reply.nonce)
        if probing is not None and peer.service is not None:
            self._detector.answered()
        solicited = now < self._solicited_until and reply.nonce == self._solicited
        if probing is None and not solicited:
            self._counters.count("datagrams: replies nobody asked for")
            return
        peer.heard_at = peer.reached_at = now
        before = peer.address
        peer.answered_from(source, local=self.scope.is_own(source[0]), asked=probing is not None)
        if before[0] != peer.address[0] and rank(before[0]) >= rank(source[0]):
            self._moved(peer, before[0], now)  # it is heard there no more
        if probing is not None:
            self.policing.proved(source, now)
        if reply.challenge:
            self._send_bytes(self._own.acknowledgement(reply.challenge, to=source[0]), source)
        if reply.details is not None:
            self._proved(peer, reply.details, now)
        elif reply.large and (probing is None or probing.want):
            self._by_link(peer, now)
        self._alive(peer, now)
        if probing is None or probing.want:
            self._views.look_soon(peer, reply.known, now)

    def _heard_ack(self, peer: Peer, ack: ProbeAck, source: Address, now: float) -> None:
        if not self._prober.met(peer, ack.challenge):
            self._counters.count("datagrams: replies nobody asked for")
            return
        peer.heard_at = peer.reached_at = now
        peer.answered_from(source, local=self.scope.is_own(source[0]))
        self.policing.proved(source, now)
        if ack.details is not None:
            self._proved(peer, ack.details, now)
        else:
            peer.endpoints = ack.endpoints or peer.endpoints
            self._by_link(peer, now)
        self._views.look_soon(peer, ack.known, now)

    def _heard_leave(self, peer: Peer, leave: Leave, source: Address, now: float) -> None:
        if peer.service is not None and not self._speaks_from(peer, source):
            self._counters.count("datagrams: goodbyes from another address")
        else:
            self._gone(peer, LEFT, now)

    def _speaks_from(self, peer: Peer, source: Address) -> bool:
        here = self.scope.is_own(source[0])
        return source == unix_address(peer.id) or peer.speaks_from(source, here=here)

    # --- scope ---------------------------------------------------------------------------------

    def networks_changed(self, networks: Iterable[str], now: float) -> None:
        """Our interfaces have other addresses, or one works again: announces us there at once."""
        self.scope.change(networks)
        self.beacon_soon(now)

    def _drop(self, reason: str, text: str) -> None:
        if self._counters.count(f"datagrams: {reason}"):
            self._effects.append(Report(f"dropped {text} (further ones are only counted)"))
