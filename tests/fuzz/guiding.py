"""Looks for inputs that make a target do something new, and keeps those."""

from __future__ import annotations

from pathlib import Path
from random import Random
from time import monotonic

from . import corpus
from .coverage import Coverage, Feature
from .mutating import Mutator
from .running import Broken, pool_of
from .target import Target

KEPT_BYTES = 400
"""Longer ones are not kept: shorter ones do the same sooner or later."""

KEPT = 80


def guide(target: Target, seed: int, seconds: float, folder: Path = corpus.FOLDER) -> str:
    """Adds to the kept inputs of a target what brings new coverage; says what came of it.

    Raises:
        Broken: an exception that is none of its own.
    """
    pool = pool_of(target, folder)
    mutator = Mutator(Random(seed), pool, target.dialect, target.limit_bytes)
    coverage, take = Coverage(target.refuses), target.open()
    found: dict[bytes, set[Feature]] = {}
    seen: set[Feature] = set()
    count = 0

    def look(data: bytes) -> bool:
        nonlocal take, count
        take = target.open() if target.stateful and count % 50 == 0 else take
        count += 1
        try:
            features = coverage.of(take, data)
        except Exception as error:
            raise Broken(target, data, count, seed, f"{type(error).__name__}: {error}") from error
        new = not features <= seen
        seen.update(features)
        if new:
            found[data] = features
        return new

    for data in pool:
        look(data)
    first, end = len(seen), monotonic() + seconds
    while monotonic() < end:
        for data in mutator.batch():
            if len(data) <= KEPT_BYTES and look(data):
                mutator.add(data)
    kept = _fewest(found, set(target.seeds()))
    corpus.keep(target.name, kept, folder)
    return f"{count:,} inputs, {first:,} -> {len(seen):,} features, {len(kept)} kept"


def _fewest(found: dict[bytes, set[Feature]], known: set[bytes]) -> list[bytes]:
    """Those that bring something the shorter ones do not; the well-formed ones are there anyway."""
    seen: set[Feature] = set().union(*(found[data] for data in found if data in known))
    kept = []
    for data in sorted(found.keys() - known, key=lambda each: (len(each), each)):
        if not found[data] <= seen:
            seen |= found[data]
            kept.append(data)
    return kept[:KEPT]
