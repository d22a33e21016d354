"""Who takes part in a measurement, and who of them is here."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from .task import TCP, UNIX, ZEROMQ

BLOCKING = "meshcluster, blocking"
AWAITED = "meshcluster, async"
ZENOH = "zenoh"
BATCHES = "sockets, 64 a write"
SOCKETS = "sockets"
SEALED = "meshcluster, sealed"
OPEN = "meshcluster, open"

MEMBERS = {
    BLOCKING: "blocking",
    AWAITED: "awaited",
    ZENOH: "zenoh",
    BATCHES: "batches",
    SOCKETS: "sockets",
    SEALED: "blocking",
    OPEN: "open",
}
"""The ``Task.member`` of each."""

REQUIRED = {ZENOH: "zenoh"}
"""Modules without which one can not take part."""


@dataclass(frozen=True, slots=True)
class Entrant:
    """One row of a table."""

    name: str
    way: str
    """See ``task.py``."""

    @property
    def member(self) -> str:
        """Who plays."""
        return MEMBERS[self.name]

    def peer(self, name: str) -> Entrant:
        """Whom it is compared with: the same way, or what lies below it on one host."""
        return Entrant(name, UNIX if self.way == ZEROMQ else self.way)

    def __str__(self) -> str:
        return f"{self.name}, {self.way}"


def entrants(*names: str, ways: tuple[str, ...] = (UNIX, TCP)) -> list[Entrant]:
    """Each of these in each of these ways."""
    return [Entrant(name, way) for name in names for way in ways]


def talking(*names: str) -> list[Entrant]:
    """Each of these by UNIX sockets and by TCP, and our own faces by ZeroMQ."""
    ours = [name for name in names if name in (BLOCKING, AWAITED)]
    return [*entrants(*names), *entrants(*ours, ways=(ZEROMQ,))]


def missing() -> list[str]:
    """The names of those that are not installed."""
    return [name for name, module in REQUIRED.items() if find_spec(module) is None]
