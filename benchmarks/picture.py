"""A run as an SVG picture: a panel for each table, a bar for each row, nothing but text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from . import against, ratios
from .markdown import number
from .table import Row, Table

UNITS = ("/s", "us", "ms")
OURS, OTHERS = "#2563eb", "#94a3b8"
WIDTH, NAMES, VALUES, MARGIN = 980, 300, 190, 16
TITLE, LINE, BAR = 40, 22, 14
HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
    'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13" fill="#1e293b">\n'
    '<rect width="{width}" height="{height}" fill="#ffffff"/>\n'
)


def svg(tables: Sequence[Table]) -> str:
    """All tables that compare two rows or more, below each other.

    Those of peers show ratios, see ``ratios.panel``, the others figures. Bars of figures are
    logarithmic, since peers are up to a thousand times apart: a bar begins at the power of ten
    below the smallest figure. The line across its end is the spread of the rounds.
    """
    shown = [table for table in tables if table.unit in UNITS and _compares(table)]
    body, top = "", MARGIN
    for table in shown:
        if table.ours:
            body += "".join(ratios.panel(table, top))
            top += ratios.height(table)
        else:
            body += "".join(_panel(table, top))
            top += TITLE + LINE * len(table.rows) + MARGIN
    return HEAD.format(width=WIDTH, height=top) + body + "</svg>\n"


def _compares(table: Table) -> bool:
    return bool(against.peers(table)) if table.ours else len(table.rows) > 1


def _panel(table: Table, top: int) -> Iterator[str]:
    better = "more is better" if table.unit == "/s" else "less is better"
    title = f"{table.name}: {table.title} ({better}, {table.rounds} rounds, logarithmic)"
    yield _text(MARGIN, top + TITLE // 2, title, extra=' font-weight="bold"')
    scale = Scale(table.rows)
    best_first = sorted(table.rows, key=lambda row: row.median, reverse=table.unit == "/s")
    for place, row in enumerate(best_first):
        yield from _bar(row, scale, top + TITLE + LINE * place, table.unit)


def _bar(row: Row, scale: Scale, top: int, unit: str) -> Iterator[str]:
    middle, baseline = top + BAR / 2, top + BAR - 2
    colour = OURS if row.name.startswith("meshcluster") else OTHERS
    yield _text(NAMES - 8, baseline, f"{row.name}, {row.way}", extra=' text-anchor="end"')
    width = max(scale.of(row.median), 1)
    yield f'<rect x="{NAMES}" y="{top}" width="{width:.1f}" height="{BAR}" fill="{colour}"/>\n'
    low, high = NAMES + scale.of(row.low), NAMES + scale.of(row.high)
    line = f'<line x1="{low:.1f}" y1="{middle}" x2="{high:.1f}" y2="{middle}" stroke="#0f172a"/>'
    yield line + "\n"
    lost = f", {row.lost} lost" if row.lost else ""
    yield _text(WIDTH - VALUES + 8, baseline, number(row.median, unit) + lost)


class Scale:
    """From figures to lengths."""

    def __init__(self, rows: Sequence[Row]) -> None:
        figures = [each for row in rows for each in (row.low, row.high) if each > 0] or [1.0]
        self._first = math.floor(math.log10(min(figures)))
        self._decades = max(1, math.ceil(math.log10(max(figures))) - self._first)

    def of(self, figure: float) -> float:
        """The length of a bar."""
        if figure <= 0:
            return 0.0
        part = (math.log10(figure) - self._first) / self._decades
        return part * (WIDTH - NAMES - VALUES)


def _text(x: float, y: float, text: str, *, extra: str = "") -> str:
    return f'<text x="{x}" y="{y}"{extra}>{escape(text)}</text>\n'
