"""Datagrams: what announces us, what makes strangers candidates, and proves them.

A beacon is only a hint. It makes its source a candidate, and a probe to that source, answered,
proves it; an acknowledgement proves us to it. So two members know each other one round trip after
the first beacon, and nobody is believed for what it multicasts.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from functools import partial
from random import Random

from ..config import ClusterConfig
from ..errors import DecodeError
from ..model import UNIX, Address, Identity, is_unix, unix_address
from ..wire import codec
from ..wire.frames import Beacon, Datagram, Details, Leave, Probe, ProbeAck, ProbeReply
from .counters import Counters
from .effects import Announce, Effect, Report, SendDatagram
from .membership import Membership, Peer
from .proof import Prober
from .schedule import Schedule

JOIN_BURST_SECONDS = (0.0, 0.1, 0.4)
"""Beacons of a newcomer: one may be lost, so there are three, then one each heartbeat."""

BEACON_JITTER = 0.2
"""Each interval is drawn within 20 % of the heartbeat, so that members do not fall into step."""

OVERDUE_INTERVALS = 1.5
"""A member unheard for this many of its own intervals is probed."""

MEET_SECONDS = 5.0
"""A member that beacons by UNIX socket as well is probed there this seldom: perhaps it is deaf."""

BEACON_KEY = ("beacon", None)


class Discovery:
    """Speaks and understands datagrams for a node, which is told what they prove."""

    def __init__(
        self, identity: Identity, config: ClusterConfig, *, peers: Membership, prober: Prober,
        random: Random, schedule: Schedule, effects: list[Effect], counters: Counters,
        own_addresses: frozenset[str], details: Callable[[], Details],
        proved: Callable[[Peer, Details, float], None],
        by_link: Callable[[Peer, float], None],
        alive: Callable[[Peer, float], None],
        gone: Callable[[Peer, str, float], None],
    ) -> None:  # fmt: skip
        self._identity = identity
        self._config = config
        self._peers = peers
        self._prober = prober
        self._random = random
        self._schedule = schedule
        self._effects = effects
        self._counters = counters
        self._own_addresses = own_addresses
        self._details = details
        self._proved = proved
        self._by_link = by_link
        self._alive = alive
        self._gone = gone
        self._beacons_sent = 0
        self._digested: Details | None = None
        self._digest = b""

    # --- out ---------------------------------------------------------------------------------

    def beacon(self, now: float) -> None:
        """Announces us and sets the time of the next beacon."""
        self._announce(self._beacon_of(self._details()))
        self._beacons_sent += 1
        if self._beacons_sent < len(JOIN_BURST_SECONDS):
            burst = JOIN_BURST_SECONDS
            wait = burst[self._beacons_sent] - burst[self._beacons_sent - 1]
        else:
            jitter = 1 + BEACON_JITTER * (2 * self._random.random() - 1)
            wait = self._config.heartbeat_seconds * jitter
        self._schedule.set(BEACON_KEY, now + wait)

    def _beacon_of(self, details: Details) -> Beacon:
        me, digest = self._identity, self._own_digest(details)
        return Beacon(
            self._config.cluster, me.id, me.boot, details.version, digest, details.endpoints
        )

    def beacon_size(self, details: Details) -> int:
        """How many bytes a beacon with these details has."""
        return len(codec.encode_datagram(self._beacon_of(details)))

    def say_goodbye(self) -> None:
        """Tells the group that we leave."""
        me = self._identity
        self._announce(Leave(self._config.cluster, me.id, me.boot))

    def probe(self, peer: Peer, now: float, *, want: bool, address: Address | None = None) -> None:
        """Asks a peer whether it is there, unless it is being asked already."""
        if self._prober.start(peer, address or peer.address, want=want, now=now):
            self._send_probe(peer)

    def probe_again(self, key: bytes, now: float) -> None:
        """A probe went unanswered: send it again, or draw the conclusion."""
        peer = self._peers.get(key)
        if peer is None or peer.probing is None:
            return
        since = peer.probing.since
        if self._prober.again(peer, now):
            self._send_probe(peer)
        elif peer.service is None or peer.heard_at < since:
            self._gone(peer, "does not answer", now)  # and nothing else was heard meanwhile

    def watch(self, key: bytes, now: float) -> None:
        """Looks whether a member was heard lately; probes it when not."""
        peer = self._peers.member(key)
        if peer is None or peer.details is None:
            return
        if now >= peer.heard_at + self._config.expire_seconds:
            self._gone(peer, "was not heard any more", now)
            return
        overdue = OVERDUE_INTERVALS * max(peer.details.heartbeat_seconds, 0.01)
        overdue = min(overdue, self._config.expire_seconds / 2)
        due = peer.heard_at + overdue
        if now >= due:  # the very sum that the timer was set to: a difference may round below it
            self.probe(peer, now, want=False)
            due = now + overdue
        self._schedule.set(("watch", key), due)

    def _send_probe(self, peer: Peer) -> None:
        probing, me, details = peer.probing, self._identity, self._details()
        assert probing is not None
        self._send(
            Probe(
                self._config.cluster, me.id, me.boot, probing.nonce, probing.want,
                details.version, self._own_digest(details),
            ),
            probing.address,
        )  # fmt: skip

    def _announce(self, datagram: Datagram) -> None:
        self._effects.append(Announce(codec.encode_datagram(datagram)))

    def _send(self, datagram: Datagram, address: Address) -> None:
        self._effects.append(SendDatagram(codec.encode_datagram(datagram), address))

    def _send_fitting(self, datagram: Datagram, smaller: Datagram, address: Address) -> None:
        """Sends the first where it fits a datagram, else the one without details."""
        data = codec.encode_datagram(datagram)
        if len(data) > self._config.limits.datagram_bytes:
            data = codec.encode_datagram(smaller)
        self._effects.append(SendDatagram(data, address))

    def _own_digest(self, details: Details) -> bytes:
        if details is not self._digested:
            self._digested, self._digest = details, codec.digest(details)
        return self._digest

    # --- in ----------------------------------------------------------------------------------

    def received(self, data: bytes, source: Address, now: float) -> None:
        """Takes one datagram; whatever is wrong with it is counted, and reported once."""
        if not self.in_scope(source[0]):
            self._drop("from outside this host", f"datagram from {source[0]} at ttl=0")
            return
        if len(data) > self._config.limits.datagram_bytes:
            self._drop("oversized", f"datagram of {len(data)} bytes from {source[0]}")
            return
        try:
            datagram = codec.decode_datagram(data)
        except DecodeError as error:
            self._drop(str(error).split(":")[0], f"{error}, from {source[0]}")
            return
        if datagram.cluster != self._config.cluster:
            self._counters.count("datagrams: of another cluster")
        elif datagram.id == self._identity.id:
            self._counters.count("datagrams: own copies")
        else:
            self._dispatch(datagram, source, now)

    def _dispatch(self, datagram: Datagram, source: Address, now: float) -> None:
        peer = self._peers.hear(datagram.id, datagram.boot, source, now)
        if peer is None:
            self._drop("candidates beyond the limit", "more strangers than candidates= allows")
        elif isinstance(datagram, Beacon):
            self._heard_beacon(peer, datagram, source, now)
        elif isinstance(datagram, Probe):
            self._heard_probe(peer, datagram, source, now)
        elif isinstance(datagram, ProbeReply):
            self._heard_reply(peer, datagram, source, now)
        elif isinstance(datagram, ProbeAck):
            self._heard_ack(peer, datagram, source, now)
        else:
            self._heard_leave(peer, source, now)
        if peer is not None and peer.service is None and peer.probing is None:
            if ("forget", peer.key) not in self._schedule:
                self._peers.forget(peer)

    def _heard_beacon(self, peer: Peer, beacon: Beacon, source: Address, now: float) -> None:
        if peer.service is None:
            peer.address, peer.endpoints = source, beacon.endpoints
            peer.local = peer.local or self.is_own(source[0])
            if peer.refused != beacon.digest and not self._prober.expects_proof(peer, now):
                self.probe(peer, now, want=True)
        elif source != peer.address:
            self._heard_elsewhere(peer, beacon, source, now)
        else:
            peer.heard_at = now
            if beacon.digest != peer.digest:
                self.probe(peer, now, want=True)

    def _heard_elsewhere(self, peer: Peer, beacon: Beacon, source: Address, now: float) -> None:
        """A member's beacon came from another address than the one where it answers."""
        if is_unix(source) and peer.probing is None:
            peer.heard_at = now
            if beacon.digest == peer.digest and now < peer.met_at + MEET_SECONDS:
                return
            peer.met_at = now
        self.probe(peer, now, want=True, address=source)

    def _heard_probe(self, peer: Peer, probe: Probe, source: Address, now: float) -> None:
        if peer.service is None:
            peer.address = source
            peer.local = peer.local or self.is_own(source[0])
        elif source == peer.address:
            peer.heard_at = now
        known = peer.service is not None and probe.digest == peer.digest
        refused = peer.refused == probe.digest
        challenge = 0 if known or refused else self._prober.challenge(peer, now)
        me, details = self._identity, self._details() if probe.want else None
        reply = partial(ProbeReply, self._config.cluster, me.id, me.boot, probe.nonce, challenge)
        self._send_fitting(reply(details, False), reply(None, True), source)

    def _heard_reply(self, peer: Peer, reply: ProbeReply, source: Address, now: float) -> None:
        probing = self._prober.answered(peer, reply.nonce)
        if probing is None:
            self._counters.count("datagrams: replies nobody asked for")
            return
        peer.heard_at = now
        peer.answered_from(source)
        peer.local = peer.local or self.is_own(source[0])
        if reply.challenge:
            self._acknowledge(reply.challenge, source)
        if reply.details is not None:
            self._proved(peer, reply.details, now)
        elif reply.large and probing.want:
            self._by_link(peer, now)
        self._alive(peer, now)

    def _acknowledge(self, challenge: int, address: Address) -> None:
        me, details = self._identity, self._details()
        ack = partial(ProbeAck, self._config.cluster, me.id, me.boot, challenge)
        self._send_fitting(ack(details, ()), ack(None, details.endpoints), address)

    def _heard_ack(self, peer: Peer, ack: ProbeAck, source: Address, now: float) -> None:
        if not self._prober.met(peer, ack.challenge):
            self._counters.count("datagrams: replies nobody asked for")
            return
        peer.heard_at = now
        peer.answered_from(source)
        if ack.details is not None:
            self._proved(peer, ack.details, now)
        else:
            peer.endpoints = ack.endpoints or peer.endpoints
            self._by_link(peer, now)

    def _heard_leave(self, peer: Peer, source: Address, now: float) -> None:
        if peer.service is not None and source not in (peer.address, unix_address(peer.id)):
            self._counters.count("datagrams: goodbyes from another address")
        else:
            self._gone(peer, "left", now)

    def refused(self, address: Address, now: float) -> None:
        """The host at an address answers that nobody listens there: its process is gone.

        The network's word is taken only for a probe's answer, our own kernel's always.
        """
        for peer in self._peers.at(address):
            probed = peer.probing is not None and peer.probing.address == address
            if probed or is_unix(address):
                self._gone(peer, "its process is gone", now)

    # --- scope -------------------------------------------------------------------------------

    def is_own(self, address: str) -> bool:
        """Whether an address is this machine's: a loopback address or one of our interfaces."""
        return address in self._own_addresses or _is_loopback(address)

    def in_scope(self, address: str, *, local: bool = False) -> bool:
        """Whether somebody at this address may take part: at ``ttl=0`` only this host."""
        return local or self._config.ttl > 0 or _is_loopback(address)

    def _drop(self, reason: str, text: str) -> None:
        if self._counters.count(f"datagrams: {reason}"):
            self._effects.append(Report(f"dropped {text} (further ones are only counted)"))


def _is_loopback(address: str) -> bool:
    if address.startswith(("127.", UNIX)):
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
