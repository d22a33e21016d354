"""Rows of tables whose figures were not made by ``table.run``."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from .table import Row, rounded


def row(
    name: str, way: str, values: Sequence[float], *, p99: Sequence[float] = (),
    goal: float | None = None, lost: int = 0, also: Mapping[str, float] | None = None,
) -> Row:  # fmt: skip
    """The median and the spread of one figure's rounds, and what else is said of it."""
    return Row(
        name=name, way=way, median=rounded(statistics.median(values)), low=rounded(min(values)),
        high=rounded(max(values)), p99=rounded(statistics.median(p99)) if p99 else None,
        lost=lost, better_than={}, goal=goal,
        also={head: rounded(value) for head, value in (also or {}).items()},
    )  # fmt: skip
