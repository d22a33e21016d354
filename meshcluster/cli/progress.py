"""``Progress``: one line of a terminal that says how far something is, drawn again and again."""

from __future__ import annotations

import shutil
import sys
import time
from typing import NamedTuple

import click

from .options import colored

REDRAW_SECONDS = 0.1
BAR_CELLS = 24
CLEAR = "\r\x1b[K"


class Standing(NamedTuple):
    """How far it is."""

    done: int
    total: int | None
    failed: int
    workers: int
    seconds: float


def rendered(standing: Standing, cells: int) -> str:
    """The line: a bar where there is an end, how many, how fast, how long still."""
    done, total, failed, workers, seconds = standing
    rate = done / seconds if seconds > 0 else 0.0
    words = [f"{done}/{total}" if total is not None else f"{done} done", f"{rate:,.0f}/s"]
    if total and done:
        words[0] += f" {100 * done // total}%"
        words.append(f"{_clock((total - done) / rate)} left" if rate else "")
    words.append(f"{workers} worker{'s' * (workers != 1)}")
    if failed:
        words.append(f"{failed} failed")
    text = "  ".join(word for word in words if word)
    if total:
        full = BAR_CELLS * min(done, total) // total
        bar = "#" * full + "-" * (BAR_CELLS - full)
        if len(text) + BAR_CELLS + 4 <= cells:
            return f"[{bar}] {text}"
    return text[: max(0, cells - 1)]


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Progress:
    """Draws on stderr, where that is a terminal; else it says nothing."""

    def __init__(self) -> None:
        self.shown = sys.stderr.isatty() and colored()
        self.began = time.monotonic()
        self._drawn_at = 0.0

    def draw(self, done: int, total: int | None, failed: int, workers: int) -> None:
        """Shows how far it is, unless it was shown just now."""
        now = time.monotonic()
        if self.shown and now - self._drawn_at >= REDRAW_SECONDS:
            self._drawn_at = now
            standing = Standing(done, total, failed, workers, now - self.began)
            line = rendered(standing, shutil.get_terminal_size().columns)
            click.echo(CLEAR + line, nl=False, err=True)

    def clear(self) -> None:
        """Takes the line away: something else is written there."""
        if self.shown and self._drawn_at:
            click.echo(CLEAR, nl=False, err=True)
            self._drawn_at = 0.0
