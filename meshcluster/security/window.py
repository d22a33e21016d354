"""Which numbers of a sender came already: what others send again is dropped."""

from __future__ import annotations

WINDOW = 64
"""Numbers that may overtake each other; older ones are not taken (RFC 4303, 3.4.3)."""

_MASK = 2**WINDOW - 1


class Window:
    """The highest number that came, and which of the 63 below it."""

    __slots__ = ("_seen", "_top")

    def __init__(self) -> None:
        self._top = 0
        self._seen = 0

    def is_old(self, number: int) -> bool:
        """Whether a number is too far behind to be told from one that came."""
        return number <= self._top - WINDOW

    def take(self, number: int) -> bool:
        """Notes a number; False when it came before, or is too old to tell."""
        ahead = number - self._top
        if ahead > 0:
            self._seen = (self._seen << min(ahead, WINDOW) | 1) & _MASK
            self._top = number
            return True
        if self.is_old(number):
            return False
        bit = 1 << -ahead
        if self._seen & bit:
            return False
        self._seen |= bit
        return True
