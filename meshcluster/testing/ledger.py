"""Judges acknowledged sends: every call and every handling, by the runs of members::

    ledger = Ledger()
    ledger.began("a", 7, "b's first run")                 # before it is sent
    ledger.handled("b's first run", "a", 7, raised=False)  # in its hook
    ledger.ended("a", 7, outcome_of(None))
    assert not ledger.faults(), ledger

A sender numbers its calls upwards, whoever they are to. Its calls and what it handles may be kept
as lines in a file of each run, so that ``kill -9`` takes nothing away (``read``).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise

from ..errors import OutcomeUnknown, RemoteError

OK = "ok"
"""Handled: its hooks returned."""
RAISED = "raised"
"""Handled: a hook raised."""
UNKNOWN = "unknown"
"""It left, and was handled or not."""
UNSENT = "unsent"
"""It was not handled."""
OPEN = "open"
"""The caller ended before it knew."""

MAY_BE_HANDLED = {OK: (1, 1), RAISED: (1, 1), UNKNOWN: (0, 1), UNSENT: (0, 0), OPEN: (0, 1)}
"""How often, at least and at most, by the run that it was sent to."""

EXAMPLES = 5
"""Of each fault so many are told."""


def outcome_of(error: BaseException | None) -> str:
    """What ``send(ack=True)`` said of one receiver."""
    if error is None:
        return OK
    if isinstance(error, RemoteError):
        return RAISED
    return UNKNOWN if isinstance(error, OutcomeUnknown) else UNSENT


class Ledger:
    """What was called, what was handled, what is wrong with that."""

    def __init__(self) -> None:
        self._calls: dict[str, dict[int, tuple[str, str]]] = defaultdict(dict)
        """By sender and number: to which run, and the outcome."""
        self._handled: dict[tuple[str, str], list[tuple[int, bool]]] = defaultdict(list)
        """By sender and the run that handled: the numbers in order, and whether a hook raised."""

    def began(self, sender: str, number: int, receiver: str) -> None:
        """A call is about to be made."""
        self._calls[sender][number] = receiver, OPEN

    def ended(self, sender: str, number: int, outcome: str) -> None:
        """It returned, or raised."""
        receiver, _ = self._calls[sender][number]
        self._calls[sender][number] = receiver, outcome

    def handled(self, receiver: str, sender: str, number: int, *, raised: bool) -> None:
        """The hooks of a run had it."""
        self._handled[sender, receiver].append((number, raised))

    def read(self, run: str, lines: Iterable[str]) -> None:
        """What one run wrote: ``b NUMBER RECEIVER``, ``e NUMBER OUTCOME``, ``h SENDER NUMBER
        RAISED``. A last line that was not finished counts as none.
        """
        for line in lines:
            if not line.endswith("\n"):
                break
            kind, one, *more = line.split()
            if kind == "b":
                self.began(run, int(one), more[0])
            elif kind == "e":
                self.ended(run, int(one), more[0])
            else:
                self.handled(run, one, int(more[0]), raised=more[1] == "1")

    @property
    def outcomes(self) -> Counter[str]:
        """How many calls ended how."""
        return Counter(outcome for calls in self._calls.values() for _, outcome in calls.values())

    def faults(self) -> dict[str, list[str]]:
        """What may not be, by kind, each with a few examples; empty when all is well."""
        found: dict[str, list[str]] = defaultdict(list)
        for fault, example in self._faults():
            if len(found[fault]) < EXAMPLES:
                found[fault].append(example)
        return dict(found)

    def _faults(self) -> Iterator[tuple[str, str]]:
        times: dict[str, dict[int, int]] = defaultdict(dict)
        for (sender, receiver), came in self._handled.items():
            calls, seen = self._calls.get(sender, {}), times[sender]
            for number, raised in came:
                where = f"{number} of {sender} at {receiver}"
                meant, outcome = calls.get(number, ("", ""))
                if meant != receiver:
                    yield "handled by a run it was not sent to", f"{where}, sent to {meant}"
                    continue
                seen[number] = seen.get(number, 0) + 1
                if (outcome == OK and raised) or (outcome == RAISED and not raised):
                    yield "another outcome than was told", f"{where}: {outcome}"
            for (one, _), (other, _) in pairwise(came):
                if other < one:
                    yield "handled out of order", f"{other} after {one} of {sender} at {receiver}"
        for sender, calls in self._calls.items():
            seen = times[sender]
            for number, (receiver, outcome) in calls.items():
                least, most = MAY_BE_HANDLED[outcome]
                if not least <= seen.get(number, 0) <= most:
                    where = f"{number} of {sender} at {receiver}"
                    kind = "lost" if seen.get(number, 0) < least else "handled too often"
                    yield kind, f"{where}: {outcome}, handled {seen.get(number, 0)} times"

    def __repr__(self) -> str:
        told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.outcomes.items()))
        handled = sum(map(len, self._handled.values()))
        return f"{told or 'no call'}; {handled} handled; {self.faults() or 'no fault'}"
