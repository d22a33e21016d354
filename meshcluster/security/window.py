"""Which numbers of a sender came already: what others send again is dropped."""

from __future__ import annotations

from math import inf

WINDOW = 64
"""Numbers that may overtake each other; older ones are not taken (RFC 4303, 3.4.3)."""

COPY_SECONDS = 1.0
"""What goes out on several networks at once comes by all of them within less."""

_MASK = 2**WINDOW - 1


class Window:
    """The highest number that came, and which of the 63 below it."""

    __slots__ = ("_before", "_seen", "_since", "_top", "begun", "is_new")

    def __init__(self) -> None:
        self._top = 0
        self._seen = 0
        self._before = 0
        """The highest number of some time ago, and since when."""
        self._since = -inf
        self.is_new = False
        """What was taken just now was an answer to us: nobody can have kept it for long."""
        self.begun = False
        """A number was seen of which we know that it is a new one."""

    def begin(self, number: int) -> None:
        """This one is new: what was sent before it is not taken, for it may be of any age."""
        self.take(number)
        self._seen = _MASK
        self.begun = True

    def is_recent(self, number: int, now: float) -> bool:
        """Whether a number that came can only have come just now."""
        if now >= self._since + COPY_SECONDS:
            self._before, self._since = self._top, now
        return number > self._before

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
