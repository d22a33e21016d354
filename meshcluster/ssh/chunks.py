"""``Chunks``: several items of a map as one task, so many that a task is worth its way."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from ..rpc.mapping import Mapping, Progress
from .future import TaskFuture

CHUNK_SECONDS = 0.004
"""What a chunk takes where its size is found by itself: much more than its way there and back costs
us, and little beside what anybody notices.
"""
MOST_ITEMS = 500


class Chunks:
    """Lists of items. Without a ``size`` it is found: 1 at first, then by how long items take."""

    def __init__(self, items: Iterable[Any], size: int | None) -> None:
        self._items = iter(items)
        self._back: list[Any] = []
        """Items that come before those."""
        self._size = size or 1
        self.learns = size is None

    def __iter__(self) -> Iterator[list[Any]]:
        while chunk := self._next():
            yield chunk

    def _next(self) -> list[Any]:
        chunk, self._back = self._back[: self._size], self._back[self._size :]
        return chunk + list(itertools.islice(self._items, self._size - len(chunk)))

    def half(self, chunk: list[Any]) -> list[Any]:
        """The first half of a chunk that is too large to be sent; the rest comes next."""
        self._size = len(chunk) // 2
        self._back = chunk[self._size :] + self._back
        return chunk[: self._size]

    def learn(self, count: int, future: TaskFuture) -> None:
        """A task of so many items has ended."""
        if future.cancelled() or future.exception(0) is not None:
            return
        each = max(future.attempts[-1].seconds / count, 1e-7)
        wanted = min(max(1, int(CHUNK_SECONDS / each)), MOST_ITEMS)
        self._size = min(wanted, 2 * max(self._size, count))


class Flat:
    """The results of tasks that have several each: an iterator. ``close()`` gives up the rest."""

    def __init__(self, results: Mapping, progress: Progress | None, total: int | None) -> None:
        self._results = results
        self._progress = progress
        self._total = total
        self._done = 0
        self._chunk: Iterator[Any] = iter(())
        self._error: BaseException | None = None

    def __iter__(self) -> Flat:
        return self

    def __next__(self) -> Any:
        while True:
            for result in self._chunk:
                return result
            if self._error is not None:
                error, self._error = self._error, None
                self.close()
                raise error
            results, self._error = next(self._results)
            self._chunk = iter(results)
            self._done += len(results)
            if self._progress is not None:
                self._progress(self._done, self._total)

    def close(self) -> None:
        """Gives up the rest."""
        self._chunk = iter(())
        self._error = None
        self._results.close()
