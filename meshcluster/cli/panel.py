"""``Panel``: the last lines of a terminal, drawn again and again, and text that scrolls above."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TextIO

from ..lettering import width
from .progress import REDRAW_SECONDS, USUAL_CELLS

USUAL_ROWS = 24
LEAST_ROWS = 4
"""Where half of the terminal is less, it takes so many, but for two."""

MANY_CHARACTERS = 1 << 16
"""So much text does not wait for the next time."""

FIRST_SECONDS = 0.5
"""It is not seen before: what is over sooner needs none."""

Lines = Callable[[int, int], Sequence[str]]
"""What is to be seen, for so many cells and rows; no line reaches the last column."""


def size(stream: TextIO) -> tuple[int, int]:
    """Cells and rows of the terminal that is written to."""
    with suppress(OSError, ValueError):
        found = os.get_terminal_size(stream.fileno())
        return found.columns or USUAL_CELLS, found.lines or USUAL_ROWS
    return USUAL_CELLS, USUAL_ROWS


def is_possible() -> bool:
    """Whether there is a terminal that can be drawn on."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


class Panel:
    """Draws on stderr, as that is now. Each time all is written at once, over what was there:
    nothing flickers.

    Args:
        lines: what is to be seen.
        is_taken: the terminal must not be touched now, for somebody is asked something there.
        measure: cells and rows of a stream's terminal.
    """

    def __init__(
        self,
        lines: Lines,
        *,
        is_taken: Callable[[], bool] = lambda: False,
        measure: Callable[[TextIO], tuple[int, int]] = size,
    ) -> None:
        self._lines = lines
        self._is_taken = is_taken
        self._stream = sys.stderr
        self._measure = measure
        self._above: list[str] = []
        self._waiting = 0
        self._seen: list[str] = []
        """Its lines that are to be seen now; the cursor is below them."""
        self._began = time.monotonic()
        self._quiet_until = self._began + REDRAW_SECONDS

    def say(self, line: str) -> None:
        """A line that scrolls, with the next time it is drawn."""
        self._above.append(line)
        self._waiting += len(line)
        if self._waiting > MANY_CHARACTERS:
            self._draw()

    def draw(self) -> None:
        """Shows what is to be seen now, unless it was drawn just now."""
        if time.monotonic() >= self._quiet_until:
            self._draw()

    def clear(self) -> None:
        """Takes it away, and leaves the text above."""
        self._put([])

    def _draw(self) -> None:
        if self._is_taken():
            self._seen = []  # it is not ours any more: below the question we begin anew
            return
        if time.monotonic() < self._began + FIRST_SECONDS:
            self._put([])
            return
        cells, rows = self._measure(self._stream)
        most = min(max(rows // 2, LEAST_ROWS), rows - 2)  # the text above is to be read, too
        self._put(list(self._lines(cells, max(most, 1))))

    def _put(self, lines: list[str]) -> None:
        self._quiet_until = time.monotonic() + REDRAW_SECONDS
        if not self._above and lines == self._seen:
            return
        cells, _ = self._measure(self._stream)
        # Where it was made narrower since, terminals have broken the lines.
        up = sum(1 + (max(width(plain(line)), 1) - 1) // max(cells, 1) for line in self._seen)
        begin, line_end, end = (f"\r\x1b[{up}A", "\x1b[K\n", "\x1b[J") if up else ("", "\n", "")
        self._stream.write(
            begin + "".join(line + line_end for line in (*self._above, *lines)) + end
        )
        self._stream.flush()
        self._above, self._waiting, self._seen = [], 0, lines


def plain(line: str) -> str:
    """A line without the escapes that colour it."""
    return "".join(part.partition("m")[2] if at else part
                   for at, part in enumerate(line.split("\x1b[")))  # fmt: skip
