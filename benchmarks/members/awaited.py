"""The async face: ``meshcluster.AsyncCluster``, with hooks that run in the loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from meshcluster import AsyncCluster
from meshcluster.cluster import Joining

from ..task import TCP, UNIX, ZEROMQ, Task
from .load import MEET_SECONDS, AwaitedAsk, AwaitedBurst, AwaitedMark, answer, body, burst_of
from .roles import Take


class Awaited:
    """Plays every role with public names only."""

    @asynccontextmanager
    async def receive(self, task: Task, take: Take) -> AsyncIterator[None]:
        cluster = AsyncCluster()
        cluster.hook("event")(lambda event: take(event.data))
        async with join(cluster, task):
            yield

    @asynccontextmanager
    async def send(self, task: Task) -> AsyncIterator[tuple[AwaitedBurst, AwaitedMark]]:
        async with join(AsyncCluster(), task) as cluster:
            services = await cluster.wait_for_services()
            own, times = body(task), burst_of(task)

            async def burst() -> None:
                for _ in range(times):
                    await cluster.send(own, services=services)

            async def mark(data: bytes) -> None:
                await cluster.send(data, services=services)

            yield burst, mark

    @asynccontextmanager
    async def respond(self, task: Task) -> AsyncIterator[None]:
        clusters = list[AsyncCluster]()
        async with AsyncExitStack() as stack:
            for _ in range(task.held):
                cluster = AsyncCluster()
                cluster.hook("query")(lambda question: answer(task, question.data))
                await stack.enter_async_context(join(cluster, task))
                # One after the other: a hundred that all meet at once on one core are busy with
                # asking each other again, since nobody answers in time.
                await cluster.wait_for_services(len(clusters), timeout=MEET_SECONDS)
                clusters.append(cluster)
            for each in clusters:  # who still meets others answers late
                await each.wait_for_services(task.held - 1, timeout=MEET_SECONDS)
            yield

    @asynccontextmanager
    async def ask(self, task: Task) -> AsyncIterator[AwaitedAsk]:
        async with join(AsyncCluster(), task) as cluster:
            services = await cluster.wait_for_services(task.count, timeout=MEET_SECONDS)

            async def question(data: bytes) -> int:
                return len(await cluster.query(data, services=services))

            yield question

    @asynccontextmanager
    async def meet(self, task: Task, met: Callable[[], None]) -> AsyncIterator[None]:
        cluster = AsyncCluster()
        cluster.hook("service.discovered")(lambda service: met())
        async with join(cluster, task):
            yield


def join(cluster: AsyncCluster, task: Task) -> Joining:
    """Joins the measurement's own mesh."""
    protocols = [task.way] if task.way in (UNIX, TCP, ZEROMQ) else None
    return cluster.join(cluster="benchmarks", port=task.port, protocols=protocols)
