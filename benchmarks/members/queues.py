"""Our queues, by both faces: one at who puts, and one at each who takes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from meshcluster import AsyncCluster, Cluster

from ..task import AT_MOST_ONCE, Task
from . import awaited, blocking
from .load import AwaitedBurst, AwaitedMark, Burst, Mark, body, burst_of
from .roles import Take

NAME = "items"


class AwaitedQueues(awaited.Awaited):
    """Plays who puts and who takes, by ``AsyncCluster.queue``."""

    def __init__(self, *, promise: str) -> None:
        self._at_most_once = promise == AT_MOST_ONCE

    @asynccontextmanager
    async def receive(self, task: Task, take: Take) -> AsyncIterator[None]:
        async with awaited.join(AsyncCluster(), task) as cluster:
            queue = cluster.queue(NAME, at_most_once=self._at_most_once)

            async def taking() -> None:
                async for item in queue:
                    take(item)

            taker = asyncio.create_task(taking())
            yield
            taker.cancel()

    @asynccontextmanager
    async def send(self, task: Task) -> AsyncIterator[tuple[AwaitedBurst, AwaitedMark]]:
        async with awaited.join(AsyncCluster(), task) as cluster:
            queue = cluster.queue(NAME, at_most_once=self._at_most_once)
            await queue.wait_ready(task.count)
            own, times = body(task), burst_of(task)

            async def burst() -> None:
                for _ in range(times):
                    await queue.put(own)

            yield burst, queue.put
            await queue.close(drain_timeout=10)


class BlockingQueues(blocking.Blocking):
    """Plays who puts and who takes, by ``Cluster.queue``."""

    def __init__(self, *, promise: str) -> None:
        super().__init__()
        self._at_most_once = promise == AT_MOST_ONCE

    @contextmanager
    def receive(self, task: Task, take: Take) -> Iterator[None]:
        with blocking.join(Cluster(), task) as cluster:
            queue = cluster.queue(NAME, at_most_once=self._at_most_once)

            def taking() -> None:
                for item in queue:
                    take(item)

            taker = threading.Thread(target=taking)
            taker.start()
            yield
            queue.close()
            taker.join()

    @contextmanager
    def send(self, task: Task) -> Iterator[tuple[Burst, Mark]]:
        with blocking.join(Cluster(), task) as cluster:
            queue = cluster.queue(NAME, at_most_once=self._at_most_once)
            queue.wait_ready(task.count)
            put, data, times = queue.put, body(task), burst_of(task)

            def burst() -> None:
                for _ in range(times):
                    put(data)

            yield burst, put
            queue.close(drain_timeout=10)
