"""What senders and askers do while they are measured, blocking and awaited."""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable

from ..task import BODY_BYTES, Task
from .tally import END, START

BODY = bytes(range(BODY_BYTES))
BURST = 64
"""Messages between two looks at the clock."""

WARM_SECONDS = 0.2

Burst = Callable[[], None]
"""Sends ``BURST`` times ``BODY``."""

Mark = Callable[[bytes], None]
"""Sends one message that is a mark."""

Ask = Callable[[bytes], int]
"""Asks, waits for the answers, says how many came."""


def echo(data: bytes) -> bytes:
    """The answer to a question: itself, unless it is its way here that is measured."""
    return data if len(data) == BODY_BYTES else b""


def send(burst: Burst, mark: Mark, seconds: float) -> int:
    """Sends as fast as it is taken; returns how many went between the marks."""
    _burst_until(burst, time.perf_counter() + WARM_SECONDS)
    mark(START)
    sent = _burst_until(burst, time.perf_counter() + seconds)
    mark(END)
    return sent


def _burst_until(burst: Burst, deadline: float) -> int:
    sent = 0
    while time.perf_counter() < deadline:
        burst()
        sent += BURST
    return sent


async def send_awaited(
    burst: Callable[[], Awaitable[None]], mark: Callable[[bytes], Awaitable[None]], seconds: float
) -> int:
    """``send`` for who must be awaited."""
    await _burst_until_awaited(burst, time.perf_counter() + WARM_SECONDS)
    await mark(START)
    sent = await _burst_until_awaited(burst, time.perf_counter() + seconds)
    await mark(END)
    return sent


async def _burst_until_awaited(burst: Callable[[], Awaitable[None]], deadline: float) -> int:
    sent = 0
    while time.perf_counter() < deadline:
        await burst()
        sent += BURST
    return sent


class Stopwatch:
    """The time each question took, and how many answers were missing."""

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._seconds: list[float] = []
        self._missing = 0

    def note(self, began: float, answers: int) -> None:
        """Takes one question that began then and ends now."""
        self._seconds.append(time.perf_counter() - began)
        self._missing += self._expected - answers

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
    body = BODY if task.body_bytes == BODY_BYTES else bytes(task.body_bytes)
    for length in (WARM_SECONDS, task.seconds):
        stopwatch = Stopwatch(task.count)
        deadline = time.perf_counter() + length
        while (began := time.perf_counter()) < deadline:
            stopwatch.note(began, ask(body))
    return stopwatch.figures()


async def ask_awaited(
    ask: Callable[[bytes], Awaitable[int]], seconds: float, expected: int
) -> dict[str, float]:
    """``ask`` for who must be awaited."""
    for length in (WARM_SECONDS, seconds):
        stopwatch = Stopwatch(expected)
        deadline = time.perf_counter() + length
        while (began := time.perf_counter()) < deadline:
            stopwatch.note(began, await ask(BODY))
    return stopwatch.figures()
