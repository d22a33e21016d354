"""Counts what was dropped, by reason, so that nothing is lost silently."""

from __future__ import annotations

import threading


class Counters:
    """Numbers by reason. Counting is rare and may come from any thread, hence the lock."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self.lock = threading.Lock()

    def count(self, reason: str, amount: int = 1) -> bool:
        """Adds to a reason; True the first time it is counted."""
        with self.lock:
            before = self._counts.get(reason, 0)
            self._counts[reason] = before + amount
        return before == 0

    def as_dict(self) -> dict[str, int]:
        """A copy, sorted by reason."""
        with self.lock:
            return dict(sorted(self._counts.items()))
