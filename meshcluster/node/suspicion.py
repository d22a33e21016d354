"""A suspicion: since when a member is missed, who misses it too, and how long it has to show up.

The time grows with the logarithm of the mesh, so that a refutation has the time to travel, and
shrinks as others come to suspect the member by themselves: one who is alone with it may be the one
in trouble (Dadgar, Phillips, Currey: Lifeguard, arXiv 1707.00788, section IV-B).
"""

from __future__ import annotations

from math import log, log10

CONFIRMATIONS = 2
"""Who suspect the same independently, beside ourselves, until the time is at its shortest."""

NOTED = 8
"""So many of those who say so are noted."""

UNCONFIRMED = 3.0
"""Who is alone with a suspicion waits so many times longer."""


class Suspicion:
    """Of one member, by ourselves (``active``: we ask it again and again) or by others."""

    __slots__ = ("active", "by", "dead", "doubted_at", "said_at", "shown", "since", "told")

    def __init__(self, now: float, *, active: bool) -> None:
        self.since = now
        self.doubted_at = now
        """When the first of all was said against it."""
        self.active = active
        self.by: set[bytes] = set()
        """Keys of those who said that they suspect it: the first ones, more change nothing."""
        self.dead: set[bytes] = set()
        """Keys of those who said that it is dead: the first ones."""
        self.shown = False
        """Users were told."""
        self.told = False
        """We have told the group."""
        self.said_at = now
        """When anybody last told the group."""

    def suspected_by(self, key: bytes) -> bool:
        """Notes a member that suspects it; True when that was not noted before."""
        return _note(self.by, key)

    def dead_by(self, key: bytes) -> None:
        """Notes a member that says it is dead."""
        _note(self.dead, key)

    def seconds(self, members: int, shortest: float) -> float:
        """How long it has in a mesh of ``members``, of which ten give it ``shortest`` seconds."""
        least = shortest * max(1.0, log10(max(members, 1)))
        wanted = min(CONFIRMATIONS, max(0, members - 2))
        missing = 1.0 - log(len(self.by) + 1) / log(wanted + 1) if wanted else 0.0
        return least * (1.0 + (UNCONFIRMED - 1.0) * max(0.0, missing))


def _note(keys: set[bytes], key: bytes) -> bool:
    if key in keys or len(keys) >= NOTED:
        return False
    keys.add(key)
    return True
