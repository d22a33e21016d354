"""What happens on the threads of hooks, on its way to the one thread that prints."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")

WAITING = 1024
"""More wait in their hooks, and so at their senders, until somebody reads our output."""


class Feed(Generic[T]):
    """A bounded queue that can be closed under those who wait to put."""

    def __init__(self) -> None:
        self._items: deque[T] = deque(maxlen=2 * WAITING)
        self._changed = threading.Condition()
        self._closed = False

    def put(self, item: T) -> None:
        """Adds an item; waits while there are too many and the feed is not closed."""
        with self._changed:
            while len(self._items) >= WAITING and not self._closed:
                self._changed.wait()
            self._items.append(item)
            self._changed.notify_all()

    def take(self, timeout: float) -> T | None:
        """The next item; None when there is none after ``timeout`` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._items, timeout):
                return None
            self._changed.notify_all()
            return self._items.popleft()

    def close(self) -> None:
        """Nobody waits to put any more; beyond the bound the oldest is dropped."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def rest(self) -> list[T]:
        """What is there now."""
        with self._changed:
            items = list(self._items)
            self._items.clear()
            self._changed.notify_all()
            return items
