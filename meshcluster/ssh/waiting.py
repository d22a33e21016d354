"""``Waiting``: the tasks that no worker has, in the order in which they are begun."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from .task import Task

MANY_GONE = 64


class Waiting:
    """A heap. A task that is given up stays in it until its turn comes, or until most are such,
    and is not counted.
    """

    def __init__(self) -> None:
        self._heap: list[Task] = []
        self._gone = 0

    def __len__(self) -> int:
        return len(self._heap) - self._gone

    def __iter__(self) -> Iterator[Task]:
        return (task for task in self._heap if task.waiting)

    def add(self, task: Task) -> None:
        """One more; or one that was begun in vain, which has its old place."""
        task.waiting = True
        heapq.heappush(self._heap, task)

    def remove(self, task: Task) -> None:
        """It is given up."""
        task.waiting = False
        self._gone += 1
        if self._gone > max(MANY_GONE, len(self)):
            self._heap = list(self)
            self._gone = 0
            heapq.heapify(self._heap)

    def first(self) -> Task | None:
        """The one that is begun next; it stays."""
        while self._heap:
            if self._heap[0].waiting:
                return self._heap[0]
            heapq.heappop(self._heap)
            self._gone -= 1
        return None

    def take(self) -> Task:
        """The first, which ``first`` has just shown."""
        task = heapq.heappop(self._heap)
        task.waiting = False
        return task
