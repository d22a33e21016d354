"""Where the bars of a run's picture are: a row for each site, lanes in it for what overlaps, and
round times below.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from .outcomes import Outcome, RunResult

MOST_ROWS = 200
"""Sites beyond are left out: of those that are all ok the last ones, then others."""

MOST_TICKS = 8
STEPS = (10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0, 14400.0)
"""Seconds between ticks; below and above them 1, 2 or 5 with noughts."""


@dataclass(slots=True)
class Row:
    """A site.

    Attributes:
        site: its name.
        lanes: what was begun there; in one lane nothing overlaps.
        rest: what was not begun.
    """

    site: str
    lanes: list[list[Outcome]] = field(default_factory=list)
    rest: list[Outcome] = field(default_factory=list)

    @property
    def begin(self) -> float:
        """When the first of it began."""
        return min((lane[0].began or 0.0 for lane in self.lanes), default=float("inf"))


def rows(result: RunResult) -> tuple[list[Row], int]:
    """The sites, in the order in which they began, and how many are left out."""
    sites: dict[str, list[Outcome]] = {}
    for each in result.outcomes:
        sites.setdefault(each.site, []).append(each)
    shown = sorted(sites, key=lambda site: all(each.status == "ok" for each in sites[site]))
    kept = frozenset(shown[:MOST_ROWS])
    made = [_row(site, had, result) for site, had in sites.items() if site in kept]
    made.sort(key=lambda row: row.begin)
    return made, len(sites) - len(made)


def _row(site: str, outcomes: Sequence[Outcome], result: RunResult) -> Row:
    row = Row(site, rest=[each for each in outcomes if each.began is None])
    begun = [each for each in outcomes if each.began is not None]
    for each in sorted(begun, key=lambda each: (each.began or 0.0, each.pair.position)):
        for lane in row.lanes:
            if ending(lane[-1], result) <= (each.began or 0.0):
                lane.append(each)
                break
        else:
            row.lanes.append([each])
    return row


def ending(outcome: Outcome, result: RunResult) -> float:
    """When it ended; the end of the run where that is not known."""
    return result.seconds if outcome.ended is None else outcome.ended


def last(result: RunResult) -> float:
    """The end of the time axis, in seconds."""
    ends = (ending(each, result) for each in result.outcomes if each.began is not None)
    return max(result.seconds, *ends, 1e-3)


def ticks(end: float) -> Iterator[tuple[float, str]]:
    """Round times from 0 to ``end``, and how they are said."""
    step = _step(end / MOST_TICKS)
    number = 0
    while (time := number * step) <= end:
        yield time, _said(time, step)
        number += 1


def _step(least: float) -> float:
    for step in STEPS if least > 5 else ():
        if step >= least:
            return step
    unit = 1e-9 if least <= 5 else STEPS[-1] * 2
    while True:
        for step in (unit, 2 * unit, 5 * unit):
            if step >= least:
                return step
        unit *= 10


def _said(time: float, step: float) -> str:
    if not time:
        return "0"
    if step < 0.05:
        return f"{time * 1e3:.6g} ms"
    if step < 60:
        return f"{time:.6g} s"
    return f"{time / 60:.6g} min" if step < 3600 else f"{time / 3600:.6g} h"
