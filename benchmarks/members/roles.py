"""The roles, for members that block. Each begins by saying that it is ready."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Protocol

from ..task import AGAIN, Line, Task
from . import load
from .tally import Count, Tally

Take = Callable[[bytes], None]


class Member(Protocol):
    """What is measured. Each method enters the mesh, or its like, and leaves at the end."""

    def receive(self, task: Task, take: Take) -> AbstractContextManager[None]:
        """Calls ``take`` with each message."""

    def send(self, task: Task) -> AbstractContextManager[tuple[load.Burst, load.Mark]]:
        """Gives what sends to the receiver, who is there already."""

    def respond(self, task: Task) -> AbstractContextManager[None]:
        """Answers each question with ``load.answer``, as each of the members it holds."""

    def ask(self, task: Task) -> AbstractContextManager[load.Ask]:
        """Gives what asks the responders, who are there already."""

    def ask_many(self, task: Task) -> AbstractContextManager[load.Flood]:
        """Gives what asks the one responder, who is there already, without waiting for each."""

    def work(self, task: Task) -> AbstractContextManager[Iterator[float]]:
        """Gives the results of tasks that workers do, who are there already, without end: the
        square roots of numbers, in any order.
        """

    def meet(self, task: Task, met: Callable[[], None]) -> AbstractContextManager[None]:
        """Joins at once and calls ``met`` for each other member that is discovered."""


class Meeting:
    """Notes when the last of those who are awaited was met."""

    def __init__(self, count: int) -> None:
        self._left = count
        self.complete = threading.Event()
        self.knew = 0.0

    def met(self) -> None:
        """One more is known."""
        self._left -= 1
        if self._left == 0:
            self.knew = time.monotonic()  # one clock for all processes of a machine
            self.complete.set()


def rehearsal(task: Task) -> Task:
    """The same elsewhere, where nobody is met."""
    return replace(task, port=task.port + 1)


def receive(member: Member, task: Task, line: Line) -> None:
    """The counting end of the one-way part."""
    tally = Tally()
    with member.receive(task, tally.take):
        line.tell()
        tally.ended.wait()
        line.tell(rate=tally.rate, received=tally.received)
        line.hear()


def send(member: Member, task: Task, line: Line) -> None:
    """The sending end of the one-way part."""
    with member.send(task) as (burst, mark):
        line.tell(sent=load.send(burst, mark, task))
        line.hear()


def take(member: Member, task: Task, line: Line) -> None:
    """Who takes from a queue: says how many items it had whenever it is asked."""
    count = Count()
    with member.receive(task, count.take):
        line.tell()
        while line.hear():
            line.tell(**count.figures())


def put(member: Member, task: Task, line: Line) -> None:
    """Who puts into a queue, until it is told to end; says when it has left."""
    with member.send(task) as (burst, _):
        load.put(burst, line)
    line.tell()


def respond(member: Member, task: Task, line: Line) -> None:
    """Who is asked."""
    with member.respond(task):
        line.tell()
        line.hear()


def ask(member: Member, task: Task, line: Line) -> None:
    """Who asks."""
    with member.ask(task) as question:
        line.tell(**load.ask(question, task))
        line.hear()


def ask_many(member: Member, task: Task, line: Line) -> None:
    """Who asks without waiting for each answer."""
    with member.ask_many(task) as flood:
        line.tell(**flood())
        line.hear()


def work(member: Member, task: Task, line: Line) -> None:
    """Who has others work."""
    with member.work(task) as results:
        line.tell(**load.work(results, task))
        line.hear()


def meet(member: Member, task: Task, line: Line) -> None:
    """Who joins when told to, and says when it knew all others."""
    if task.way == AGAIN:
        with member.meet(rehearsal(task), lambda: None):
            pass
    meeting = Meeting(task.count)
    line.tell()
    line.hear()
    began = time.monotonic()
    with member.meet(task, meeting.met):
        line.tell(began=began)
        meeting.complete.wait()
        line.tell(knew=meeting.knew)
        line.hear()
