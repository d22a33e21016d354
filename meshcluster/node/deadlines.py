"""Deadlines that are seldom reached: one timer for all of a kind.

What is asked has a deadline and is nearly always answered long before. A timer for each would be
set and cancelled for each; here nothing is done about what ends in time, and when the earliest
deadline that was noted has come all that are open are looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Protocol, TypeVar

from .schedule import Schedule

LOOK_SECONDS = 0.005
"""Between two looks at all that are open, so that thousands of deadlines are not a look each."""


class Timed(Protocol):
    """What has a deadline."""

    deadline: float


T = TypeVar("T", bound=Timed)


class Deadlines:
    """The deadlines of one ``kind``: the timer ("kind", None) tells when to ask for what is due."""

    __slots__ = ("_key", "_schedule", "look_at")

    def __init__(self, schedule: Schedule, kind: str) -> None:
        self._schedule = schedule
        self._key = (kind, None)
        self.look_at = inf
        """When what is open is looked at: nothing that is due later need be noted."""

    def note(self, deadline: float) -> None:
        """Something is due then, unless it ends before."""
        if deadline < self.look_at:
            self.look_at = deadline
            self._schedule.set(self._key, deadline)

    def due(self, opened: Iterable[T], now: float) -> list[T]:
        """What is due of all that are open; the others are looked at again."""
        self.look_at, following = inf, inf
        found = []
        for each in opened:
            if each.deadline <= now:
                found.append(each)
            elif each.deadline < following:
                following = each.deadline
        if following < inf:
            self.note(max(following, now + LOOK_SECONDS))
        return found
