"""What people see on a terminal and programs read from a pipe.

On a terminal a table is aligned, with a header; in a pipe its rows are separated by tabs, one a
line, without a header. Texts from elsewhere are escaped in both.
"""

from __future__ import annotations

import select
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import click

from .options import colored
from .values import JOINER, dumped, escaped

GAP = "  "
LEAST_CELLS = 20
"""A column that is wrapped is not made narrower, however narrow the terminal is."""

COLORS = {"alive": "green", "suspect": "yellow", "gone": "red", "told": "cyan",
          "discovered": "green", "changed": "yellow", "lost": "red", "failed": "red",
          "recovered": "green", "conflict": "yellow",
          "good": "green", "note": "yellow", "skipped": "cyan", "broken": "red"}  # fmt: skip
"""Of cells that are one of these words."""

Row = Sequence[str]


class Screen:
    """Our output: ``terminal`` says whether a person reads it."""

    def __init__(self) -> None:
        self._out = sys.stdout
        self.terminal = sys.stdout.isatty()
        self.colors = self.terminal and colored()

    @property
    def cells(self) -> int:
        """The width of the terminal."""
        return shutil.get_terminal_size().columns

    @property
    def is_read(self) -> bool:
        """False when our output is a pipe whose reader is gone: who writes seldom would not notice
        for long.
        """
        if self.terminal or not hasattr(select, "poll"):
            return True
        poll = select.poll()
        try:
            poll.register(self._out.fileno(), 0)
        except (OSError, ValueError):  # it is no file
            return True
        return not any(event & select.POLLERR for _, event in poll.poll(0))

    def say(self, text: str) -> None:
        """A line."""
        click.echo(text, color=self.colors)

    def note(self, text: str) -> None:
        """A line beside the output proper: on stderr."""
        click.echo(escaped(text), err=True)

    def document(self, value: Any) -> None:
        """A JSON document: on one line in a pipe."""
        self.say(dumped(value, indent=2 if self.terminal else None))

    def table(self, header: Row, rows: Iterable[Row], *, wrapped: str) -> None:
        """A table; on a terminal the column called ``wrapped`` continues below itself."""
        for line in self.table_lines(header, rows, wrapped=wrapped):
            self.say(line)

    def table_lines(self, header: Row, rows: Iterable[Row], *, wrapped: str) -> list[str]:
        """The lines of a table."""
        if not self.terminal:
            return ["\t".join(map(escaped, row)) for row in rows]
        flexible = header.index(wrapped)
        texts = [
            [each if i == flexible else escaped(each) for i, each in enumerate(row)]
            for row in (header, *rows)
        ]
        widths = [max(width(row[i]) for row in texts) for i in range(len(header))]
        taken = sum(widths) - widths[flexible] + len(GAP) * (len(header) - 1)
        room = max(LEAST_CELLS, self.cells - taken)
        pieces = [list(wrap(row[flexible], room)) for row in texts]
        widths[flexible] = max(width(piece) for each in pieces for piece in each)
        lines = []
        for row, below in zip(texts, pieces, strict=True):
            for number, piece in enumerate(below):
                cells = [piece if i == flexible else "" if number else each
                         for i, each in enumerate(row)]  # fmt: skip
                lines.append(self._line(cells, widths))
        return lines

    def _line(self, cells: Row, widths: Sequence[int]) -> str:
        padded = (cell + " " * (w - width(cell)) for cell, w in zip(cells, widths, strict=True))
        return GAP.join(self.paint(cell) for cell in padded).rstrip()

    def paint(self, cell: str) -> str:
        """A cell in the colour of its word."""
        color = COLORS.get(cell.rstrip()) if self.colors else None
        return click.style(cell, fg=color) if color else cell

    def shortened(self, text: str, taken: int) -> str:
        """A text on one line, cut to what fits the terminal beside ``taken`` cells."""
        text = escaped(text)
        if not self.terminal:
            return text
        room = max(LEAST_CELLS, self.cells - taken)
        return text if width(text) <= room else f"{text[: fitting(text, room - 3)]}..."


def width(text: str) -> int:
    """How many cells a text takes: two for wide characters, none for marks on others."""
    if text.isascii():
        return len(text)
    return sum(map(_character_width, text))


def _character_width(character: str) -> int:
    if character == JOINER or unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def wrap(text: str, room: int) -> Iterator[str]:
    """The lines of a text, escaped, none wider than ``room``; broken at spaces if there are any."""
    for line in text.rstrip("\n").split("\n"):
        yield from _broken(escaped(line), room)


def _broken(line: str, room: int) -> Iterator[str]:
    while width(line) > room:
        end = fitting(line, room)
        space = line.rfind(" ", 0, end + 1)
        if space > room // 2:
            yield line[:space]
            line = line[space + 1 :]
        else:
            yield line[:end]
            line = line[end:]
    yield line


def fitting(line: str, room: int) -> int:
    """How many characters of a line fit."""
    taken = 0
    for index, character in enumerate(line):
        taken += _character_width(character)
        if taken > room:
            return max(index, 1)
    return len(line)
