"""Ours beside everybody else's, each used at its best, in all the ways messages are moved."""

from __future__ import annotations

from collections.abc import Iterator

from .. import against, table
from ..entrants import (
    AWAITED,
    BATCHES,
    BLOCKING,
    GRPC,
    MEMBERS,
    NATS,
    PYRE,
    PYRO,
    PYRO_BATCHES,
    RPYC,
    SERF,
    SOCKETS,
    ZENOH,
    ZMQ,
    Entrant,
)
from ..process import Crew
from ..settings import Settings
from ..task import TCP, UNIX
from . import asking, beside, oneway

KIB, MIB = 1024, 1024 * 1024
SIZES = {64: "64 B", KIB: "1 KiB", 64 * KIB: "64 KiB", MIB: "1 MiB"}
RESPONDERS = (8, 32, 100)
SERF_RESPONDERS = 32
"""More of its agents, a process each, do not answer in time on two cores."""

PYRE_RESPONDERS = 32
"""Its nodes are a full mesh of sockets: 10,000 of them for a hundred."""

BY_UNIX, BY_TCP, BLOCKS = Entrant(AWAITED, UNIX), Entrant(AWAITED, TCP), Entrant(BLOCKING, UNIX)
OURS = (BY_UNIX, BY_TCP, BLOCKS)
TALKERS = (ZENOH, NATS, PYRE, PYRO, RPYC, GRPC, ZMQ)
PEERS = (*TALKERS, SERF)

EACH_WAY = {
    64: {ZENOH: 1.5, NATS: 5, PYRE: 20, PYRO: 50, PYRO_BATCHES: 50, RPYC: 50, GRPC: 30},
    KIB: {ZENOH: 1.2, NATS: 5, PYRE: 20, PYRO: 50, PYRO_BATCHES: 50, RPYC: 50, GRPC: 30},
    64 * KIB: {ZENOH: 1.5, NATS: 5, PYRE: 3, PYRO: 5, PYRO_BATCHES: 5, RPYC: 10, GRPC: 3},
    MIB: {ZENOH: 1.5},
}
"""How many times better ours is to be, by size and peer."""

TURNS = {ZENOH: 2.2, NATS: 2.5, PYRE: 3, GRPC: 4}
BLOCKING_TURNS = {PYRO: 1.0, RPYC: 1.0}
AT_ONCE = {ZENOH: 8, PYRE: 8, PYRO: 5, PYRO_BATCHES: 5, RPYC: 3, GRPC: 10}
GATHERED = {
    8: {ZENOH: 3, NATS: 3, PYRE: 3, PYRO: 1.5, RPYC: 1.5, GRPC: 8, SERF: 100},
    32: {ZENOH: 3, NATS: 3, PYRE: 4, PYRO: 2, RPYC: 2, GRPC: 8, SERF: 100},
    100: {ZENOH: 5, NATS: 4, PYRO: 2, RPYC: 2, GRPC: 8},
}

API = "Ours is the public API: `send`, `query`, hooks and accounting as they are. "
WORK = (
    "One way: messages a second that are counted in the receiver's Python handler, between two "
    "marks that travel with them, so all that was sent has arrived. Round trip: one question after "
    "the other, the answer is the question. 64 in flight: 64 tasks, or 64 questions begun before "
    "the oldest is waited for. Gather: a question until all have answered, all of whom are in one "
    "other process, each with its own links (serf's agents: a process each)."
)
HOW = {
    ZENOH: "peer mode, no router; over 3 KiB it sends through shared memory by itself",
    NATS: "a real nats-server between the two; on uvloop where that is used",
    PYRE: "found by its beacons; 256 messages on their way at most, or it drops them",
    PYRO: "msgpack, UNIX sockets, `@oneway` calls; 64 in flight: 64 threads with a proxy each; "
    "gather: one proxy after the other, which is faster than a thread each",
    PYRO_BATCHES: "64 calls in one request, which is Pyro5's best way to move many",
    RPYC: "UNIX sockets, not compressed, `async_` calls; one way: 256 that nobody has waited for",
    GRPC: "UNIX sockets, bytes without protobuf, its blocking API, which is the faster one; "
    "one way: a client's stream",
    ZMQ: "bare sockets by UNIX sockets: PUSH to PULL, DEALER to DEALER; it discovers nobody",
    SERF: "`serf query` by the agents' RPC, profile `local`; an agent's responder is Python; "
    "a query that lacks answers, as many do, is not timed: they are counted as lost",
}
"""What is done to see each at its best."""


def run(settings: Settings) -> Iterator[table.Table]:
    """How each is used; then a table for each size one way and in turns, one with many at once, one
    for each crowd, each as soon as it is finished.
    """
    compared = API + beside.COMPARED.format(usual=against.face(str(BY_UNIX)))
    yield beside.how(settings, "peers", [compared, WORK, beside.SECURITY], HOW)
    for size in SIZES:
        yield _one_way(settings, size)
    for size in SIZES:
        yield _in_turns(settings, size)
    yield _at_once(settings)
    for count in RESPONDERS:
        yield _gathered(settings, count)


def _one_way(settings: Settings, size: int) -> table.Table:
    plan = beside.plan(
        settings, f"peers-oneway-{size}", f"{SIZES[size]} one way, two processes", "/s", ours=OURS,
        names=[*TALKERS, PYRO_BATCHES], more=[Entrant(BATCHES, UNIX)],
        wishes=beside.wishes(EACH_WAY[size], BY_UNIX),
    )  # fmt: skip
    return oneway.measured(plan, settings, body_bytes=size)


def _in_turns(settings: Settings, size: int) -> table.Table:
    turns = beside.wishes(TURNS, BY_UNIX) | beside.wishes(BLOCKING_TURNS, BLOCKS)
    plan = beside.plan(
        settings, f"peers-roundtrip-{size}",
        f"sequential {SIZES[size]} round trip, two processes", "us", ours=OURS,
        names=TALKERS, more=[Entrant(SOCKETS, UNIX)],
        wishes=turns if size == min(SIZES) else {},
    )  # fmt: skip
    return asking.run(plan, settings, responders=1, body_bytes=size)


def _at_once(settings: Settings) -> table.Table:
    nats = 4 if settings.uvloop else 2.5
    plan = beside.plan(
        settings, "peers-inflight", "64 B questions answered with 64 on their way", "/s", ours=OURS,
        names=[*TALKERS, PYRO_BATCHES], more=[Entrant(SOCKETS, UNIX)],
        wishes=beside.wishes(AT_ONCE | {NATS: nats}, BY_UNIX),
    )  # fmt: skip
    return asking.at_once(plan, settings)


def _gathered(settings: Settings, count: int) -> table.Table:
    names = [
        name for name in PEERS
        if not (name == SERF and count > SERF_RESPONDERS)
        and not (name == PYRE and count > PYRE_RESPONDERS)
    ]  # fmt: skip
    plan = beside.plan(
        settings, f"peers-gather-{count}", f"a 64 B query until {count} have answered", "us",
        ours=OURS, names=names, wishes=beside.wishes(GATHERED[count], BY_UNIX),
    )  # fmt: skip

    def measure(entrant: Entrant) -> table.Figure:
        seconds, uvloop = settings.seconds, settings.uvloop
        with Crew(entrant.member, entrant.way, seconds=seconds, uvloop=uvloop) as crew:
            member = MEMBERS[AWAITED] if entrant.name == BLOCKING else ""
            responders = crew.start("respond", member=member, held=count)
            asker = crew.start("ask", count=count, waits=True)
            responders.hear()
            asker.go()
            got = asker.hear()
        median, p99 = got["median"] * asking.MICROSECONDS, got["p99"] * asking.MICROSECONDS
        return table.Figure(median, p99=p99, lost=int(got["lost"]))

    return table.run(plan, settings.repeats, measure)
