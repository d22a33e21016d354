"""Our dispatcher: workers that it sends there itself, nothing but Python is there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from meshcluster import Dispatcher

from ..task import MAP, SUBMIT, Task
from .hosts import BATCH, aliases, config, numbers

FUNCTION = "math:sqrt"
AT_ONCE = 64


class Dispatched:
    """Plays who has work: by ``submit``, by ``map``, or by ``map`` of many items a task."""

    def __init__(self, *, how: str) -> None:
        self._how = how

    @contextmanager
    def work(self, task: Task) -> Iterator[Iterator[float]]:
        client = ("ssh", "-F", config(task))
        with Dispatcher(aliases(task), ssh=client, python=sys.executable) as dispatcher:
            begin(dispatcher, task.count)
            yield self._results(dispatcher)
            dispatcher.close(drain=False)

    def _results(self, dispatcher: Dispatcher) -> Iterator[float]:
        if self._how == SUBMIT:
            return (dispatcher.submit(FUNCTION, number).result() for number in numbers())
        size = None if self._how == MAP else BATCH
        return dispatcher.map(FUNCTION, numbers(), chunksize=size)


def begin(dispatcher: Dispatcher, count: int) -> None:
    """Returns when so many workers have done something."""
    seen = set[int]()
    while len(seen) < count:
        futures = [dispatcher.submit("os:getpid") for _ in range(AT_ONCE)]
        seen |= {future.result() for future in futures}
