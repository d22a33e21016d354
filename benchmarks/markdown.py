"""Tables as Markdown that is read as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from . import against
from .table import Row, Table


def facts(title: str, values: Mapping[str, str]) -> str:
    """Facts as a list."""
    lines = [f"## {title}", "", *(f"- {name}: {value}" for name, value in values.items())]
    return "\n".join(lines) + "\n"


def table(shown: Table) -> str:
    """One table with what must be said of it."""
    remarks = "".join(f"\n{remark}\n" for remark in shown.remarks)
    title = f"### {shown.name}: {shown.title}\n"
    if not shown.rows:
        return title + remarks
    tails = any(row.p99 is not None for row in shown.rows)
    goals = any(row.goal is not None for row in shown.rows)
    lost = any(row.lost for row in shown.rows)
    head = ["who", "how", "median", "min..max", *["p99"] * tails]
    head += [f"times {peer}" for peer in shown.peers]
    wishes = any(row.wish is not None for row in shown.rows)
    beside = bool(shown.ours)
    if beside:
        head += ["ours is better by", "our best", *["goal"] * wishes]
    head += ["goal"] * goals + ["lost"] * lost + list(shown.rows[0].also)
    body = []
    for row in shown.rows:
        cells = [row.name, row.way, number(row.median, shown.unit)]
        cells.append(f"{number(row.low, shown.unit)}..{number(row.high, shown.unit)}")
        cells += [number(row.p99, shown.unit) if row.p99 is not None else "-"] * tails
        cells += [ratio(row.better_than.get(peer)) for peer in shown.peers]
        if beside:
            cells += [against.given(row, shown), against.best(row, shown)]
            cells += [against.verdict(row, shown)] * wishes
        cells += [_goal(row, shown.unit)] * goals + [str(row.lost)] * lost
        cells += [_three_digits(value) for value in row.also.values()]
        body.append(cells)
    return f"{title}\n{grid(head, body)}{remarks}"


def comparison(stored: Table, now: Table) -> str:
    """The stored figures beside the new ones; the ratios are what should have stayed."""
    known = {(row.name, row.way): row for row in stored.rows}
    head = ["who", "how", "stored", "now"]
    for peer in now.peers:
        head += [f"times {peer}, stored", "now"]
    body = []
    for row in now.rows:
        old = known.get((row.name, row.way))
        cells = [row.name, row.way]
        cells += [number(old.median, stored.unit) if old else "-", number(row.median, now.unit)]
        for peer in now.peers:
            cells += [ratio(old.better_than.get(peer) if old else None)]
            cells += [ratio(row.better_than.get(peer))]
        body.append(cells)
    return f"### {now.name}: stored and now\n\n{grid(head, body)}"


def grid(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A table with its columns in line, figures to the right."""
    widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
    rule = [
        "-" * width if place < 2 else "-" * (width - 1) + ":" for place, width in enumerate(widths)
    ]
    return "".join(_line(cells, widths) for cells in (head, rule, *body))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.ljust(width) if place < 2 else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return f"| {' | '.join(padded)} |\n"


def number(value: float, unit: str) -> str:
    """Three digits, with the unit: ``1.52M/s``, ``34.1 us``."""
    if unit != "/s":
        return f"{_three_digits(value)} {unit}"
    for limit, sign in ((1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{_three_digits(value / limit)}{sign}/s"
    return f"{_three_digits(value)}/s"


def ratio(value: float | None) -> str:
    """``1.52x``; a dash where there is none."""
    return "-" if value is None else f"{value:.2f}x"


def _three_digits(value: float) -> str:
    if value < 0.1:
        return f"{value:.2g}"
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f}"


def _goal(row: Row, unit: str) -> str:
    if row.goal is None:
        return "-"
    return f"{row.goal:g} {unit}: {'met' if row.median <= row.goal else 'missed'}"
