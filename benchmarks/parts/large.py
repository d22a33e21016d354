"""What a large mesh costs one of its members while nobody talks: memory, and looking at it.

One real node and the directory that its users look into know all the others, as in ``beacons.py``.
"""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable
from random import Random
from statistics import median

from meshcluster.hooks import HookRegistry
from meshcluster.node.effects import SendDatagram, ServiceDiscovered
from meshcluster.node.node import Node
from meshcluster.node.views import DIRECT_PROOFS
from meshcluster.runtime.directory import Directory
from meshcluster.wire import codec
from meshcluster.wire.frames import Datagram, Entry, Probe, ProbeAck, ProbeReply, Vouch

from ..settings import Settings
from ..table import Row, Table, rounded
from .beacons import CONFIG, Other, other

SIZES = (10, 1000, 10_000)
TIMES = 200
MICROSECONDS = 1e6
ELSEWHERE = ("10.9.9.9", 9)
REMARK = (
    "us: of one resolve of a word that one member has, just after a change. services: all of them, "
    "after a change, and when nothing has changed. refused: a datagram that nobody took, where no "
    "member is. beacon: announcing us. Bytes: all that is kept of a member without a link, in the "
    "node and for its users (tracemalloc); told: of one that is known by word only, in the node."
)


class Member:
    """One that knows all others of its mesh."""

    def __init__(self, size: int, *, told: bool = False) -> None:
        self._others = [other(number) for number in range(2, size + 2)]
        me = other(1)
        gc.collect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        self.node = Node(
            me.identity, CONFIG, HookRegistry(allow_async=False),
            Random(size), endpoints=me.details.endpoints, port=me.address[1],
        )  # fmt: skip
        self.directory = Directory()
        self._meet(self._others[0], knows=size)
        for each in self._others[1:]:
            if told:
                self._hear_of(each)
            else:
                self._meet(each)
        gc.collect()
        self.bytes_each = (tracemalloc.get_traced_memory()[0] - before) / size
        tracemalloc.stop()
        known = len(self.node.peers)
        assert known == size, f"{known} of {size} are known"

    def _hear_of(self, each: Other) -> None:
        """One that it has met vouches for it."""
        by, me = self._others[0], each.identity
        entry = Entry(me.id, me.boot, each.address[0], each.details)
        self._hear(Vouch("default", by.identity.id, by.identity.boot, [entry]), by)
        self.node.take_effects()

    def _meet(self, each: Other, knows: int = 0) -> None:
        """It probes us, and answers the challenge in our reply."""
        me, details = each.identity, each.details
        digest = codec.digest(details)
        self._hear(Probe("default", me.id, me.boot, 1, True, details.version, digest), each)
        sent = [e for e in self.node.take_effects() if isinstance(e, SendDatagram)]
        reply = codec.decode_datagram(sent[-1].data)
        assert isinstance(reply, ProbeReply)
        self._hear(ProbeAck("default", me.id, me.boot, reply.challenge, details, (), knows), each)
        for effect in self.node.take_effects():
            if isinstance(effect, ServiceDiscovered):
                self.directory.put(effect.service)

    def _hear(self, datagram: Datagram, source: Other) -> None:
        address = source.address[0] + "", source.address[1]  # each datagram brings its own
        self.node.datagram_received(codec.encode_datagram(datagram), address, 0.0)

    def change(self) -> None:
        """Somebody says something new."""
        self.directory.put(self.directory.services[-1])

    def resolve(self) -> None:
        """Looks for one by its name."""
        self.directory.resolve("m2")

    def beacon(self) -> None:
        """Announces itself."""
        self.node._discovery.beacon(0.0)
        self.node.take_effects()


def _microseconds(function: Callable[[], object], before: Callable[[], object]) -> float:
    took = []
    for _ in range(TIMES):
        before()
        started = time.perf_counter()
        function()
        took.append(time.perf_counter() - started)
    return median(took) * MICROSECONDS


def run(settings: Settings) -> list[Table]:
    """One table."""
    return [
        Table(
            name="large", title="what knowing many members costs", unit="us",
            rounds=settings.repeats, peers=[], remarks=[REMARK],
            rows=[_row(size, settings.repeats) for size in SIZES],
        )
    ]  # fmt: skip


def _row(size: int, rounds: int) -> Row:
    member = Member(size)
    directory, node = member.directory, member.node
    figures = [_microseconds(member.resolve, member.change) for _ in range(rounds)]
    also = {
        "services us": _microseconds(lambda: directory.services, member.change),
        "again us": _microseconds(lambda: directory.services, int),
        "change us": _microseconds(member.change, lambda: directory.services),
        "refused us": _microseconds(lambda: node.datagram_refused(ELSEWHERE, 0.0), int),
        "beacon us": _microseconds(member.beacon, int),
        "bytes a member": member.bytes_each,
        "told": Member(size, told=True).bytes_each if size > DIRECT_PROOFS else member.bytes_each,
    }
    return Row(
        name=f"{size:,} members", way="known", median=rounded(median(figures)),
        low=rounded(min(figures)), high=rounded(max(figures)), p99=None, lost=0, better_than={},
        also={k: rounded(v) for k, v in also.items()},
    )  # fmt: skip
