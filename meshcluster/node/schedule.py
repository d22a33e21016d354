"""What is due when: one heap for all timers of a node, each under a key of its own."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

Key = tuple[str, object]
"""What kind of timer, and whose."""


SLACK = 64
"""Entries that may be out of date beyond as many as are not, before the heap is rebuilt."""


class Schedule:
    """Timers by key; setting one again moves it. Equal times come in the order they were set."""

    __slots__ = ("_due", "_heap", "_serial", "changed")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Key]] = []
        self._due: dict[Key, int] = {}
        self._serial = 0
        self.changed = False
        """A timer was set since ``next`` was asked."""

    def set(self, key: Key, when: float) -> None:
        """Makes ``key`` due at ``when`` and at no other time."""
        self._serial += 1
        self.changed = True
        self._due[key] = self._serial
        heapq.heappush(self._heap, (when, self._serial, key))
        self._tidy()

    def cancel(self, key: Key) -> None:
        """Makes ``key`` due never. It may be unknown."""
        if self._due.pop(key, None) is not None:
            self._tidy()

    def _tidy(self) -> None:
        """Rebuilds the heap when most of it was moved or cancelled."""
        due = self._due
        if len(self._heap) > 2 * len(due) + SLACK:
            self._heap = [entry for entry in self._heap if due.get(entry[2]) == entry[1]]
            heapq.heapify(self._heap)

    def clear(self) -> None:
        """Cancels everything."""
        self._due.clear()
        self._heap.clear()

    def __contains__(self, key: Key) -> bool:
        return key in self._due

    def next(self) -> float | None:
        """When the next timer is due, or None."""
        self.changed = False
        heap, due = self._heap, self._due
        while heap and due.get(heap[0][2]) != heap[0][1]:  # moved or cancelled since
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def pop_due(self, now: float) -> Iterator[Key]:
        """Yields and removes what is due, earliest first; also what becomes due meanwhile."""
        while (when := self.next()) is not None and when <= now:
            _, _, key = heapq.heappop(self._heap)
            del self._due[key]
            yield key
