"""One question and its answer, step by step: one at a time, so that each frame carries one message.

What the waking of processes takes is not in it: both members are in one loop.
"""

from __future__ import annotations

import asyncio
from time import perf_counter_ns

from meshcluster import AsyncQuery, Service

from .cable import Cable
from .oneway import CUT, READ, WRITE
from .pair import BODY, Pair
from .stopwatch import Stopwatch

QUERY = "AsyncCluster.query: until its frame is at the link"
WHOM = "of it Asking.tell: whom, the body, what is to be collected"
TAKE = "of it Links.take_frames: a batch of one is numbered, encoded, kept"
HEAR = "Node.frames_received: the question decoded, in order"
RESPOND = "Driver._perform: message, hook, answer encoded and put"
REPLY = "Driver.step: the answer's frame to the link, timer set"
HEAR_ANSWER = "Node.frames_received: the answer, the query is over"
TELL = "Driver._perform: AsyncQuery.progress"
WAIT = "a task waits and is woken: future, two turns of the loop"
TURN = "a turn of the loop: select, one callback"
STEPS = {
    QUERY: 1, WRITE: 2, TURN: 2, READ: 2, CUT: 2, HEAR: 1, RESPOND: 1, REPLY: 1, HEAR_ANSWER: 1,
    TELL: 1, WAIT: 1,
}  # fmt: skip
"""How often each is done in one round trip."""
INSIDE = (WHOM, TAKE)
ORDER = (
    QUERY, WHOM, TAKE, WRITE, TURN, READ, CUT, HEAR, RESPOND, REPLY, HEAR_ANSWER, TELL, WAIT
)  # fmt: skip


async def steps(pair: Pair, cable: Cable, rounds: int) -> Stopwatch:
    """Each lap is one question's."""
    watch = Stopwatch()
    near, far = pair.near, pair.far
    services = (near.service,)
    with pair.by_hand() as (out, back):
        for _ in range(rounds):
            pair.carry(out, back)  # a timer of theirs may have written
            watch.start()
            query = near.cluster.query(BODY, services=services)
            watch.lap(QUERY)
            *others, question = out.take()
            far.receive(others)
            cable.carry(question, watch, (WRITE, READ, CUT))
            watch.start()
            far.driver.node.frames_received(far.node_link, [question], far.driver.time())
            watch.lap(HEAR)
            far.driver._perform()
            watch.lap(RESPOND)
            far.driver._drain()
            watch.lap(REPLY)
            *others, answer = back.take()
            near.receive(others)
            watch.start()
            near.driver.node.frames_received(near.node_link, [answer], near.driver.time())
            watch.lap(HEAR_ANSWER)
            near.driver._perform()
            near.driver.step()
            watch.lap(TELL)
            await query
            pair.carry(out, back)
            await _loop_alone(watch)
            _asking_alone(pair, watch, services)
            pair.carry(out, back)
    return watch


async def _loop_alone(watch: Stopwatch) -> None:
    loop, changed = asyncio.get_running_loop(), asyncio.Event()
    watch.start()
    await asyncio.sleep(0)
    watch.lap(TURN)
    loop.call_soon(changed.set)
    await changed.wait()
    watch.lap(WAIT)


def _asking_alone(pair: Pair, watch: Stopwatch, services: tuple[Service, ...]) -> None:
    near = pair.near
    asking = near.driver.asking
    watch.start()
    gathering = asking.gathering(30.0, watched=False)
    query = AsyncQuery(gathering, asking, None)
    asking.tell(gathering, query, BODY, None, None, services, 0, None, at_once=False)
    watch.lap(WHOM)
    watch.start()
    frames = near.driver.node.take_frames(near.node_link)
    watch.lap(TAKE)
    pair.far.receive(frames)


async def whole(pair: Pair, rounds: int) -> list[float]:
    """Nanoseconds of round trips by real sockets, one after the other."""
    query, services = pair.near.cluster.query, (pair.near.service,)
    times: list[float] = []
    for _ in range(rounds):
        began = perf_counter_ns()
        await query(BODY, services=services)
        times.append(perf_counter_ns() - began)
    return times
