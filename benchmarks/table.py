"""From the figures of interleaved rounds to a table: medians, spreads, ratios within each round."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .entrants import OURS, Entrant, absent
from .process import MemberFailed


@dataclass(frozen=True, slots=True)
class Figure:
    """What one entrant did in one round."""

    value: float
    """In the table's unit."""
    p99: float | None = None
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Wish:
    """How many times better than a peer one of ours is to be."""

    times: float
    by: str
    """Which of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One entrant over all rounds."""

    name: str
    way: str
    median: float
    low: float
    high: float
    p99: float | None
    lost: int
    better_than: dict[str, float]
    """By peer: how many times better, the median of the ratios of all rounds."""
    goal: float | None = None
    beaten_by: dict[str, float] = field(default_factory=dict)
    """By one of ours: how many times better that is, the median of the ratios of all rounds."""
    wish: Wish | None = None
    also: dict[str, float] = field(default_factory=dict)
    """Other figures, by the heads of their columns, which name the units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is measured and how it is shown."""

    name: str
    title: str
    unit: str
    """``/s``, where more is better; ``us`` or ``ms``, where less is."""
    entrants: Sequence[Entrant]
    peers: Sequence[str] = ()
    """The entrants that ratios are given against, see ``Entrant.peer``."""
    goals: dict[str, float] = field(default_factory=dict)
    """By entrant: the median that is wished for."""
    ours: Sequence[Entrant] = ()
    """Those of ours that all others are given ratios against."""
    wishes: dict[str, Wish] = field(default_factory=dict)
    """By peer."""
    remark: str = ""

    @property
    def more_is_better(self) -> bool:
        """Whether the figures are rates."""
        return self.unit == "/s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The outcome of a plan."""

    name: str
    title: str
    unit: str
    rounds: int
    peers: list[str]
    rows: list[Row]
    remarks: list[str]
    ours: list[str] = field(default_factory=list)


def run(plan: Plan, rounds: int, measure: Callable[[Entrant], Figure]) -> Table:
    """Measures all entrants once a round, each round in another order.

    A peer that fails is left out from then on, and told of.

    Raises:
        MemberFailed: one of ours failed.
    """
    why = absent()
    present = [entrant for entrant in plan.entrants if entrant.name not in why]
    figures: dict[Entrant, list[Figure]] = {entrant: [] for entrant in present}
    failed: dict[Entrant, str] = {}
    for number in range(rounds):
        first = number % len(present)
        for entrant in present[first:] + present[:first]:
            if entrant in failed:
                continue
            progress(f"{plan.name}: round {number + 1} of {rounds}, {entrant}")
            try:
                figures[entrant].append(measure(entrant))
            except MemberFailed as error:
                if entrant.name in OURS:
                    raise
                failed[entrant] = str(error)
    progress("")
    present = [entrant for entrant in present if entrant not in failed]
    whole = {entrant: figures[entrant] for entrant in present}
    named = {entrant.name for entrant in plan.entrants}
    remarks = [plan.remark] if plan.remark else []
    remarks += [f"{name} is left out: {lacks}." for name, lacks in why.items() if name in named]
    remarks += [f"{entrant} is left out: {lacks}." for entrant, lacks in failed.items()]
    return Table(
        name=plan.name, title=plan.title, unit=plan.unit, rounds=rounds,
        peers=[peer for peer in plan.peers if peer not in why],
        rows=[_row(plan, entrant, whole) for entrant in present],
        remarks=remarks, ours=[str(entrant) for entrant in plan.ours],
    )  # fmt: skip


def _row(plan: Plan, entrant: Entrant, figures: dict[Entrant, list[Figure]]) -> Row:
    own = figures[entrant]
    values = [figure.value for figure in own]
    slow = [figure.p99 for figure in own if figure.p99 is not None]
    ratios = {}
    for peer in plan.peers:
        theirs = figures.get(entrant.peer(peer))
        if theirs is not None and peer != entrant.name:
            ratios[peer] = _better_by(own, theirs, more_is_better=plan.more_is_better)
    return Row(
        name=entrant.name, way=entrant.way, median=rounded(statistics.median(values)),
        low=rounded(min(values)), high=rounded(max(values)),
        p99=rounded(statistics.median(slow)) if slow else None,
        lost=sum(figure.lost for figure in own), better_than=ratios,
        goal=plan.goals.get(entrant.name),
        beaten_by={
            str(one): _better_by(figures[one], own, more_is_better=plan.more_is_better)
            for one in plan.ours
            if entrant not in plan.ours
        },
        wish=plan.wishes.get(entrant.name),
    )  # fmt: skip


def _better_by(own: list[Figure], theirs: list[Figure], *, more_is_better: bool) -> float:
    pairs = [(a.value, b.value) for a, b in zip(own, theirs, strict=True)]
    return rounded(statistics.median(a / b if more_is_better else b / a for a, b in pairs))


def rounded(value: float) -> float:
    """Four digits: the fifth is chance."""
    return float(f"{value:.4g}")


def progress(text: str) -> None:
    """One line on a terminal, rewritten; silent elsewhere."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()
