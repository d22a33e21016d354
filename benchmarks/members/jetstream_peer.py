"""A work queue of NATS JetStream, by nats-py and a real nats-server, which is a third process.

At its best: uvloop where that may be used, storage in memory, confirmations of what was published
waited for by thousands, items fetched by hundreds, each acknowledged without an answer to that.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from nats.errors import ConnectionClosedError
from nats.errors import TimeoutError as NothingCame
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy, StorageType, StreamConfig

from ..task import Task
from .load import AwaitedBurst, AwaitedMark, body, burst_of
from .nats_peer import SUBJECT, connected, serving
from .roles import Take

CONFIG = """
jetstream {{ store_dir: "{folder}", max_mem: 4GB }}
"""
STREAM = DURABLE = "items"
BATCH = 256
WAITING = 16 * BATCH
"""Items that were fetched and are not acknowledged, at most."""


class JetStream:
    """Plays who puts and who takes; the first who takes runs the server."""

    @asynccontextmanager
    async def receive(self, task: Task, take: Take) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if task.number == 0:
                stack.enter_context(serving(task, CONFIG.format(folder=task.folder)))
            client = await stack.enter_async_context(connected(task))
            stream = client.jetstream()
            if task.number == 0:
                await stream.add_stream(
                    StreamConfig(
                        name=STREAM, subjects=[SUBJECT], storage=StorageType.MEMORY,
                        retention=RetentionPolicy.WORK_QUEUE,
                    )
                )  # fmt: skip
            asked = ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, max_ack_pending=WAITING)
            pull = await stream.pull_subscribe(SUBJECT, DURABLE, stream=STREAM, config=asked)

            async def taking() -> None:
                with suppress(ConnectionClosedError):  # it makes this of being cancelled
                    while True:
                        try:
                            messages = await pull.fetch(BATCH, timeout=1)
                        except NothingCame:
                            continue
                        for message in messages:
                            take(message.data)
                            await message.ack()

            taker = asyncio.create_task(taking())
            yield
            taker.cancel()

    @asynccontextmanager
    async def send(self, task: Task) -> AsyncIterator[tuple[AwaitedBurst, AwaitedMark]]:
        async with connected(task) as client:
            stream = client.jetstream()
            own, times = body(task), burst_of(task)

            async def burst() -> None:
                for _ in range(times):
                    await stream.publish_async(SUBJECT, own)

            async def mark(data: bytes) -> None:
                await stream.publish(SUBJECT, data)

            yield burst, mark
            await stream.publish_async_completed()
