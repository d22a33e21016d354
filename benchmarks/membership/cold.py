"""A mesh that starts at one moment: how soon all agree, and what they say until then and after."""

from __future__ import annotations

import gc
import resource
import time
from collections import Counter

import msgspec

from .measuring import SAID, SCHEMES
from .mesh import PlayedMesh

SHARES = (0.01, 0.1, 0.5, 1.0, 2.0, 5.0)
LIMIT_SECONDS = 120.0
QUIET_SECONDS = 10
"""Beacons are counted from here on."""

WATCHED_SECONDS = 120
"""More than one interval of the largest mesh."""


class ColdStart(msgspec.Struct):
    """What was seen. Seconds are virtual but for the last ones."""

    members: int
    real: int
    seed: int
    agreed: float | None
    """Until every real member knew all, and had the view that all should have."""
    last: float | None
    """Until every played one knew all as well."""
    shares: dict[str, float]
    """How much of what they should know the real members knew after so many seconds."""
    beacons: float
    """Of all members a second, after the first ten."""
    worst: int
    """In the worst of these seconds."""
    group: dict[str, int]
    """Datagrams to the group in the first ten seconds, by kind."""
    others: dict[str, float]
    """Of the whole mesh in this time: datagrams to one, and frames about views; per member."""
    view_bytes: float
    """Of such frames; per member."""
    questions: float
    """Datagrams to one that a real member sends in a second, after the first ten."""
    cpu_seconds: float
    wall_seconds: float
    memory_bytes: int
    """That the process had at most."""


def start(members: int, real: int, seed: int, *, seconds: int = WATCHED_SECONDS) -> ColdStart:
    """Starts one mesh and watches it for so long after the first ten seconds."""
    gc.disable()  # millions of objects live as long as the mesh: looking for garbage finds none
    cpu, wall = time.process_time(), time.monotonic()
    try:
        sim = PlayedMesh(seed, members, real, schemes=SCHEMES, said=SAID)
        shares, agreed, last = _agree(sim)
        sim.run(max(0.0, QUIET_SECONDS - sim.now))
        group = _group(sim)
        others = {kind: round(count / members, 2) for kind, count in sim.others.items()}
        view_bytes = round(sim.view_bytes / members, 1)
        sent = sim.asked
        sim.run(seconds)
    finally:
        gc.enable()
    beacons = sim.beacons(QUIET_SECONDS, QUIET_SECONDS + seconds)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return ColdStart(
        members, real, seed, agreed, last, shares, round(sum(beacons) / seconds, 1), max(beacons),
        group, others, view_bytes, round((sim.asked - sent) / real / seconds, 2),
        round(time.process_time() - cpu, 1), round(time.monotonic() - wall, 1), memory,
    )  # fmt: skip


def _agree(sim: PlayedMesh) -> tuple[dict[str, float], float | None, float | None]:
    shares, agreed, last = {}, None, None
    for until in (*SHARES, LIMIT_SECONDS):
        while sim.now < until - 1e-9 and last is None:
            sim.run(0.01)
            if agreed is None and sim.agreed():
                agreed = round(sim.now, 2)
            if agreed is not None and sim.complete:
                last = round(sim.now, 2)
        if until in SHARES:
            shares[f"{until:g}"] = round(sim.share(), 4)
    return shares, agreed, last


def _group(sim: PlayedMesh) -> dict[str, int]:
    found: Counter[str] = Counter()
    for (_, kind), count in sim.group.items():
        found[kind] += count
    return dict(found)
