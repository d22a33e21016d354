"""One message from one member to another, step by step, as a busy sender makes them: many wait,
and go as one batch.
"""

from __future__ import annotations

import asyncio
from time import perf_counter_ns

from meshcluster import Message
from meshcluster.node.session import BATCH_MESSAGES
from meshcluster.security.records import Records
from meshcluster.wire import codec

from .cable import Cable
from .pair import BODY, Pair
from .stopwatch import Stopwatch

SEND = "AsyncCluster.send, awaited"
TELL = "of it Driver.tell: receiver, body, append"
TAKE = "Links.take_frames: a batch of 256 is numbered, encoded, kept"
ENCODE = "of it the encoder (msgspec)"
SEAL = "Records.seal, where links are sealed (not in the sum)"
WRITE = "StreamLink.send: one write to the socket"
READ = "Splitter.buffer, recv_into"
CUT = "Splitter.advance"
OPEN = "Records.open, where links are sealed (not in the sum)"
RECEIVE = "Node.frames_received: decoded, in order, acknowledged"
DECODE = "of it the decoder (msgspec)"
HOOKS = "HookCalls.run_events: message, hook, `event.data`"
HOOK = "of it the hook of this measurement"
CREDIT = "credit and acknowledgement, there and back"
STEPS = (SEND, TAKE, WRITE, READ, CUT, RECEIVE, HOOKS, CREDIT)
INSIDE = (TELL, ENCODE, DECODE, HOOK, SEAL, OPEN)
ORDER = (
    SEND, TELL, TAKE, ENCODE, SEAL, WRITE, READ, CUT, OPEN, RECEIVE, DECODE, HOOKS, HOOK, CREDIT
)  # fmt: skip


async def steps(pair: Pair, cable: Cable, rounds: int) -> Stopwatch:
    """Each lap is one batch of ``BATCH_MESSAGES``."""
    watch = Stopwatch()
    near, far = pair.near, pair.far
    send, services, tell = near.cluster.send, (near.service,), near.driver.tell
    sealed = Records(bytes(32), bytes(32)), Records(bytes(32), bytes(32))
    with pair.by_hand() as (out, back):
        for _ in range(rounds):
            near.session.awake = True  # nobody is woken: what is put waits for us
            near.cluster._sends = 0  # the turn of others falls on the last message
            watch.start()
            for _ in range(BATCH_MESSAGES):
                await send(BODY, services=services)
            watch.lap(SEND)
            near.session.waiting.clear()
            pair.carry(out, back)  # a timer of theirs may have written
            watch.start()
            for _ in range(BATCH_MESSAGES):
                tell(BODY, None, services, 0)
            watch.lap(TELL)
            *others, frame = near.driver.node.take_frames(near.node_link)
            watch.lap(TAKE)
            far.receive(others)
            batch = codec.decode_frame(frame)
            watch.start()
            codec.encode_frame(batch)
            watch.lap(ENCODE)
            record = sealed[0].seal(frame)
            watch.lap(SEAL)
            cable.carry(frame, watch, (WRITE, READ, CUT))
            sealed[1].open(record)
            watch.lap(OPEN)
            codec.decode_frame(frame)
            watch.lap(DECODE)
            far.driver.node.frames_received(far.node_link, [frame], far.driver.time())
            watch.lap(RECEIVE)
            far.driver._perform()
            watch.lap(HOOKS)
            far.driver.step()
            pair.carry(out, back)
            near.driver._drain()
            watch.lap(CREDIT)
            _hooks_alone(pair, watch)
            pair.carry(out, back)
    return watch


def _hooks_alone(pair: Pair, watch: Stopwatch) -> None:
    calls = pair.far.driver.runner._calls
    (hook,) = calls.hooks.chain("event", 0, "unix")
    message = Message(pair.far.service, 0, 1, BODY, "unix")
    watch.start()
    for _ in range(BATCH_MESSAGES):
        hook(message)
    watch.lap(HOOK)


async def whole(pair: Pair, batches: int) -> list[float]:
    """Nanoseconds a message, of so many ``batches`` sent and heard by real sockets."""
    send, services = pair.near.cluster.send, (pair.near.service,)
    times = []
    for _ in range(batches):
        wanted = pair.heard[0] + 4 * BATCH_MESSAGES
        began = perf_counter_ns()
        for _ in range(4 * BATCH_MESSAGES):
            await send(BODY, services=services)
        while pair.heard[0] < wanted:  # noqa: ASYNC110, the hook shall do nothing but count
            await asyncio.sleep(0)
        times.append((perf_counter_ns() - began) / (4 * BATCH_MESSAGES))
    return times
