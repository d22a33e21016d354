"""The simulated network: what is lost, late, doubled or cut off, drawn from one random source."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random


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

    def delay(self) -> float:
        """Seconds that one thing takes on its way."""
        return self._random.uniform(*self.latency)

    def copies(self) -> int:
        """How many copies of a datagram arrive: none, one or two."""
        draw = self._random.random()
        return 0 if draw < self.loss else 2 if draw > 1 - self.duplication else 1

    def partition(self, *sides: Iterable[str]) -> None:
        """Cuts the named addresses apart; those on no side reach each other."""
        self._sides = {address: n for n, side in enumerate(sides, 1) for address in side}

    def repair(self) -> None:
        """Ends the partition."""
        self._sides = {}

    def connected(self, one: str, other: str) -> bool:
        """Whether two addresses can reach each other now."""
        return self._sides.get(one, 0) == self._sides.get(other, 0)
