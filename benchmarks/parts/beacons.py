"""What one more member costs the others while nothing happens: its beacons, and hearing them.

One real node knows all the others and lives in virtual time; what these send is played to it, drawn
by the same rule. So it has what each member of a mesh of that size has, without the mesh.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from heapq import heapify, heapreplace
from random import Random
from statistics import median
from typing import NamedTuple

from meshcluster.config import ClusterConfig, Limits
from meshcluster.hooks import HookRegistry
from meshcluster.model import Address, Endpoint, Identity
from meshcluster.node.effects import Announce, SendDatagram
from meshcluster.node.node import Node
from meshcluster.node.rhythm import BEACON_JITTER
from meshcluster.node.views import BEACONS_A_SECOND
from meshcluster.security.keyring import Keyring
from meshcluster.security.keys import KEY_BYTES, Key
from meshcluster.security.sealing import Seal
from meshcluster.wire import codec
from meshcluster.wire.frames import Beacon, Datagram, Details, Probe, ProbeAck, ProbeReply

from ..settings import Settings
from ..table import Row, Table, rounded

SIZES = (10, 100, 1000)
HEARTBEAT_SECONDS = 1.0
MET_SECONDS, SETTLED_SECONDS = 0.2, 2.0
"""After joining. Its first beacons come closer: one between the others' arrival and the first of
these moments, the last before the second.
"""

MEASURED_SECONDS = 300.0
"""In virtual time: 30 beacons of a member of the largest mesh."""

CONFIG = ClusterConfig(
    name="m1", ttl=1, heartbeat_seconds=HEARTBEAT_SECONDS,
    limits=Limits(newcomers_per_second=1e6, strangers_datagrams_per_second=1e6),
)  # fmt: skip
"""All others come at once here."""

MICROSECONDS, PERCENT = 1e6, 100
OPEN, SEALED = "open", "sealed"
REMARK = (
    "us: CPU time of one member's node for one beacon heard, with its timers, without the kernel "
    "and the event loop. CPU: that for all beacons heard, in percent of one core. The last column "
    "is what each member costs each other one a second. In virtual time: one real node, and the "
    "beacons of the others, drawn by the same rule; nothing is lost, nobody comes or goes. Bytes "
    "without UDP's and IP's headers. Sealed: all have the same key, as members of one host or with "
    "one secret."
)


class Other(NamedTuple):
    """A member of whom there is only what it sends."""

    identity: Identity
    address: Address
    details: Details

    def beacon(self, known: int, view: int, number: int) -> bytes:
        """One of its beacons, when it knows the same members as all others."""
        me, details = self.identity, self.details
        return codec.encode_datagram(
            Beacon(
                "default", me.id, me.boot, details.version, codec.digest(details),
                details.endpoints, known, view, number,
            )
        )  # fmt: skip


def other(number: int) -> Other:
    """One at an address of its own."""
    name = f"m{number}"
    member_id = number.to_bytes(16, "big")
    endpoints = (
        Endpoint("unix", {"name": f"c522b539/{member_id.hex()[:16]}.sock"}),
        Endpoint("tcp", {"port": 30_000 + number}),
    )
    address = (f"10.0.{number // 250}.{number % 250 + 1}", 20_000 + number)
    details = Details(1, name, f"h{number}", (), endpoints, {}, address[1], HEARTBEAT_SECONDS)
    return Other(Identity(member_id, number, name, details.host), address, details)


class Heard(NamedTuple):
    """What was heard and said in one measurement."""

    seconds: float
    """Virtual ones."""
    datagrams: int
    size_bytes: int
    beacons: int
    """Our own."""
    cpu_seconds: float


class Member:
    """One that knows all others of its mesh. ``keyring``: by which all seal, if they do."""

    def __init__(self, size: int, keyring: Keyring | None = None) -> None:
        self._keyring = keyring
        self._seals: dict[Identity, Seal] = {}
        self._random = Random(size)
        self._others = [other(number) for number in range(2, size + 1)]
        me = other(1)
        self._node = Node(
            me.identity, CONFIG,
            HookRegistry(allow_async=False), self._random, endpoints=me.details.endpoints,
            port=me.address[1], keyring=keyring,
        )  # fmt: skip
        self._now = 0.0
        self._node.start(self._now)
        for each in self._others:
            self._meet(each)
        known, view = self._say_who_is_there()
        assert known == size, f"{known} of {size} are known"
        self._view = known, view
        self._said = [0] * len(self._others)
        """How many beacons each of the others has sent."""
        self._interval = max(HEARTBEAT_SECONDS, size / BEACONS_A_SECOND)
        draw = self._random.random
        self._next = [(self._now + self._interval * draw(), i) for i in range(size - 1)]
        heapify(self._next)

    def _meet(self, each: Other) -> None:
        """It probes us, and answers the challenge in our reply."""
        me, details = each.identity, each.details
        digest = codec.digest(details)
        self._hear(Probe("default", me.id, me.boot, 1, True, details.version, digest), each)
        sent = [e for e in self._node.take_effects() if isinstance(e, SendDatagram)]
        reply = self._opened(sent[-1].data)
        assert isinstance(reply, ProbeReply)
        self._hear(ProbeAck("default", me.id, me.boot, reply.challenge, details, ()), each)
        self._node.take_effects()

    def _hear(self, datagram: Datagram, source: Other) -> None:
        data = self._sealed(source.identity, codec.encode_datagram(datagram))
        self._node.datagram_received(data, source.address, self._now)

    def _sealed(self, by: Identity, data: bytes) -> bytes:
        """As the others send it."""
        if self._keyring is None or self._keyring.first is None:
            return data
        seal = self._seals.get(by) or self._seals.setdefault(by, Seal(by))
        return seal.seal(self._keyring.first, data)

    def _opened(self, data: bytes) -> Datagram:
        """As the others understand it."""
        if self._keyring is not None:
            data = Seal(self._others[0].identity).open(self._keyring, data).data
        return codec.decode_datagram(data)

    def _say_who_is_there(self) -> tuple[int, int]:
        """Our last beacon after we met them: how many we know, and the print of that view."""
        self._now = MET_SECONDS
        self._node.advance(self._now)
        said = [e.data for e in self._node.take_effects() if isinstance(e, Announce)]
        beacons = [d for d in map(self._opened, said) if isinstance(d, Beacon)]
        return beacons[-1].known, beacons[-1].view

    def live(self, seconds: float) -> Heard:
        """Hears the others for so long, in virtual time."""
        node, said, size_bytes = self._node, 0, 0
        played = list(self._played(self._now + seconds))
        started = time.process_time()
        for when, beacon, each in played:
            while (due := node.deadline()) is not None and due <= when:
                node.advance(due)
                said += self._beacons_said(due)
            data = beacon
            if self._keyring is not None:  # now: what each sends is numbered in order
                started -= time.process_time()
                data = self._sealed(each.identity, beacon)
                started += time.process_time()
            node.datagram_received(data, each.address, when)
            size_bytes += len(data)
        took = time.process_time() - started
        self._now += seconds
        return Heard(seconds, len(played), size_bytes, said, took)

    def _beacons_said(self, now: float) -> int:
        """How many beacons it has said since the last look. Whom it asks answers; there is nothing
        else to be said.
        """
        beacons = 0
        for effect in self._node.take_effects():
            if isinstance(effect, Announce):
                beacons += 1
            else:
                assert isinstance(effect, SendDatagram), effect
                self._answer(effect, now)
        return beacons

    def _answer(self, asked: SendDatagram, now: float) -> None:
        probe = self._opened(asked.data)
        assert isinstance(probe, Probe), probe
        me = next(each.identity for each in self._others if each.address == asked.address)
        reply = ProbeReply("default", me.id, me.boot, probe.nonce, 0, None, False)
        data = self._sealed(me, codec.encode_datagram(reply))
        self._node.datagram_received(data, asked.address, now)

    def _played(self, end: float) -> Iterator[tuple[float, bytes, Other]]:
        """What the others send until then: when, what, who."""
        draw = self._random.random
        while self._next[0][0] < end:
            when, number = self._next[0]
            each, self._said[number] = self._others[number], self._said[number] + 1
            yield when, each.beacon(*self._view, self._said[number]), each
            wait = self._interval * (1 + BEACON_JITTER * (2 * draw() - 1))
            heapreplace(self._next, (when + wait, number))


def run(settings: Settings) -> list[Table]:
    """One table."""
    ways = {OPEN: None, SEALED: Keyring([Key.of_bytes(bytes(KEY_BYTES), "default")])}
    members = {(size, way): Member(size, ways[way]) for size in SIZES for way in ways}
    for member in members.values():
        member.live(SETTLED_SECONDS)
    heard: dict[tuple[int, str], list[Heard]] = {which: [] for which in members}
    for _ in range(settings.repeats):
        for which, member in members.items():
            heard[which].append(member.live(MEASURED_SECONDS))
    return [
        Table(
            name="beacons", title="what the beacons of a quiet mesh cost each member", unit="us",
            rounds=settings.repeats, peers=[], remarks=[REMARK],
            rows=[_row(size, way, each) for (size, way), each in heard.items()],
        )
    ]  # fmt: skip


def _row(size: int, way: str, heard: list[Heard]) -> Row:
    costs = [each.cpu_seconds / each.datagrams for each in heard]
    whole = sum(each.seconds for each in heard)
    beacons = sum(each.beacons for each in heard) / whole
    datagrams = sum(each.datagrams for each in heard) / whole
    cpu = median(costs) * datagrams
    also = {
        "beacons/s of one": beacons,
        "of all": beacons * size,
        "datagrams/s in": datagrams,
        "bytes/s in": sum(each.size_bytes for each in heard) / whole,
        "CPU %": cpu * PERCENT,
        "us/s a member": cpu * MICROSECONDS / (size - 1),
    }
    return Row(
        name=f"{size:,} members", way=way, median=rounded(median(costs) * MICROSECONDS),
        low=rounded(min(costs) * MICROSECONDS), high=rounded(max(costs) * MICROSECONDS),
        p99=None, lost=0, better_than={}, also={k: rounded(v) for k, v in also.items()},
    )  # fmt: skip
