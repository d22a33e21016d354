"""Medians of what steps took, lap by lap."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from time import perf_counter_ns

LOOK_NS = statistics.median(
    (lambda began: perf_counter_ns() - began)(perf_counter_ns()) for _ in range(2000)
)
"""What looking at the clock takes itself, which every lap has in it."""


class Stopwatch:
    """Laps by name: each from the end of the one before, or from ``start``."""

    def __init__(self) -> None:
        self._laps: dict[str, list[int]] = {}
        self._at = 0

    def start(self) -> None:
        """Time runs from here."""
        self._at = perf_counter_ns()

    def lap(self, name: str) -> None:
        """A step has ended."""
        took = perf_counter_ns() - self._at
        self._laps.setdefault(name, []).append(took)
        self._at = perf_counter_ns()

    def times(self, name: str) -> list[float]:
        """What a step took, in nanoseconds, without the looks at the clock."""
        return [max(0.0, lap - LOOK_NS) for lap in self._laps[name]]

    def median(self, names: Iterable[str]) -> float:
        """The medians of these steps together."""
        return sum(statistics.median(self.times(name)) for name in names)
