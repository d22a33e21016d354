"""The simulated network: what is lost, late, doubled or cut off, drawn from one random source."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import TypeVar

T = TypeVar("T")

WAVES = 8
"""A datagram for all reaches them at so many different moments."""


class Network:
    """Decides the fate of each datagram and the delay of everything.

    Args:
        random: where all draws come from.
        loss, duplication: chances of each datagram, 0 to 1.
        latency: least and most seconds on the way.
        multicast: whether what is sent to the group arrives anywhere.
    """

    def __init__(
        self, random: Random, *, loss: float = 0.0, duplication: float = 0.0,
        latency: tuple[float, float] = (0.0005, 0.002), multicast: bool = True,
    ) -> None:  # fmt: skip
        self._random = random
        self.loss = loss
        self.duplication = duplication
        self.latency = latency
        self.multicast = multicast
        self._sides: dict[str, int] = {}
        self._mute: tuple[frozenset[str], frozenset[str]] = frozenset(), frozenset()

    def delay(self) -> float:
        """Seconds that one thing takes on its way."""
        return self._random.uniform(*self.latency)

    def copies(self) -> int:
        """How many copies of a datagram arrive: none, one or two."""
        draw = self._random.random()
        return 0 if draw < self.loss else 2 if draw > 1 - self.duplication else 1

    def reached(self, receivers: list[T]) -> list[T]:
        """To whom one datagram for all gets through; who gets it twice is in there twice."""
        if not self.loss and not self.duplication:
            return receivers
        draw, lost, doubled = self._random.random, self.loss, 1 - self.duplication
        found = []
        for receiver in receivers:
            chance = draw()
            if chance >= lost:
                found.append(receiver)
                if chance > doubled:
                    found.append(receiver)
        return found

    def waves(self, receivers: list[T]) -> list[list[T]]:
        """Receivers as they are reached, some together: to each its own moment costs much."""
        if len(receivers) <= WAVES:
            return [[receiver] for receiver in receivers]
        start = self._random.randrange(WAVES)
        return [receivers[(start + n) % WAVES :: WAVES] for n in range(WAVES)]

    def partition(self, *sides: Iterable[str]) -> None:
        """Cuts the named addresses apart; those on no side reach each other."""
        self._sides = {address: n for n, side in enumerate(sides, 1) for address in side}

    def partition_one_way(self, senders: Iterable[str], receivers: Iterable[str]) -> None:
        """Swallows what the ones send to the others; the other way is open."""
        self._mute = frozenset(senders), frozenset(receivers)

    def repair(self) -> None:
        """Ends the partition."""
        self._sides = {}
        self._mute = frozenset(), frozenset()

    @property
    def whole(self) -> bool:
        """Whether nothing is cut off."""
        return not self._sides and not self._mute[0]

    def connected(self, one: str, other: str) -> bool:
        """Whether what ``one`` address sends can reach the ``other`` now."""
        if one in self._mute[0] and other in self._mute[1]:
            return False
        return self._sides.get(one, 0) == self._sides.get(other, 0)

    def linked(self, one: str, other: str) -> bool:
        """Whether both can reach each other, as every link needs."""
        return self.connected(one, other) and self.connected(other, one)
