"""Texts from elsewhere, made fit to be shown: harmless, and as wide as there is room for.

A cell is the width of a letter on a terminal; letters of East Asia and pictures take two.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

JOINER = "\u200d"
"""It makes one picture of several."""

CUT = "…"


def harmless(text: str, keep: str = "") -> str:
    """A text without control characters and others that are not seen: they are written out, an
    escape as ``\\x1b``. ``keep``: those that are left as they are.
    """
    if text.isprintable():
        return text
    return "".join(_written(each) if each not in keep else each for each in text)


def _written(character: str) -> str:
    return character if is_seen(character) else character.encode("unicode_escape").decode()


def is_seen(character: str) -> bool:
    """It can be printed, is a space of any width, or joins emoji."""
    seen = character.isprintable() or character == JOINER
    return seen or unicodedata.category(character) == "Zs"


def width(text: str) -> int:
    """How many cells it takes."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def _cells(character: str) -> int:
    if character == JOINER or unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def shortened(text: str, cells: int) -> str:
    """A text that takes no more than ``cells``: what is too much is taken from its middle."""
    if width(text) <= cells:
        return text
    if cells < 1:
        return ""
    room = cells - 1
    first = beginning(text, room - room // 2)
    last = beginning(text[::-1], room - width(first))[::-1]
    return first + CUT + last


def beginning(text: str, cells: int) -> str:
    """As much of it as there is room for."""
    for end, character in enumerate(text):
        cells -= _cells(character)
        if cells < 0:
            return text[:end]
    return text


def wrapped(text: str, cells: int, indent: int = 2) -> Iterator[str]:
    """Its lines, none wider than ``cells``; 0: as it is. Lines after the first begin ``indent``
    further to the right. They are broken between words where there are any.
    """
    if not cells or width(text) <= cells:
        yield text.rstrip()
        return
    rest, most = text.strip(), max(cells // 2 - 1, 0)  # room for a letter of two cells is left
    margins = len(text.rstrip()) - len(rest)
    margin = " " * min(margins, most)
    while rest:
        part = _line(rest, cells - len(margin))
        yield margin + part.rstrip()
        rest = rest[len(part) :].lstrip()
        margin = " " * min(margins + indent, most)


def _line(text: str, cells: int) -> str:
    """As much of a text as goes into a line; never nothing."""
    part = beginning(text, cells) or text[0]
    blank = part.rfind(" ")
    return part if part == text or text[len(part)] == " " or blank < 1 else part[:blank]


def listed(names: Sequence[str], most: int = 3) -> str:
    """The first names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def duration(seconds: float) -> str:
    """A time as people say it: to a tenth below 100 s, then to the second, then in minutes."""
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds >= 1 or not seconds else f"{seconds:.2g} s"
    whole = round(seconds)
    if whole < 600:
        return f"{whole} s"
    return f"{whole // 3600} h {whole // 60 % 60} min" if whole >= 7200 else f"{whole // 60} min"
