"""What senders and askers do while they are measured, blocking and awaited."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager

from ..task import Line, Task
from .tally import END, START

BURST = 64
"""Messages between two looks at the clock, unless they are large."""

BURST_BYTES = 1024 * 1024
WARM_SECONDS = 0.2
MEET_SECONDS = 60.0
"""Within which a hundred members of one process know each other."""

Burst = Callable[[], None]
"""Sends ``burst_of(task)`` times ``body(task)``."""

Mark = Callable[[bytes], None]
"""Sends one message that is a mark."""

Ask = Callable[[bytes], int]
"""Asks, waits for the answers, says how many came."""

Begin = Callable[[bytes], Callable[[], object]]
"""Asks, and gives what waits for the answer."""

Flood = Callable[[], dict[str, float]]
"""Keeps ``Task.at_once`` questions on their way; returns the answers a second as ``rate``."""

AwaitedBurst = Callable[[], Awaitable[None]]
AwaitedMark = Callable[[bytes], Awaitable[None]]
AwaitedAsk = Callable[[bytes], Awaitable[int]]


def body(task: Task) -> bytes:
    """What is sent and asked: no two neighbouring bytes are equal."""
    return (bytes(range(256)) * (task.body_bytes // 256 + 1))[: task.body_bytes]


def burst_of(task: Task) -> int:
    """How many messages go between two looks at the clock."""
    return max(1, min(BURST, BURST_BYTES // task.body_bytes))


def answer(task: Task, data: bytes) -> bytes:
    """The answer to a question: itself, unless it is its way here that is measured."""
    return data if task.echo else b""


def send(burst: Burst, mark: Mark, task: Task) -> int:
    """Sends as fast as it is taken; returns how many went between the marks."""
    _burst_until(burst, time.perf_counter() + WARM_SECONDS)
    mark(START)
    bursts = _burst_until(burst, time.perf_counter() + task.seconds)
    mark(END)
    return bursts * burst_of(task)


def _burst_until(burst: Burst, deadline: float) -> int:
    bursts = 0
    while time.perf_counter() < deadline:
        burst()
        bursts += 1
    return bursts


def put(burst: Burst, line: Line) -> None:
    """Puts items as fast as they are taken, from a while before it says so until told to end."""
    _burst_until(burst, time.perf_counter() + WARM_SECONDS)
    line.tell()
    listener = threading.Thread(target=line.hear)
    listener.start()
    while listener.is_alive():
        burst()


async def send_awaited(burst: AwaitedBurst, mark: AwaitedMark, task: Task) -> int:
    """``send`` for who must be awaited."""
    await _burst_until_awaited(burst, time.perf_counter() + WARM_SECONDS)
    await mark(START)
    bursts = await _burst_until_awaited(burst, time.perf_counter() + task.seconds)
    await mark(END)
    return bursts * burst_of(task)


async def _burst_until_awaited(burst: AwaitedBurst, deadline: float) -> int:
    bursts = 0
    while time.perf_counter() < deadline:
        await burst()
        bursts += 1
    return bursts


async def put_awaited(burst: AwaitedBurst, line: Line) -> None:
    """``put`` for who must be awaited."""
    await _burst_until_awaited(burst, time.perf_counter() + WARM_SECONDS)
    line.tell()
    listener = threading.Thread(target=line.hear)
    listener.start()
    while listener.is_alive():
        await burst()


class Stopwatch:
    """The time each question took that all answered, and how many answers were missing."""

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._seconds: list[float] = []
        self._missing = 0

    def note(self, began: float, answers: int) -> None:
        """Takes one question that began then and ends now."""
        if answers == self._expected:
            self._seconds.append(time.perf_counter() - began)
        self._missing += self._expected - answers

    def goes_on(self, now: float, deadline: float) -> bool:
        """Whether one more is to be asked: until the deadline, and one that all answered."""
        return now < deadline or not self._seconds

    def figures(self) -> dict[str, float]:
        """The median and the 99th percentile in seconds, and the missing answers."""
        ordered = sorted(self._seconds)
        p99 = ordered[int(len(ordered) * 0.99)]
        return {
            "median": statistics.median(ordered),
            "p99": p99,
            "lost": self._missing,
        }


def ask(ask: Ask, task: Task) -> dict[str, float]:
    """Asks one question after the other; returns the figures."""
    data = body(task)
    for length in (WARM_SECONDS, task.seconds):
        stopwatch = Stopwatch(task.count)
        deadline = time.perf_counter() + length
        while stopwatch.goes_on(began := time.perf_counter(), deadline):
            stopwatch.note(began, ask(data))
    return stopwatch.figures()


async def ask_awaited(ask: AwaitedAsk, task: Task) -> dict[str, float]:
    """``ask`` for who must be awaited."""
    data = body(task)
    for length in (WARM_SECONDS, task.seconds):
        stopwatch = Stopwatch(task.count)
        deadline = time.perf_counter() + length
        while stopwatch.goes_on(began := time.perf_counter(), deadline):
            stopwatch.note(began, await ask(data))
    return stopwatch.figures()


def ask_many(begin: Begin, task: Task) -> dict[str, float]:
    """Keeps as many questions on their way as the task says; returns the answers a second."""
    data, waiting = body(task), deque[Callable[[], object]]()
    for length in (WARM_SECONDS, task.seconds):
        began, answered = time.perf_counter(), 0
        while (now := time.perf_counter()) < began + length:
            while len(waiting) < task.at_once:
                waiting.append(begin(data))
            waiting.popleft()()
            answered += 1
    while waiting:
        waiting.popleft()()
    return {"rate": answered / (now - began)}


def work(results: Iterator[float], task: Task) -> dict[str, float]:
    """Takes results as they come; returns how many a second.

    Raises:
        ValueError: they are not the square roots of so many numbers.
    """
    taken = list[float]()
    for length in (WARM_SECONDS, task.seconds):
        before, began = len(taken), time.perf_counter()
        while (now := time.perf_counter()) < began + length:
            taken.append(next(results))
    rate = (len(taken) - before) / (now - began)
    numbers = {round(result * result) for result in taken}
    if len(numbers) < len(taken) or any(abs(x * x - round(x * x)) > 1e-6 for x in taken):
        raise ValueError("not the square roots of so many numbers")
    return {"rate": rate}


def ask_in_batches(ask: Ask, task: Task) -> dict[str, float]:
    """``ask_many`` for who sends all of them with one call and takes all answers at once."""
    data = body(task)
    for length in (WARM_SECONDS, task.seconds):
        began, answered = time.perf_counter(), 0
        while (now := time.perf_counter()) < began + length:
            answered += ask(data)
    return {"rate": answered / (now - began)}


def ask_in_threads(
    asking: Callable[[], AbstractContextManager[Ask]], task: Task
) -> dict[str, float]:
    """``ask_many`` for who has but calls that block: so many threads, each with its own way in."""
    data, counts = body(task), deque[int]()
    ready = threading.Barrier(task.at_once + 1)

    def asker() -> None:
        with asking() as ask:
            for length in (WARM_SECONDS, task.seconds):
                ready.wait()
                deadline, answered = time.perf_counter() + length, 0
                while time.perf_counter() < deadline:
                    answered += ask(data)
                ready.wait()
            counts.append(answered)

    threads = [threading.Thread(target=asker) for _ in range(task.at_once)]
    for thread in threads:
        thread.start()
    for _ in (WARM_SECONDS, task.seconds):
        ready.wait()
        began = time.perf_counter()
        ready.wait()
        took = time.perf_counter() - began
    for thread in threads:
        thread.join()
    return {"rate": sum(counts) / took}


async def ask_many_awaited(ask: AwaitedAsk, task: Task) -> dict[str, float]:
    """``ask_many`` for who must be awaited: so many tasks that each ask one after the other."""
    data, answered = body(task), 0

    async def asker(deadline: float) -> None:
        nonlocal answered
        while time.perf_counter() < deadline:
            came = await ask(data)  # before the sum is read: other tasks add to it meanwhile
            answered += came

    for length in (WARM_SECONDS, task.seconds):
        began, answered = time.perf_counter(), 0
        await asyncio.gather(*(asker(began + length) for _ in range(task.at_once)))
    return {"rate": answered / (time.perf_counter() - began)}
