"""``cluster.channels``: the numbers we listen to. Nobody is told of them.

What is sent on channel 0 everybody gets; on 1 only members of this host, on 2 only members of this
LAN, whoever else is named; a message that comes on one of these from farther away is dropped.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Set

from .config import CHANNELS_ALWAYS, check_channel
from .errors import ConfigError
from .model import Service

HOST_CHANNEL, LAN_CHANNEL = 1, 2

NEAR: dict[int, Callable[[Service], bool]] = {
    HOST_CHANNEL: lambda service: service.local,
    LAN_CHANNEL: lambda service: service.lan,
}
"""Who is near enough for a channel; others have no bounds."""


class Channels(Set[int]):
    """A set of numbers that can be joined and left, from any thread. Each change replaces
    ``numbers`` whole, so that it may be read without a lock.
    """

    def __init__(self, numbers: frozenset[int] = frozenset(CHANNELS_ALWAYS)) -> None:
        self.numbers = numbers
        self._lock = threading.Lock()

    def join(self, *channels: int) -> None:
        """Listens to more numbers; those joined already are no error.

        Raises:
            ConfigError: no channel number.
        """
        for channel in channels:
            check_channel(channel)
        with self._lock:
            self.numbers = self.numbers.union(channels)

    def leave(self, *channels: int) -> None:
        """Listens to them no longer; those not joined are no error.

        Raises:
            ConfigError: one of 0, 1 and 2, which everybody listens to.
        """
        for channel in channels:
            check_channel(channel)
            if channel in CHANNELS_ALWAYS:
                raise ConfigError(f"channel={channel}: 0, 1 and 2 cannot be left")
        with self._lock:
            self.numbers = self.numbers.difference(channels)

    @classmethod
    def _from_iterable(cls, numbers: Iterable[int]) -> frozenset[int]:  # type: ignore[override]
        """What ``&``, ``|`` and the like give: a set of numbers, nobody's channels."""
        return frozenset(numbers)

    def __contains__(self, channel: object) -> bool:
        return channel in self.numbers

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self.numbers))

    def __len__(self) -> int:
        return len(self.numbers)

    def __repr__(self) -> str:
        return repr(sorted(self.numbers))
