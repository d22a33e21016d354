"""Every hook point: its name, what its functions take and give, what they may do.

Adding one: a row here, a call where it applies, an overload in ``placing.py``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Verdict(enum.Enum):
    """What a responder may return instead of an answer."""

    PASS = "PASS"

    def __repr__(self) -> str:
        return self.value


PASS = Verdict.PASS
"""Returned by a ``query`` or ``guest`` hook: not mine, ask the next one."""


@dataclass(frozen=True, slots=True)
class Point:
    """One named place. ``inline`` points run inside the member and are plain functions."""

    name: str
    takes: str
    gives: str
    inline: bool
    filtered: bool
    """Whether ``channel=`` and ``protocol=`` apply."""


POINTS: dict[str, Point] = {
    point.name: point
    for point in (
        Point("send", "Message", "None, a Message instead, or raises HookRejected", True, True),
        Point("receive", "Message", "None, a Message instead, or raises HookRejected", True, True),
        Point("service.validate", "Service", "False or HookRejected to refuse it", True, False),
        Point("service.discovered", "Service", "nothing", False, False),
        Point("service.changed", "Service", "nothing", False, False),
        Point("service.suspect", "Service", "nothing", False, False),
        Point("service.recovered", "Service", "nothing", False, False),
        Point("service.conflict", "Service", "nothing", False, False),
        Point("service.lost", "Service", "nothing", False, False),
        Point("send.lost", "Lost", "nothing", False, False),
        Point("event", "Message", "nothing", False, True),
        Point("query", "Message", "the answer, or PASS", False, True),
        Point("guest", "Message", "bytes or text to answer, or PASS", False, True),
    )
}
