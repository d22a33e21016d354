"""A table of peers as a panel of a picture: how many times better ours is, and what was wished."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from . import against
from .markdown import number
from .table import Row, Table

LEFT, RIGHT, VALUES, END, MARGIN = 215, 600, 612, 964, 16
TITLE, AXIS, LINE, BAR = 50, 20, 22, 12
MET, MISSED, NEITHER, GOAL, GRID = "#16a34a", "#dc2626", "#94a3b8", "#0f172a", "#e2e8f0"
FIRST, LAST = -2, 3
"""Powers of ten at the ends of the axis, which is the same in all panels."""

OURS_A_LINE = 3


def height(table: Table) -> int:
    """Of a panel."""
    return _head(table) + AXIS + LINE * len(against.peers(table)) + MARGIN


def panel(table: Table, top: int) -> Iterator[str]:
    """A bar for each peer, from 1x to the right where ours is better, to the left where it is not;
    a mark where the goal is.
    """
    rows = sorted(against.peers(table), key=lambda row: -(against.reached(row, table) or 0.0))
    yield _text(MARGIN, top + 18, f"{table.name}: {table.title}", extra=' font-weight="bold"')
    for place, line in enumerate(_ours(table)):
        yield _text(MARGIN, top + 38 + LINE * place, line, extra=' fill="#2563eb"')
    top += _head(table)
    yield from _axis(top, top + LINE * len(rows))
    for place, row in enumerate(rows):
        yield from _bar(row, table, top + LINE * place + (LINE - BAR) // 2)


def _head(table: Table) -> int:
    return TITLE + LINE * (len(_ours(table)) - 1)


def _ours(table: Table) -> Sequence[str]:
    """Our own figures, in as many lines as they need."""
    told = [
        f"{against.face(each.name)} {each.way} {number(each.median, table.unit)}"
        for each in table.rows
        if not each.beaten_by
    ]
    firsts = range(0, max(len(told), 1), OURS_A_LINE)
    return [f"ours: {', '.join(told[first : first + OURS_A_LINE])}" for first in firsts]


def _axis(top: int, bottom: int) -> Iterator[str]:
    for power in range(FIRST, LAST + 1):
        x = at(10.0**power)
        stroke = f'stroke="{GOAL}"' if power == 0 else f'stroke="{GRID}"'
        yield f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}" {stroke}/>\n'
        middle = ' text-anchor="middle" font-size="11" fill="#64748b"'
        yield _text(x, bottom + 14, f"{10.0**power:g}x", extra=middle)


def _bar(row: Row, table: Table, top: int) -> Iterator[str]:
    times, met = against.reached(row, table) or 1.0, against.met(row, table)
    colour = NEITHER if met is None else MET if met else MISSED
    ends: Sequence[float] = sorted((at(1.0), at(times)))
    baseline = top + BAR - 2
    yield _text(LEFT - 10, baseline, f"{row.name}, {row.way}", extra=' text-anchor="end"')
    width = max(ends[1] - ends[0], 1.0)
    yield (
        f'<rect x="{ends[0]:.1f}" y="{top}" width="{width:.1f}" height="{BAR}" fill="{colour}"/>\n'
    )
    if row.wish is not None:
        x = at(row.wish.times)
        line = f'x1="{x:.1f}" y1="{top - 4}" x2="{x:.1f}" y2="{top + BAR + 4}"'
        yield f'<line {line} stroke="{GOAL}" stroke-width="2"/>\n'
    lost = f", {row.lost} lost" if row.lost else ""
    yield _text(VALUES, baseline, f"{number(row.median, table.unit)}{lost}")
    said = against.given(row, table)
    if row.wish is not None:
        said += f", goal {against.verdict(row, table)}"
    yield _text(END, baseline, said, extra=' text-anchor="end"')


def at(times: float) -> float:
    """Where a ratio is on the axis; what is beyond its ends is at them."""
    power = math.log10(times) if times > 0 else FIRST
    part = (min(max(power, FIRST), LAST) - FIRST) / (LAST - FIRST)
    return LEFT + part * (RIGHT - LEFT)


def _text(x: float, y: float, text: str, *, extra: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}"{extra}>{escape(text)}</text>\n'
