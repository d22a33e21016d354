"""What one message and one more member cost as a mesh grows: nothing on a message's way may grow.

Two whole members (``AsyncCluster``, its driver, hooks and links) live in one event loop in virtual
time and talk by the protocol ``memory``; all others are played to them: each proves itself to both
and answers them from then on. So both know as many as in a mesh of that size.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any, NamedTuple

from meshcluster import AsyncCluster, Message
from meshcluster.model import LOOPBACK, Address
from meshcluster.testing.jumping import MemoryAnnouncer, VirtualMesh
from meshcluster.testing.jumping import run as run_virtually
from meshcluster.wire import codec
from meshcluster.wire.frames import Datagram, Probe, ProbeAck, ProbeReply

from .. import rows, table
from ..settings import Settings
from ..table import Row, Table
from .beacons import SETTLED_SECONDS, Other, other
from .beacons import Member as Hearing
from .large import Member as Knowing

SIZES = (10, 100, 1000)
HEARD_SECONDS = 100.0
"""In virtual time: ten beacons of a member of the largest mesh."""

SEED = 1
BODY = bytes(64)
BURST = 128
FIRST_PORT = 10
"""The two real ones have the ports 1 and 2."""

APART_SECONDS = 0.05
"""Virtual: between two newcomers, who come in no crowd."""

MICROSECONDS = 1e6
REMARK = (
    "CPU time of both ends together, in one process, so that neither sockets nor the waking of "
    "cores are in it. message: `await cluster.send` of 64 bytes to one of all members until its "
    "`event` hook has it, in bursts of 128. to the smallest: the median of that ratio within each "
    "round. by word: the same with `resolve=` instead of `services=`. question: `cluster.query` "
    "to one until its answer is there, one after the other. For each of the others: bytes kept (as "
    "in `large`), and CPU time a second of hearing it while nobody talks (as in `beacons`)."
)


class Cost(NamedTuple):
    """Microseconds, in one round."""

    message: float
    by_word: float
    question: float


class Room(dict[int, Any]):
    """All announcers by port. Beacons go to the real ones: the played ones would not listen."""

    def values(self) -> Any:
        """Who hears what is said to everybody."""
        return [each for each in super().values() if isinstance(each, MemoryAnnouncer)]


class Played:
    """A member of whom there is only what it says; an announcer of a ``VirtualMesh``."""

    def __init__(self, mesh: VirtualMesh, me: Other, port: int) -> None:
        self._mesh = mesh
        self._me = me
        self._source: Address = (LOOPBACK, port)
        self.number = self.port = port
        mesh.announcers[port] = self  # type: ignore[assignment]  # what is called of one it has

    def meet(self, real: MemoryAnnouncer) -> None:
        """Proves itself to one of the real ones."""
        me, details = self._me.identity, self._me.details
        digest = codec.digest(details)
        self._say(real, Probe("default", me.id, me.boot, 1, True, details.version, digest))

    def arrived(self, data: bytes, source: Address) -> None:
        """Something for it, or for everybody. It takes part in proving alone."""
        asked, me = codec.decode_datagram(data), self._me.identity
        real = self._mesh.announcers[source[1]]
        if isinstance(asked, ProbeReply):
            said = ProbeAck("default", me.id, me.boot, asked.challenge, self._me.details, ())
            self._say(real, said)
        elif isinstance(asked, Probe):
            self._say(real, ProbeReply("default", me.id, me.boot, asked.nonce, 0, None, False))

    def _say(self, real: MemoryAnnouncer, datagram: Datagram) -> None:
        real.arrived(codec.encode_datagram(datagram), self._source)


def costs(size: int, seconds: float) -> Cost:
    """In a mesh of that size, new for each call; ``seconds`` for each of the three."""
    logger = logging.getLogger("meshcluster")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it warns: there is no secret

    async def main(mesh: VirtualMesh) -> Cost:
        mesh.announcers = Room()
        sender = await mesh.join("sender", ttl=1, secret=(), mdns=False)
        receiver = await mesh.join("receiver", ttl=1, secret=(), mdns=False)
        for port in range(FIRST_PORT, FIRST_PORT + size - 2):
            played = Played(mesh, other(port), port)
            for real in tuple(mesh.announcers.values()):
                played.meet(real)
            await asyncio.sleep(APART_SECONDS)
        for cluster in (sender, receiver):
            await cluster.wait_for_services(size - 1)
        return await _measured(sender, receiver, seconds)

    try:
        return run_virtually(main, seed=SEED)
    finally:
        logger.setLevel(level)


async def _measured(sender: AsyncCluster, receiver: AsyncCluster, seconds: float) -> Cost:
    (to,) = services = await sender.wait_for_services(resolve="receiver")
    heard = 0

    @receiver.hook("event")
    def hear(event: Message) -> None:
        nonlocal heard
        heard += bool(event.data)

    receiver.hook("query")(lambda question: question.data)

    async def burst(send: Callable[[], Awaitable[object]]) -> None:
        until = heard + BURST
        for _ in range(BURST):
            await send()
        while heard < until:  # noqa: ASYNC110 - an event would be measured too
            await asyncio.sleep(0)

    async def questions() -> None:
        for _ in range(BURST):
            assert len(await sender.query(BODY, services=services)) == 1

    return Cost(
        message=await _each(lambda: burst(lambda: sender.send(BODY, services=(to,))), seconds),
        by_word=await _each(lambda: burst(lambda: sender.send(BODY, resolve="receiver")), seconds),
        question=await _each(questions, seconds),
    )


async def _each(burst: Callable[[], Awaitable[None]], seconds: float) -> float:
    """Microseconds of one of a burst, the median of all that fit into the time."""
    took = []
    await burst()
    until = time.process_time() + seconds
    while (began := time.process_time()) < until:
        await burst()
        took.append((time.process_time() - began) / BURST)
    return median(took) * MICROSECONDS


def run(settings: Settings) -> list[Table]:
    """One table."""
    return [measured(SIZES, settings)]


def measured(sizes: tuple[int, ...], settings: Settings) -> Table:
    """For meshes of these sizes, the smallest first."""
    found: dict[int, list[Cost]] = {size: [] for size in sizes}
    for number in range(settings.repeats):
        for size in sizes:
            table.progress(f"growth: round {number + 1} of {settings.repeats}, {size:,} members")
            found[size].append(costs(size, settings.seconds / 3))
    table.progress("")
    return Table(
        name="growth", title="what a message and a member cost in a mesh of that size", unit="us",
        rounds=settings.repeats, peers=[], remarks=[REMARK],
        rows=[_row(size, found[size], found[sizes[0]]) for size in sizes],
    )  # fmt: skip


def _row(size: int, found: list[Cost], smallest: list[Cost]) -> Row:
    pairs = zip(found, smallest, strict=True)
    also = {
        "to the smallest": median(a.message / b.message for a, b in pairs),
        "by word us": median(each.by_word for each in found),
        "question us": median(each.question for each in found),
        "bytes a member": Knowing(size).bytes_each,
        "us/s a member": _quiet(size),
    }
    return rows.row(f"{size:,} members", "message", [each.message for each in found], also=also)


def _quiet(size: int) -> float:
    """What each of the others takes of a second while nobody talks."""
    member = Hearing(size)
    member.live(SETTLED_SECONDS)
    heard = member.live(HEARD_SECONDS)
    return heard.cpu_seconds / heard.seconds / (size - 1) * MICROSECONDS
