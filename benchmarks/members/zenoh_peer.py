"""eclipse-zenoh, used as its documentation says: sessions in peer mode, no router.

Where throughput is measured its publisher may not drop (``CongestionControl.BLOCK``) and finds the
subscriber by a given endpoint; where discovery is measured it scouts by multicast.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import zenoh

from ..task import UNIX, Task
from .load import Ask, Burst, Flood, Mark, ask_many, body, burst_of
from .roles import Take

KEY = "benchmarks/key"
SCOUT_GROUP = "224.0.0.224"


class Zenoh:
    """Plays every role with zenoh's own blocking calls; it has no others."""

    @contextmanager
    def receive(self, task: Task, take: Take) -> Iterator[None]:
        with zenoh.open(listening(task)) as session:
            session.declare_subscriber(KEY, lambda sample: take(sample.payload.to_bytes()))
            yield

    @contextmanager
    def send(self, task: Task) -> Iterator[tuple[Burst, Mark]]:
        with zenoh.open(connecting(task)) as session:
            block = zenoh.CongestionControl.BLOCK
            publisher = session.declare_publisher(KEY, congestion_control=block)
            # The stubs say that matching_status is a bool; it is an object, which is always true.
            wait_until(lambda: getattr(publisher.matching_status, "matching"))  # noqa: B009
            put, data, times = publisher.put, body(task), burst_of(task)

            def burst() -> None:
                for _ in range(times):
                    put(data)

            yield burst, put

    @contextmanager
    def respond(self, task: Task) -> Iterator[None]:
        def answer(question: zenoh.Query) -> None:
            with question:
                payload = question.payload
                assert payload is not None
                question.reply(KEY, payload.to_bytes())

        with ExitStack() as stack:
            for number in range(task.number, task.number + task.held):
                session = stack.enter_context(zenoh.open(listening(task, number)))
                session.declare_queryable(KEY, answer)
            yield

    @contextmanager
    def ask(self, task: Task) -> Iterator[Ask]:
        with zenoh.open(connecting(task)) as session:
            querier = session.declare_querier(
                KEY, target=zenoh.QueryTarget.ALL, consolidation=zenoh.ConsolidationMode.NONE
            )

            def question(data: bytes) -> int:
                return sum(len(answer(reply)) == len(data) for reply in querier.get(payload=data))

            wait_until(lambda: question(body(task)) == task.count)
            yield question

    @contextmanager
    def ask_many(self, task: Task) -> Iterator[Flood]:
        with zenoh.open(connecting(task)) as session:
            querier = session.declare_querier(KEY, consolidation=zenoh.ConsolidationMode.NONE)

            def begin(data: bytes) -> Callable[[], object]:
                replies = querier.get(payload=data)
                return lambda: [answer(reply) for reply in replies]

            wait_until(lambda: bool(begin(body(task))()))
            yield partial(ask_many, begin, task)

    @contextmanager
    def meet(self, task: Task, met: Callable[[], None]) -> Iterator[None]:
        with zenoh.open(scouting(task)) as session:
            own = f"benchmarks/member/{os.getpid()}"

            def seen(sample: zenoh.Sample) -> None:
                if str(sample.key_expr) != own and sample.kind == zenoh.SampleKind.PUT:
                    met()

            liveliness = session.liveliness()
            token = liveliness.declare_token(own)
            liveliness.declare_subscriber("benchmarks/member/*", seen, history=True)
            yield
            del token


def answer(reply: zenoh.Reply) -> bytes:
    """The bytes of an answer; none for an error."""
    return b"" if reply.ok is None else reply.ok.payload.to_bytes()


def wait_until(true: Callable[[], bool]) -> None:
    """Looks again and again; the parent ends who waits for too long."""
    while not true():
        time.sleep(0.01)


def listening(task: Task, number: int = 0) -> zenoh.Config:
    """For who is there first."""
    return config(**{"listen/endpoints": [endpoint(task, number)]})


def connecting(task: Task) -> zenoh.Config:
    """For who comes to one or more that listen."""
    endpoints = [endpoint(task, number) for number in range(task.count)]
    return config(**{"connect/endpoints": endpoints, "listen/endpoints": []})


def scouting(task: Task) -> zenoh.Config:
    """For who knows nobody: multicast on the loopback interface."""
    return config(
        **{
            "listen/endpoints": ["tcp/127.0.0.1:0"],
            "scouting/multicast/enabled": True,
            "scouting/multicast/address": f"{SCOUT_GROUP}:{task.port}",
            "scouting/multicast/interface": "lo",
        }
    )


def config(**settings: object) -> zenoh.Config:
    """A peer that scouts only when told to."""
    made = zenoh.Config()
    for key, value in ({"mode": "peer", "scouting/multicast/enabled": False} | settings).items():
        made.insert_json5(key, json.dumps(value))
    return made


def endpoint(task: Task, number: int) -> str:
    """Where the member of that number listens."""
    if task.way == UNIX:
        return f"unixsock-stream/{task.folder}/zenoh{number}"
    return f"tcp/127.0.0.1:{task.port + number}"
