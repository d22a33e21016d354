"""Our calls beside those of everybody who has calls, each at its best."""

from __future__ import annotations

from collections.abc import Iterator

from .. import against, table
from ..entrants import (
    AWAITED_CALLS,
    BLOCKING_CALLS,
    GRPC,
    GRPC_AWAITED,
    NATS,
    PYRO,
    PYRO_BATCHES,
    RPYC,
    SOCKETS,
    ZENOH,
    Entrant,
)
from ..settings import Settings
from ..task import UNIX
from . import asking, beside

AWAITED = tuple(Entrant(name, UNIX) for name in AWAITED_CALLS)
BLOCKING = tuple(Entrant(name, UNIX) for name in BLOCKING_CALLS)

IN_TURNS = {RPYC: 1.0}
"""How many times better ours, blocking, is to be."""

AT_ONCE = {PYRO: 3.0, PYRO_BATCHES: 3.0, RPYC: 3.0, NATS: 3.0}
"""The same for ours, awaited; all of them is the best of them."""

API = (
    "Ours is the public API: `call(name, data)`, blocking with 64 in flight `go`, of a function "
    "`(data: bytes) -> bytes` whose arguments and results are checked as its annotations say. "
    "`in_loop`: it is exposed with `in_loop=True`; `async def`: it is a coroutine; `thread`: a "
    "plain function as by default, which runs on a thread. Goals are about `in_loop`. "
)
WORK = (
    "A function of another process that returns the 64 B it is given. One after the other: with "
    "calls that block, and awaited, for who has either. 64 in flight: 64 tasks, or 64 calls begun "
    "before the oldest is waited for."
)
HOW = {
    ZENOH: "a querier and a queryable, peer mode, no router; it has no asyncio",
    NATS: "`request` and `respond`, a real nats-server between the two, on uvloop where that is "
    "used; it has no calls that block",
    PYRO: "msgpack, UNIX sockets; 64 in flight: 64 threads with a proxy each; it has no asyncio",
    PYRO_BATCHES: "64 calls in one request, for who can wait until 64 are together",
    RPYC: "UNIX sockets, not compressed; 64 in flight: `async_` calls; it has no asyncio",
    GRPC: "UNIX sockets, bytes without protobuf, its blocking API; 64 in flight: futures",
    GRPC_AWAITED: "the same by its asyncio API, at both ends",
}
"""What is done to see each at its best."""


def run(settings: Settings) -> Iterator[table.Table]:
    """How each is used; then a table of calls that block, of those that are awaited, and of many
    at once, each as soon as it is finished.
    """
    compared = API + beside.COMPARED.format(usual=against.face(str(BLOCKING[0])))
    compared += f" In the other two tables it is that of `{against.face(str(AWAITED[0]))}`."
    yield beside.how(settings, "calls", [compared, WORK, beside.SECURITY], HOW)
    yield _blocking(settings)
    yield _awaited(settings)
    yield _at_once(settings)


def _blocking(settings: Settings) -> table.Table:
    plan = beside.plan(
        settings, "calls-sync", "64 B calls one after the other, blocking, two processes", "us",
        ours=BLOCKING, names=[ZENOH, PYRO, RPYC, GRPC], more=[Entrant(SOCKETS, UNIX)],
        wishes=beside.wishes(IN_TURNS, BLOCKING[0]),
    )  # fmt: skip
    return asking.run(plan, settings, responders=1)


def _awaited(settings: Settings) -> table.Table:
    plan = beside.plan(
        settings, "calls-async", "64 B calls one after the other, awaited, two processes", "us",
        ours=AWAITED, names=[NATS, GRPC_AWAITED], wishes={},
    )  # fmt: skip
    return asking.run(plan, settings, responders=1)


def _at_once(settings: Settings) -> table.Table:
    plan = beside.plan(
        settings, "calls-inflight", "64 B calls with 64 on their way, two processes", "/s",
        ours=(*AWAITED, *BLOCKING),
        names=[ZENOH, NATS, PYRO, PYRO_BATCHES, RPYC, GRPC, GRPC_AWAITED],
        more=[Entrant(SOCKETS, UNIX)], wishes=beside.wishes(AT_ONCE, AWAITED[0]),
    )  # fmt: skip
    return asking.at_once(plan, settings)
