"""The Python handler at the end of every one-way path: counts, between two marks."""

from __future__ import annotations

import threading
import time

START, END = b"start", b"end"
MARK_BYTES = 5
"""Bodies are longer than marks."""


class Count:
    """``take`` is called with each item by everybody who takes from a queue."""

    def __init__(self) -> None:
        self._count = 0

    def take(self, data: bytes) -> None:
        """Counts one item."""
        self._count += 1

    def figures(self) -> dict[str, float]:
        """How many there were by now, and when that was, by the clock of all processes."""
        return {"count": self._count, "at": time.monotonic()}


class Tally:
    """``take`` is called with each message, as bytes, by every receiver there is."""

    def __init__(self) -> None:
        self._count = 0
        self._began = 0.0
        self.ended = threading.Event()
        self.received = 0
        self.rate = 0.0
        """Messages a second between the marks, seen from here."""

    def take(self, data: bytes) -> None:
        """Counts one message."""
        if len(data) > MARK_BYTES:
            self._count += 1
        else:
            self._mark(data)

    def _mark(self, data: bytes) -> None:
        now = time.perf_counter()
        if data == START:
            self._count = 0
            self._began = now
        elif data == END and not self.ended.is_set():
            self.received = self._count
            self.rate = self._count / (now - self._began)
            self.ended.set()
