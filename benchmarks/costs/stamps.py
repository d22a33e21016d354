"""Messages that say when they were sent, and how long they took."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Awaitable, Callable

LAYOUT = struct.Struct("<q56x")
END = b"end"
TICK_SECONDS = 0.001
"""Who sends looks this often at what is due, and sends that at once."""

WARM = 0.2
"""This part of the messages is not counted."""


def stamped() -> bytes:
    """64 bytes with the time that all processes of this machine share."""
    return LAYOUT.pack(time.monotonic_ns())


class Pace:
    """What is due at a rate, by the clock: nobody who was late sends less."""

    def __init__(
        self, rate: int, seconds: float, clock: Callable[[], float] = time.perf_counter
    ) -> None:  # fmt: skip
        self._rate = rate
        self._total = int(rate * seconds)
        self._sent = 0
        self._clock = clock
        self._began = clock()

    @property
    def over(self) -> bool:
        """Whether all was sent."""
        return self._sent >= self._total

    def due(self) -> int:
        """How many are to be sent now; they count as sent."""
        passed = self._clock() - self._began
        until = min(self._total, int(passed * self._rate) + 1)
        due, self._sent = until - self._sent, until
        return due

    @property
    def rate(self) -> float:
        """What was reached, once all was sent."""
        return self._total / (self._clock() - self._began)


def send(put: Callable[[bytes], object], rate: int, seconds: float) -> float:
    """Sends at that rate; returns the rate that was reached."""
    pace = Pace(rate, seconds)
    while not pace.over:
        for _ in range(pace.due()):
            put(stamped())
        time.sleep(TICK_SECONDS)
    reached = pace.rate
    put(END)
    return reached


async def send_awaited(
    put: Callable[[bytes], Awaitable[object]], sleep: Callable[[float], Awaitable[None]],
    rate: int, seconds: float,
) -> float:  # fmt: skip
    """``send`` for who must be awaited."""
    pace = Pace(rate, seconds)
    while not pace.over:
        for _ in range(pace.due()):
            await put(stamped())
        await sleep(TICK_SECONDS)
    reached = pace.rate
    await put(END)
    return reached


class Stopwatch:
    """Takes every message and notes how long each was on its way."""

    def __init__(self) -> None:
        self._took: list[int] = []
        self.ended = threading.Event()

    def take(self, data: bytes) -> None:
        """One message."""
        if len(data) == LAYOUT.size:
            self._took.append(time.monotonic_ns() - LAYOUT.unpack(data)[0])
        else:
            self.ended.set()

    def figures(self) -> dict[str, float]:
        """Half of them took less, 99 of 100 took less (seconds), and how many came."""
        took = sorted(self._took[int(WARM * len(self._took)) :])
        return {
            "p50": took[len(took) // 2] / 1e9,
            "p99": took[int(0.99 * len(took))] / 1e9,
            "received": len(self._took),
        }
