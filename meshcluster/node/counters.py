"""Counts what was dropped, by reason, so that nothing is lost silently."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

MAX_REASONS = 1024
"""Reasons counted by themselves; further ones are counted together."""


class Counters:
    """Numbers by reason. Counting is rare and may come from any thread: the driver hands a lock."""

    def __init__(self, lock: AbstractContextManager[object] | None = None) -> None:
        self._counts: dict[str, int] = {}
        self._lock = lock or nullcontext()

    def count(self, reason: str, amount: int = 1) -> bool:
        """Adds to a reason; True the first time it is counted."""
        with self._lock:
            before = self._counts.get(reason, 0)
            if before == 0 and len(self._counts) >= MAX_REASONS:
                reason = "further reasons"
                before = self._counts.get(reason, 0)
            self._counts[reason] = before + amount
        return before == 0

    def as_dict(self) -> dict[str, int]:
        """A copy, sorted by reason. No lock: a signal's handler may interrupt it to leave."""
        return dict(sorted(self._counts.copy().items()))
