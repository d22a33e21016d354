"""How much better ours is than a peer, and what was wished for: the cells of tables of peers."""

from __future__ import annotations

from collections.abc import Sequence

from .table import Row, Table


def subject(row: Row, shown: Table) -> str:
    """Which of ours a row is given against: whom the goal is about, or else the first."""
    return row.wish.by if row.wish is not None else shown.ours[0]


def reached(row: Row, shown: Table) -> float | None:
    """How many times better that one is; None in a row of ours."""
    return row.beaten_by.get(subject(row, shown))


def met(row: Row, shown: Table) -> bool | None:
    """Whether that is as much as was wished; None where nothing was."""
    times = reached(row, shown)
    return None if row.wish is None or times is None else times >= row.wish.times


def verdict(row: Row, shown: Table) -> str:
    """``5x: met``; a dash where nothing was wished."""
    said = met(row, shown)
    if row.wish is None or said is None:
        return "-"
    return f"{row.wish.times:g}x: {'met' if said else 'missed'}"


def in_short(row: Row, shown: Table) -> str:
    """The ratio with the goal: ``1.45x (1.5x: missed)``."""
    times = reached(row, shown)
    if times is None:
        return "-"
    said = verdict(row, shown)
    return short(times) if said == "-" else f"{short(times)} ({said})"


def beside(row: Row, one: str, shown: Table) -> str:
    """The ratio to one of ours, with the goal if it is about that one."""
    return in_short(row, shown) if one == subject(row, shown) else short(row.beaten_by[one])


def best(row: Row, shown: Table) -> str:
    """The best of ours, if it is another one than the row is given against; else a dash."""
    if not row.beaten_by:
        return "-"
    name = max(row.beaten_by, key=lambda one: row.beaten_by[one])
    return "-" if name == subject(row, shown) else f"{short(row.beaten_by[name])} {face(name)}"


def given(row: Row, shown: Table) -> str:
    """The ratio, with the name of ours where it is not the usual one."""
    times = reached(row, shown)
    if times is None:
        return "-"
    name = subject(row, shown)
    return short(times) if name == shown.ours[0] else f"{short(times)} {face(name)}"


def face(name: str) -> str:
    """One of ours without what all of them are called: ``async, unix``."""
    return name.removeprefix("meshcluster, ")


def short(times: float) -> str:
    """Three digits, without a fraction where it says nothing: ``0.85x``, ``35.3x``, ``203x``."""
    return f"{times:.2f}x" if times < 10 else f"{times:.1f}x" if times < 100 else f"{times:.0f}x"


def peers(shown: Table) -> Sequence[Row]:
    """The rows that are not ours."""
    return [row for row in shown.rows if row.beaten_by]
