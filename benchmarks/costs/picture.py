"""``python -m benchmarks.costs.picture KEPT.json PICTURE.svg``: the table ``growth``, drawn.

What a message costs stands over the number of members; a line that rises would be seen. Both axes
are logarithmic, so that a cost that grows with the mesh is a slope.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from math import log10
from pathlib import Path

from .. import stored
from ..table import Table

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 60, 150, 40, 50
COLORS = ("#1f77b4", "#d95f02", "#2ca02c", "#7b3294")
LABEL_PIXELS = 15
INK, GRID = "#555", "#ccc"

Points = Sequence[tuple[float, float]]


def growth(table: Table) -> str:
    """The costs of a message and of a question, by the number of members."""
    members = [float(row.name.split()[0].replace(",", "")) for row in table.rows]
    columns = {"message": [row.median for row in table.rows]}
    for head, name in (("by word us", "by word"), ("question us", "question")):
        columns[name] = [row.also[head] for row in table.rows]
    series = {name: list(zip(members, each, strict=True)) for name, each in columns.items()}
    return lines("CPU time of one message, by the members of the mesh", "us", series)


def lines(title: str, unit: str, series: Mapping[str, Points]) -> str:
    """An SVG picture with a line for each series, on logarithmic axes."""
    points = [point for each in series.values() for point in each]
    xs = _decades([x for x, _ in points])
    ys = _decades([y for _, y in points])
    parts = [_text(LEFT, TOP - 18, title, size=14)]
    for x in xs:
        at = _x(x, xs)
        parts += [_rule(at, TOP, at, HEIGHT - BOTTOM), _text(at, HEIGHT - BOTTOM + 18, f"{x:,.0f}")]
    for y in ys:
        at = _y(y, ys)
        parts += [_rule(LEFT, at, WIDTH - RIGHT, at), _text(4, at + 4, f"{y:g} {unit}")]
    parts.append(_text(LEFT, HEIGHT - 12, "members"))
    for color, each in zip(COLORS, series.values(), strict=False):
        places = [(_x(x, xs), _y(y, ys)) for x, y in each]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in places]
    right = WIDTH - RIGHT + 10
    for color, name, at in _labels(series, ys):
        parts.append(_text(right, at + 4, f"{name}: {series[name][-1][1]:.3g} {unit}", color))
    body = "\n".join(parts)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
    paper = '<rect width="100%" height="100%" fill="white"/>'
    return f'{head} font-family="sans-serif">\n{paper}\n{body}\n</svg>\n'


def _labels(series: Mapping[str, Points], ys: Sequence[float]) -> list[tuple[str, str, float]]:
    """The colour, name and height of each line's label: at its end, but never over another one."""
    ends = [
        (_y(each[-1][1], ys), name, color)
        for color, (name, each) in zip(COLORS, series.items(), strict=False)
    ]
    placed, above = list[tuple[str, str, float]](), 0.0
    for at, name, color in sorted(ends):
        above = max(at, above + LABEL_PIXELS) if placed else at
        placed.append((color, name, above))
    return placed


def _decades(values: Sequence[float]) -> list[float]:
    """The powers of ten from below the least to above the greatest."""
    first, last = int(log10(min(values)) // 1), int(-(-log10(max(values)) // 1))
    return [10.0**power for power in range(first, max(last, first + 1) + 1)]


def _x(value: float, ticks: Sequence[float]) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * _share(value, ticks)


def _y(value: float, ticks: Sequence[float]) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * _share(value, ticks)


def _share(value: float, ticks: Sequence[float]) -> float:
    return log10(value / ticks[0]) / log10(ticks[-1] / ticks[0])


def _text(x: float, y: float, text: str, color: str = INK, size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{color}">{text}</text>'


def _rule(x: float, y: float, to_x: float, to_y: float) -> str:
    return f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" stroke="{GRID}"/>'


def main(kept: str, picture: str) -> None:
    """Draws what a run kept."""
    tables = {table.name: table for table in stored.load(Path(kept)).tables}
    Path(picture).write_text(growth(tables["growth"]), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
