"""``Progress``: one line of a terminal that says how far something is, drawn again and again."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import click

from .options import colored

REDRAW_SECONDS = 0.1
"""It is drawn so often; and where something else was written, not before it is quiet so long."""
BAR_CELLS = 24
USUAL_CELLS = 80
"""Of a terminal that does not know how wide it is."""
TIMES = ((1, "s"), (60, "min"), (3600, "h"))
CLEAR = "\r\x1b[K"
LEAST_DONE = 2
"""With less, or less than each worker one, nothing is said of how fast it goes."""


class Standing(NamedTuple):
    """How far it is. ``rate`` is how many are done in a second, where that can be told."""

    done: int
    total: int | None
    failed: int
    workers: int
    rate: float | None


class Pace:
    """How fast it goes: over the last half of the time, or somewhat more, so that a slow beginning
    is soon forgotten; over all of it where few are done.
    """

    def __init__(self, now: float) -> None:
        self._began = now
        self._before = self._mark = (now, 0)

    def rate(self, done: int, workers: int, now: float) -> float | None:
        """How many a second; None while too few are done."""
        if now - self._began >= 2 * (self._mark[0] - self._began):
            self._before, self._mark = self._mark, (now, done)
        for since, were in (self._before, (self._began, 0)):
            if done - were >= max(LEAST_DONE, workers) and now > since:
                return (done - were) / (now - since)
        return None


def rendered(standing: Standing, cells: int) -> str:
    """The line: a bar where there is an end, how many, how fast, how long still. Where it is narrow
    that which matters least is left out.
    """
    done, total, failed, workers, rate = standing
    words = {"count": f"{done} done" if total is None else f"{done}/{total}"}
    if total:
        words = {"bar": bar(done, total), **words}
        words["count"] += f" {100 * done // total}%"
    if rate:
        words["rate"] = speed(rate)
    if rate and total:
        words["left"] = f"{clock((total - done) / rate)} left"
    words["workers"] = f"{workers} worker{'s' * (workers != 1)}"
    if failed:
        words["failed"] = f"{failed} failed"
    return fitted(words, cells, ("bar", "rate", "workers", "left", "failed"))


def bar(done: int, total: int) -> str:
    """How much of it is done, to be seen."""
    full = BAR_CELLS * min(done, total) // max(total, 1)
    return f"[{'#' * full}{'-' * (BAR_CELLS - full)}]"


def fitted(words: dict[str, str], cells: int, least_first: Sequence[str]) -> str:
    """The words on a line that does not reach the last column: where it is narrow without those
    that matter least.
    """
    words = dict(words)
    for least in least_first:
        if len("  ".join(words.values())) >= cells:
            words.pop(least, None)
    return "  ".join(words.values())[: max(0, cells - 1)]


def speed(rate: float) -> str:
    """So many in a time that a person can picture."""
    seconds, name = next((each for each in TIMES if rate * each[0] >= 1), TIMES[-1])
    many = rate * seconds
    return f"{many:,.0f}/{name}" if many >= 10 else f"{many:.1f}/{name}"


def clock(seconds: float) -> str:
    """A time as clocks show it."""
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def cells() -> int:
    """The width of the terminal that we draw on: stdout may be none."""
    with suppress(OSError):
        return os.get_terminal_size(sys.stderr.fileno()).columns or USUAL_CELLS
    return USUAL_CELLS


class Progress:
    """Draws on stderr, where that is a terminal, and nobody types on it; else it says nothing."""

    def __init__(self) -> None:
        self.shown = sys.stderr.isatty() and not os.isatty(0) and colored()
        self.began = time.monotonic()
        self._pace = Pace(self.began)
        self._line = ""
        """What is to be seen now."""
        self._quiet_until = self.began + REDRAW_SECONDS

    def draw(self, done: int, total: int | None, failed: int, workers: int) -> None:
        """Shows how far it is, unless it was shown just now, or something else was written."""
        now = time.monotonic()
        if not self.shown or now < self._quiet_until:
            return
        self._quiet_until = now + REDRAW_SECONDS
        rate = self._pace.rate(done, workers, now)
        line = rendered(Standing(done, total, failed, workers, rate), cells())
        if line != self._line:
            self._line = line
            click.echo(f"\r{line}\x1b[K", nl=False, err=True)  # not cleared before: no flicker

    def clear(self) -> None:
        """Takes the line away: something else is written there."""
        if self.shown:
            self._quiet_until = time.monotonic() + REDRAW_SECONDS
        if self._line:
            self._line = ""
            click.echo(CLEAR, nl=False, err=True)
