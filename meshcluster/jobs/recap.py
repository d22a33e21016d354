"""A run as text: what went wrong, then a line for each site, then one for all of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from ..lettering import duration, harmless, listed, shortened, width, wrapped
from .outcomes import STATUSES, Failure, Outcome, RunResult, Status

MANY_SITES = 10
"""More than these that are ok and alike share one line."""

LAST_LINES = 8
"""Of a traceback and of a text of many lines: what went wrong is said at their end."""

IN_FRAME = "    "
"""So begin the lines of a frame, below where it is."""

LEAST_NAME = 8
"""Cells: before names are made shorter than this, counts of 0 are left out."""

RESET, BOLD, DIM = "\x1b[0m", "\x1b[1m", "\x1b[2m"
RED, GREEN, YELLOW, CYAN = "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[36m"
COLORS: dict[Status, str] = {
    "ok": GREEN, "failed": RED, "lost": YELLOW, "unreachable": RED, "skipped": CYAN,
}  # fmt: skip
WORST_FIRST: tuple[Status, ...] = ("failed", "lost", "unreachable", "skipped")
HERE = "(its name)"
"""Stands for the names of sites in a reason that is otherwise the same of all of them."""

Counts = Counter[Status]
Sites = dict[str, Counts]
"""How many of each status, by site."""

Words = Sequence[tuple[str, str]]
"""What a line is made of: texts, and the color of each."""


def recap(result: RunResult, cells: int = 0, color: bool = False) -> str:
    """Each failure, warnings, ignored jobs, ``RECAP`` with a line for each site, and a last line
    about all of it.

    Args:
        cells: no line is wider; names are shortened, and what else is too long is wrapped.
            0: as wide as need be.
        color: with ANSI escapes.
    """
    told = [*_troubles(result), *_remarks(result)]
    blank: list[Words] = [[("", "")]] if told else []
    total = [(_total(result), RED if result.failed or result.interrupted else "")]
    lines = [*told, *blank, *_table(_counts(result), cells), total]
    return "\n".join(part for line in lines for part in _painted(line, cells, color))


def _painted(words: Words, cells: int, color: bool) -> Iterator[str]:
    """A line; several where it is too wide."""
    text = "".join(word for word, _ in words)
    if not cells or width(text) <= cells:
        yield "".join(_paint(word, paint, color) for word, paint in words).rstrip()
        return
    paint = words[0][1]
    yield from (_paint(part, paint, color) for part in wrapped(text, cells))


def _paint(text: str, paint: str, color: bool) -> str:
    return f"{paint}{text}{RESET}" if color and paint and text else text


def _troubles(result: RunResult) -> Iterator[Words]:
    """Each failure; sites with the same one share it."""
    groups: dict[object, list[Outcome]] = {}
    for each in result.failed:
        failures = tuple(_nameless(f"{failure}", each.site) for failure in each.failures)
        key = (each.pair[:2], each.status, _nameless(each.reason, each.site), failures)
        groups.setdefault(key, []).append(each)
    for alike in groups.values():
        yield from _trouble(alike)


def _trouble(alike: Sequence[Outcome]) -> Iterator[Words]:
    first = alike[0]
    names = [harmless(each.site) for each in alike]
    where = names[0] if len(names) == 1 else f"{len(names)} sites ({listed(names)})"
    site = first.site if len(names) > 1 else ""
    told, *more = _lines(_nameless(first.why, site)) or [""]
    head = f": {harmless(first.job)} on {where}" + (f": {told}" if told else "")
    yield [(first.status, BOLD + COLORS[first.status]), (head, "")]
    yield from ([("  " + line, "")] for line in _tail(more))
    for failure in first.failures:
        if not first.says(failure):
            yield from _failure(failure, site)
        yield from ([("    " + line, DIM)] for line in _frames(failure.traceback))


def _failure(failure: Failure, site: str) -> Iterator[Words]:
    told, *more = _lines(_nameless(f"{failure.kind}: {failure.text}", site))
    yield [(f"  action {failure.fragment}: {told}", "")]
    yield from ([("    " + line, "")] for line in _tail(more))


def _nameless(text: str, site: str) -> str:
    """A reason without the name of its site, so that the same of many sites looks the same."""
    return re.sub(rf"(?<![\w.-]){re.escape(site)}(?![\w-])", HERE, text) if site else text


def _lines(text: str) -> list[str]:
    return [harmless(line.expandtabs(4)).rstrip() for line in text.strip("\n").split("\n")]


def _tail(lines: Sequence[str]) -> Sequence[str]:
    """The last lines, and that there are more."""
    lines = [line for line in lines if line]
    return _cut(lines, len(lines) - LAST_LINES)


def _cut(lines: Sequence[str], left_out: int) -> Sequence[str]:
    return lines if left_out <= 0 else [f"({left_out} lines before)", *lines[left_out:]]


def _frames(traceback: str) -> Sequence[str]:
    """The last lines of a traceback, no frame without its head; none of one that says nothing but
    what was raised.
    """
    lines = [line for line in _lines(traceback) if line]
    if len(lines) < 2:
        return []
    left_out = max(len(lines) - LAST_LINES, 0)
    begin = left_out
    while left_out and begin < len(lines) and lines[begin].startswith(IN_FRAME):
        begin += 1
    return _cut(lines, begin if begin < len(lines) else left_out)


def _remarks(result: RunResult) -> Iterator[Words]:
    for warning in result.warnings:
        yield [("warning", BOLD + YELLOW), (": " + " ".join(_lines(warning)), "")]
    if result.ignored:
        names = ", ".join(map(harmless, result.ignored))
        yield [("ignored", BOLD + CYAN), (f", there is no such job: {names}", "")]


def _counts(result: RunResult) -> Sites:
    sites: Sites = {}
    for each in result.outcomes:
        sites.setdefault(each.site, Counter())[each.status] += 1
    return sites


def _is_fine(counts: Counts) -> bool:
    return counts["ok"] == counts.total()


def _table(sites: Sites, cells: int) -> Iterator[Words]:
    """``RECAP`` and a line for each site, or for many that are alike; last those that are not all
    ok, so that they stay on the screen.
    """
    fine = Counter(counts["ok"] for counts in sites.values() if _is_fine(counts))
    folded = {number: alike for number, alike in fine.items() if alike > MANY_SITES}
    rows = [
        (harmless(site), counts)
        for site, counts in sorted(sites.items(), key=lambda each: not _is_fine(each[1]))
        if not (_is_fine(counts) and counts["ok"] in folded)
    ]
    if sites:
        yield [("RECAP", BOLD)]
    for number, alike in sorted(folded.items()):
        yield [(f"{alike} sites: ok={number} each", GREEN)]
    yield from _rows(rows, cells)


def _rows(rows: Sequence[tuple[str, Counts]], cells: int) -> Iterator[Words]:
    """One below the other: names, then counts; where that is too wide, without those that are 0
    everywhere.
    """
    digits = {
        status: max((len(f"{counts[status]}") for _, counts in rows), default=0)
        for status in STATUSES
    }
    if cells and cells < LEAST_NAME + _taken(digits):
        for status in STATUSES:
            if not any(counts[status] for _, counts in rows):
                del digits[status]
    named = max((width(name) for name, _ in rows), default=0)
    if cells:
        named = min(named, max(cells - _taken(digits), LEAST_NAME))
    yield from (_row(shortened(name, named), named, counts, digits) for name, counts in rows)


def _taken(digits: Mapping[Status, int]) -> int:
    """Cells, by the counts."""
    return sum(len(f" {status}=") + number for status, number in digits.items())


def _row(name: str, named: int, counts: Counts, digits: Mapping[Status, int]) -> Words:
    worst: Status = next((status for status in WORST_FIRST if counts[status]), "ok")
    words = [(name + " " * (named - width(name)), COLORS[worst])]
    for status, number in digits.items():
        count = counts[status]
        word = f"{status}={count}"
        words.append((f" {word}", COLORS[status] if count else DIM))
        words.append((" " * (len(status) + 1 + number - len(word)), ""))
    return words[:-1]


def _total(result: RunResult) -> str:
    """What was to be done, how much of it was, and how long that took."""
    pairs, done = len(result.outcomes), len(result.having("ok"))
    sites = len({each.site for each in result.outcomes})
    what = listed([harmless(job) for job in result.jobs], most=5) or "no job"
    where = "1 site" if sites == 1 else f"{sites} sites"
    ending = ", interrupted" if result.interrupted else ""
    took = duration(result.seconds)
    return f"{what}: {done} of {pairs} ok on {where} in {took}{ending}"
