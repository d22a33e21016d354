"""A token bucket: so much a second, and so much at once. Time is an argument."""

from __future__ import annotations

from math import inf


class Bucket:
    """Holds ``burst`` at most, which it begins with, and gains ``rate`` a second."""

    __slots__ = ("_at", "_burst", "_level", "_rate")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._level = burst
        self._at = -inf

    def take(self, now: float, *, keep: float = 0.0) -> bool:
        """Takes one, if as many as ``keep`` (0 to 1) of the burst are left after that."""
        if now > self._at:
            gained = (now - self._at) * self._rate
            self._level = min(self._burst, self._level + gained)
            self._at = now
        if self._level < 1.0 + keep * self._burst:
            return False
        self._level -= 1.0
        return True
