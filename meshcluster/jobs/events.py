"""What a run tells whoever watches it, as it happens."""

from __future__ import annotations

from typing import NamedTuple

from .outcomes import Outcome, Pair, RunResult
from .plan import Plan


class RunBegan(NamedTuple):
    """A run begins. ``id`` is that of its result."""

    id: str
    plan: Plan


class PairBegan(NamedTuple):
    """A job begins on a site. ``id`` is that of its outcome."""

    pair: Pair
    id: str


class LineWritten(NamedTuple):
    """A line that was written.

    Attributes:
        pair: by which job, where.
        stream: "stdout" or "stderr" of a command; "log" of the shell, about commands; "report" of
            the action.
        text: without the end of the line.
        fragment, fragments: which action of the job on that site, and of how many.
    """

    pair: Pair
    stream: str
    text: str
    fragment: int = 1
    fragments: int = 1


class PairEnded(NamedTuple):
    """A job has ended on a site, or does not begin there any more."""

    outcome: Outcome


class RunEnded(NamedTuple):
    """A run has ended, also where it was interrupted."""

    result: RunResult


Event = RunBegan | PairBegan | LineWritten | PairEnded | RunEnded
