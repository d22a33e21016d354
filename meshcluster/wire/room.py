"""Which bytes of a ring are whose: places are given in order, and come back in that order."""

from __future__ import annotations

from collections import deque

from ..errors import DecodeError


class Room:
    """The sender's account of a ring of ``size`` bytes. Each place is in one piece.

    When all have come back it begins at the front again: little traffic keeps to the same few
    pages, and to the processor's cache.
    """

    __slots__ = ("_held", "_next", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self._held: deque[int] = deque()
        """Where each place begins that has not come back."""
        self._next = 0

    def __len__(self) -> int:
        return len(self._held)

    def take(self, length: int) -> int | None:
        """Where ``length`` bytes, at least one, may be written; None: there is no room."""
        held, begin = self._held, self._next
        if not held:
            begin, end = 0, self.size
        elif begin > held[0]:
            end = self.size
            if begin + length > end:
                begin, end = 0, held[0]
        else:
            end = held[0]
        if begin + length > end:
            return None
        held.append(begin)
        self._next = begin + length
        return begin

    def give_back(self, count: int) -> None:
        """The ``count`` oldest places are free.

        Raises:
            DecodeError: that many are not held.
        """
        if not 0 < count <= len(self._held):
            raise DecodeError(f"credit for what is not held: {count} of {len(self._held)}")
        for _ in range(count):
            self._held.popleft()
