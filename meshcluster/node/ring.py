"""The ring of all members: each one's next neighbours, and everybody in turn.

Keys are random, so their order is one, and neighbours on it share nothing else.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from random import Random


class Ring:
    """The keys of the members other than ourselves, ``own``."""

    def __init__(self, own: bytes, random: Random) -> None:
        self._own = own
        self._random = random
        self._keys: list[bytes] = []
        self._turn: list[bytes] = []
        self._swept = own
        """Up to whom ``sweep`` went."""

    def add(self, key: bytes) -> None:
        """A member came. It may be in already."""
        place = bisect_left(self._keys, key)
        if place == len(self._keys) or self._keys[place] != key:
            insort(self._keys, key)

    def remove(self, key: bytes) -> None:
        """A member is gone. It may be out already."""
        place = bisect_left(self._keys, key)
        if place < len(self._keys) and self._keys[place] == key:
            del self._keys[place]

    def next(self, count: int) -> Iterable[bytes]:
        """The next neighbours after us."""
        keys = self._keys
        place = bisect_left(keys, self._own)
        return [keys[(place + n) % len(keys)] for n in range(min(count, len(keys)))]

    def turn(self, count: int) -> list[bytes]:
        """Whose turn it is: everybody in random order, then again in another."""
        if not self._turn:
            self._turn = self._random.sample(self._keys, len(self._keys))
        chosen = self._turn[-count:]
        del self._turn[-count:]
        return chosen

    def sweep(self, count: int) -> list[bytes]:
        """The next ones around the ring, each in its turn: at random would cost more."""
        keys = self._keys
        place = bisect_right(keys, self._swept)
        chosen = keys[place : place + count]
        chosen += keys[: min(place, count - len(chosen))]
        if chosen:
            self._swept = chosen[-1]
        return chosen

    def some(self, count: int, *, without: bytes) -> list[bytes]:
        """As many others at random."""
        wanted = min(count + 1, len(self._keys))
        chosen = [key for key in self._random.sample(self._keys, wanted) if key != without]
        return chosen[:count]
