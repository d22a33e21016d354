"""The form of a plan: stages one after the other, in each of them lanes side by side, in each lane
pairs one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from .outcomes import Pair
from .terms import Terms

Key: TypeAlias = tuple[int, str]
"""A job's position and name."""


class Lane:
    """Pairs that run one after the other. ``number``: its place in its stage."""

    __slots__ = ("_at", "number", "pairs")

    def __init__(self, number: int, pairs: Sequence[Pair]) -> None:
        self.number = number
        self.pairs = list(pairs)
        self._at = 0

    @property
    def next(self) -> Pair | None:
        """The first that has not begun; None: there is none left."""
        return self.pairs[self._at] if self._at < len(self.pairs) else None

    def take(self) -> Pair:
        """The first that has not begun; it counts as begun from here on."""
        self._at += 1
        return self.pairs[self._at - 1]

    def rest(self) -> list[Pair]:
        """All that have not begun; they count as begun from here on."""
        left = self.pairs[self._at :]
        self._at = len(self.pairs)
        return left


@dataclass(slots=True)
class Stage:
    """Lanes that run side by side.

    Attributes:
        portion: which portion of the sites it is for, from 0.
        job: the one job that all of its pairs are of; None: of several, or of all.
        lanes: in the order of the plan.
    """

    portion: int
    job: Key | None
    lanes: list[Lane] = field(default_factory=list)

    def add(self, pairs: Sequence[Pair]) -> Lane:
        """A further lane, behind the others."""
        lane = Lane(len(self.lanes), pairs)
        self.lanes.append(lane)
        return lane


def lay_out(
    terms: Terms, resolved: Mapping[Key, Sequence[str]], portion: int, sites: Sequence[str]
) -> list[Stage]:
    """The stages that take these sites, a portion of all, through their jobs. A job in a stage of
    its own has one even where it matches no site: by its turn it may.
    """
    within = dict.fromkeys(sites)
    jobs = {
        key: [Pair(*key, site) for site in found if site in within]
        for key, found in resolved.items()
    }
    whole = Stage(portion, None)
    if terms.schedule == "parallel":
        for pairs in jobs.values():
            for pair in pairs:
                whole.add([pair])
        return [whole]
    if terms.schedule == "site-sequential" or terms.order == "site":
        walks: dict[str, list[Pair]] = {site: [] for site in within}
        for pairs in jobs.values():
            for pair in pairs:
                walks[pair.site].append(pair)
        if terms.order == "site":
            whole.add([pair for walk in walks.values() for pair in walk])
        else:
            for walk in walks.values():
                whole.add(walk)
        return [whole]
    stages = []
    for key, pairs in jobs.items():
        stages.append(stage := Stage(portion, key))
        widen(stage, terms, pairs)
    return stages


def widen(stage: Stage, terms: Terms, pairs: Sequence[Pair]) -> None:
    """More pairs of the job of a stage that is for one job and has not begun."""
    if terms.schedule == "sequential":
        for pair in pairs:
            stage.add([pair])
    elif stage.lanes:
        stage.lanes[0].pairs += pairs
    elif pairs:
        stage.add(pairs)
