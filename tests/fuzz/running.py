"""Feeds a target at full speed and counts what comes of it."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from heapq import heappush, heapreplace
from pathlib import Path
from random import Random
from time import perf_counter_ns, process_time

import msgspec
import psutil

from . import corpus
from .mutating import Mutator
from .target import Target

SLOWEST = 10
TRIES = 5
SAMPLED = 4000
"""Inputs whose memory is measured one by one; of those that cost more, fewer."""

REASONS = 80
"""A target that refuses for more of them tells strangers' bytes in them."""

STATUS = Path("/proc/self/status")
RESET_PEAK = Path("/proc/self/clear_refs")


class Outcome(msgspec.Struct, frozen=True):
    """What came of a run. Memory in KiB: ``grown`` is what the process had more at its end than
    after the first twentieth, ``peak`` what it had more at any time; ``most`` what one input took.
    ``slowest``: microseconds, each alone, the best of five. ``seconds``: of the processor.
    """

    target: str
    inputs: int
    seed: int
    accepted: int
    refused: dict[str, int]
    bases: int
    slowest: list[float]
    grown: int
    peak: int
    most: int
    seconds: float
    python: str


class Broken(AssertionError):
    """An input did what none may do."""

    def __init__(self, target: Target, data: bytes, count: int, seed: int, trouble: str) -> None:
        self.data = data
        super().__init__(
            f"target {target.name}, seed {seed}, input {count}: {trouble}\n{data.hex()}\n"
            f"alone: python -m tests.fuzz {target.name} --input {data.hex()[:200]}"
        )


def pool_of(target: Target, folder: Path = corpus.FOLDER) -> list[bytes]:
    """What is mutated: the well-formed ones, and those found by their coverage."""
    return list(dict.fromkeys([*target.seeds(), *corpus.load(target.name, folder)]))


class Run:
    """One target, one seed."""

    def __init__(self, target: Target, seed: int, pool: Sequence[bytes]) -> None:
        self._target = target
        self._seed = seed
        self._pool = list(pool)
        self._seeds = list(target.seeds())
        self._take = target.open()
        self._accepted = self._count = 0
        self._refused: Counter[str] = Counter()
        self._slowest: list[tuple[int, int, bytes]] = []

    def go(self, inputs: int) -> Outcome:
        """Feeds so many.

        Raises:
            Broken: an exception that is none of its own.
        """
        bases = self._pool + self._seeds * (len(self._pool) // len(self._seeds))
        mutator = Mutator(Random(self._seed), bases, self._target.dialect, self._target.limit_bytes)
        began = process_time()
        self._feed(list(self._pool))
        warm = max(inputs // 20, 1)
        while self._count < warm:
            self._feed(mutator.batch())
        gc.collect()
        before = _resident(reset=True)
        while self._count < inputs:
            self._feed(mutator.batch())
        gc.collect()
        now, peak = _resident(), _peak()
        took = process_time() - began
        return Outcome(
            self._target.name, self._count, self._seed, self._accepted,
            dict(self._refused.most_common()), len(self._pool), self._alone(),
            now - before, max(peak, now) - before, self._most(mutator), round(took, 1),
            "{}.{}.{}".format(*sys.version_info[:3]),
        )  # fmt: skip

    def _feed(self, batch: Sequence[bytes]) -> None:
        take, refused, clock = self._take, self._refused, perf_counter_ns
        refuses, reason = self._target.refuses, self._target.reason
        slow = self._slowest[0][0] if len(self._slowest) == SLOWEST else 0
        for data in batch:
            begin = clock()
            try:
                take(data)
                took = clock() - begin
                self._accepted += 1
            except refuses as error:
                took = clock() - begin
                refused[reason(str(error))] += 1
            except Exception as error:
                trouble = f"{type(error).__name__}: {error}"
                raise Broken(self._target, data, self._count, self._seed, trouble) from error
            self._count += 1
            if took > slow:
                slow = self._slower(data)
        if len(refused) > REASONS:
            trouble = f"refused for {len(refused)} reasons: {list(refused)[-5:]}"
            raise Broken(self._target, batch[-1], self._count, self._seed, trouble)

    def _slower(self, data: bytes) -> int:
        """Perhaps the machine paused: it is timed again, alone. Gives what the next must exceed."""
        slowest = self._slowest
        known = slowest[0][0] if len(slowest) == SLOWEST else 0
        entry = (self._time(data, until=known), self._count, data)
        if any(data == other for _, _, other in slowest):
            pass
        elif len(slowest) < SLOWEST:
            heappush(slowest, entry)
        elif entry > slowest[0]:
            heapreplace(slowest, entry)
        return slowest[0][0] if len(slowest) == SLOWEST else 0

    def _time(self, data: bytes, *, until: int = 0) -> int:
        """The best of some tries, or the first that takes no longer than ``until``."""
        best = 10**12
        for _ in range(TRIES):
            take = self._target.open() if self._target.stateful else self._take
            begin = perf_counter_ns()
            try:
                take(data)
            except self._target.refuses:
                pass
            best = min(best, perf_counter_ns() - begin)
            if best <= until:
                break
        return best

    def _alone(self) -> list[float]:
        """The slowest once more, each by itself."""
        gc.collect()
        times = [self._time(data) for _, _, data in self._slowest]
        return [round(each / 1000, 1) for each in sorted(times, reverse=True)]

    def _most(self, mutator: Mutator) -> int:
        """The most that one of some thousands takes at its peak, in KiB; the slowest are among
        them.
        """
        sample = [data for _, _, data in self._slowest] + list(self._pool)
        while len(sample) < SAMPLED // self._target.costs:
            sample += mutator.batch()
        take, most = self._take, 0
        tracemalloc.start()
        try:
            for data in sample:
                tracemalloc.reset_peak()
                before = tracemalloc.get_traced_memory()[0]
                try:
                    take(data)
                except self._target.refuses:
                    pass
                most = max(most, tracemalloc.get_traced_memory()[1] - before)
        finally:
            tracemalloc.stop()
        return most // 1024

    @property
    def slowest(self) -> list[bytes]:
        """The slowest inputs, the slowest first."""
        return [data for _, _, data in sorted(self._slowest, reverse=True)]


def _resident(*, reset: bool = False) -> int:
    """KiB of memory that the process has; the peak starts anew."""
    if reset:
        try:
            RESET_PEAK.write_text("5")
        except OSError:
            pass
    return psutil.Process().memory_info().rss // 1024


def _peak() -> int:
    """KiB at the highest since ``reset``; 0 where no system tells."""
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)
