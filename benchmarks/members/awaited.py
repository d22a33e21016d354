"""The async face: ``meshcluster.AsyncCluster``. Its roles are those of ``roles.py``, awaited."""

from __future__ import annotations

import asyncio
import time

from meshcluster import AsyncCluster
from meshcluster.cluster import Joining

from ..task import AGAIN, TCP, UNIX, ZEROMQ, Line, Task
from . import load
from .roles import Meeting, rehearsal
from .tally import Tally


async def receive(task: Task, line: Line) -> None:
    """The counting end of the one-way part; the hook runs in the loop."""
    tally = Tally()
    cluster = AsyncCluster()
    cluster.hook("event")(lambda event: tally.take(event.data))
    async with join(cluster, task):
        line.tell()
        await asyncio.to_thread(tally.ended.wait)
        line.tell(rate=tally.rate, received=tally.received)
        await asyncio.to_thread(line.hear)


async def send(task: Task, line: Line) -> None:
    """The sending end of the one-way part: one task that awaits each send."""
    async with join(AsyncCluster(), task) as cluster:
        services = await cluster.wait_for_services()

        async def burst() -> None:
            for _ in range(load.BURST):
                await cluster.send(load.BODY, services=services)

        async def mark(data: bytes) -> None:
            await cluster.send(data, services=services)

        line.tell(sent=await load.send_awaited(burst, mark, task.seconds))
        await asyncio.to_thread(line.hear)


async def respond(task: Task, line: Line) -> None:
    """Who is asked; the hook runs in the loop."""
    cluster = AsyncCluster()
    cluster.hook("query")(lambda question: question.data)
    async with join(cluster, task):
        line.tell()
        await asyncio.to_thread(line.hear)


async def ask(task: Task, line: Line) -> None:
    """Who asks: one task that awaits each query."""
    async with join(AsyncCluster(), task) as cluster:
        services = await cluster.wait_for_services(task.count)

        async def question(data: bytes) -> int:
            return len(await cluster.query(data, services=services))

        line.tell(**await load.ask_awaited(question, task.seconds, task.count))
        await asyncio.to_thread(line.hear)


async def meet(task: Task, line: Line) -> None:
    """Who joins when told to, and says when it knew all others."""
    if task.way == AGAIN:
        async with join(AsyncCluster(), rehearsal(task)):
            pass
    meeting = Meeting(task.count)
    cluster = AsyncCluster()
    cluster.hook("service.discovered")(lambda service: meeting.met())
    line.tell()
    line.hear()
    began = time.monotonic()
    async with join(cluster, task):
        line.tell(began=began)
        await asyncio.to_thread(meeting.complete.wait)
        line.tell(knew=meeting.knew)
        await asyncio.to_thread(line.hear)


def join(cluster: AsyncCluster, task: Task) -> Joining:
    """Joins the measurement's own mesh."""
    protocols = [task.way] if task.way in (UNIX, TCP, ZEROMQ) else None
    return cluster.join(cluster="benchmarks", port=task.port, protocols=protocols)
