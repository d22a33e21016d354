"""Our queues beside others, each at its best: items a second from one who puts to who take."""

from __future__ import annotations

import time
from collections.abc import Iterator

from .. import against, table
from ..entrants import AWAITED_QUEUES, BLOCKING_QUEUES, JETSTREAM, MANAGER, ZMQ, Entrant
from ..process import Crew, Process
from ..settings import Settings
from ..task import ACKS, AT_MOST_ONCE, PROMISES, UNIX
from . import beside

AWAITED = {what: Entrant(name, UNIX) for what, name in zip(PROMISES, AWAITED_QUEUES, strict=True)}
BLOCKING = {what: Entrant(name, UNIX) for what, name in zip(PROMISES, BLOCKING_QUEUES, strict=True)}
OURS = (*AWAITED.values(), *BLOCKING.values())

SIZES = {64: "64 B", 1024: "1 KiB"}
CONSUMERS = {1: "one consumer", 4: "four consumers"}

WISHES = beside.wishes({JETSTREAM: 5.0}, AWAITED[ACKS]) | beside.wishes(
    {ZMQ: 0.5}, BLOCKING[AT_MOST_ONCE]
)
"""With acknowledgements beside who has them, awaited as that is; without beside who has none, and
blocks."""

API = (
    "Ours is the public API, `await queue.put(item)` and `async for item in queue`, or `put` and "
    "`for`, with its defaults: at most 1,024 items are not done. `acks`: the producer holds each "
    "item until its consumer has done it, and else gives it to another. `at_most_once`: what a "
    "consumer dies with is lost, and counted. "
)
WORK = (
    "One process puts as fast as it may, one or four others take. Counted is what the consumers' "
    "Python code had in hand during the same stretch of time, while all are at work. "
)
HOW = {
    JETSTREAM: "a work queue in memory, `publish_async` with 4,000 unconfirmed, a pull consumer "
    "with `fetch` of 256, each item acknowledged; on uvloop where that is used, a real nats-server "
    "between the two",
    ZMQ: "PUSH to a PULL of each consumer by UNIX sockets, in turn, no acknowledgements: what a "
    "consumer dies with is lost and not counted",
    MANAGER: "`put` and `get` of a manager's `Queue(1024)`, a third process, by UNIX sockets; no "
    "acknowledgements",
}
"""What is done to see each at its best."""


def run(settings: Settings) -> Iterator[table.Table]:
    """How each is used; then a table for each size and number of consumers, each as soon as it is
    finished.
    """
    compared = API + beside.COMPARED.format(usual=against.face(str(AWAITED[ACKS])))
    yield beside.how(settings, "queues", [compared, WORK, beside.SECURITY], HOW)
    for size in SIZES:
        for count in CONSUMERS:
            yield _taken(settings, size, count)


def _taken(settings: Settings, size: int, count: int) -> table.Table:
    plan = beside.plan(
        settings, f"queues-{size}-{count}", f"{SIZES[size]} items, {CONSUMERS[count]}", "/s",
        ours=OURS, names=[JETSTREAM, ZMQ, MANAGER], wishes=WISHES,
    )  # fmt: skip

    def measure(entrant: Entrant) -> table.Figure:
        with Crew(
            entrant.member, entrant.way, seconds=settings.seconds, uvloop=settings.uvloop,
            body_bytes=size,
        ) as crew:  # fmt: skip
            return table.Figure(rate(crew, count, settings.seconds))

    return table.run(plan, settings.repeats, measure)


def rate(crew: Crew, count: int, seconds: float) -> float:
    """Items a second that so many consumers took in that time."""
    producer = crew.start("put", count=count, waits=True)
    consumers = list[Process]()
    for number in range(count):  # the first makes ready what the others need
        consumers.append(crew.start("take", number=number))
        consumers[-1].hear()
    producer.go()
    producer.hear()
    before = [consumer.ask() for consumer in consumers]
    time.sleep(seconds)
    after = [consumer.ask() for consumer in consumers]
    producer.ask()
    return sum(
        (end["count"] - begin["count"]) / (end["at"] - begin["at"])
        for begin, end in zip(before, after, strict=True)
    )
