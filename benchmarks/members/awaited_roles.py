"""The roles of ``roles.py``, for members that are awaited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from ..task import AGAIN, Line, Task
from . import load
from .roles import Meeting, Take, rehearsal
from .tally import Count, Tally


class AwaitedMember(Protocol):
    """What is measured; ``roles.Member`` tells what each method does."""

    def receive(self, task: Task, take: Take) -> AbstractAsyncContextManager[None]: ...

    def send(
        self, task: Task
    ) -> AbstractAsyncContextManager[tuple[load.AwaitedBurst, load.AwaitedMark]]: ...

    def respond(self, task: Task) -> AbstractAsyncContextManager[None]: ...

    def ask(self, task: Task) -> AbstractAsyncContextManager[load.AwaitedAsk]: ...

    def meet(self, task: Task, met: Callable[[], None]) -> AbstractAsyncContextManager[None]: ...


async def receive(member: AwaitedMember, task: Task, line: Line) -> None:
    """The counting end of the one-way part."""
    tally = Tally()
    async with member.receive(task, tally.take):
        line.tell()
        await asyncio.to_thread(tally.ended.wait)
        line.tell(rate=tally.rate, received=tally.received)
        await asyncio.to_thread(line.hear)


async def send(member: AwaitedMember, task: Task, line: Line) -> None:
    """The sending end of the one-way part: one task that awaits each send."""
    async with member.send(task) as (burst, mark):
        line.tell(sent=await load.send_awaited(burst, mark, task))
        await asyncio.to_thread(line.hear)


async def take(member: AwaitedMember, task: Task, line: Line) -> None:
    """Who takes from a queue: says how many items it had whenever it is asked."""
    count = Count()
    async with member.receive(task, count.take):
        line.tell()
        while await asyncio.to_thread(line.hear):
            line.tell(**count.figures())


async def put(member: AwaitedMember, task: Task, line: Line) -> None:
    """Who puts into a queue, until it is told to end; says when it has left."""
    async with member.send(task) as (burst, _):
        await load.put_awaited(burst, line)
    line.tell()


async def respond(member: AwaitedMember, task: Task, line: Line) -> None:
    """Who is asked."""
    async with member.respond(task):
        line.tell()
        await asyncio.to_thread(line.hear)


async def ask(member: AwaitedMember, task: Task, line: Line) -> None:
    """Who asks: one task that awaits each answer."""
    async with member.ask(task) as question:
        line.tell(**await load.ask_awaited(question, task))
        await asyncio.to_thread(line.hear)


async def ask_many(member: AwaitedMember, task: Task, line: Line) -> None:
    """Who asks in many tasks."""
    async with member.ask(task) as question:
        line.tell(**await load.ask_many_awaited(question, task))
        await asyncio.to_thread(line.hear)


async def meet(member: AwaitedMember, task: Task, line: Line) -> None:
    """Who joins when told to, and says when it knew all others."""
    if task.way == AGAIN:
        async with member.meet(rehearsal(task), lambda: None):
            pass
    meeting = Meeting(task.count)
    line.tell()
    line.hear()
    began = time.monotonic()
    async with member.meet(task, meeting.met):
        line.tell(began=began)
        await asyncio.to_thread(meeting.complete.wait)
        line.tell(knew=meeting.knew)
        await asyncio.to_thread(line.hear)
