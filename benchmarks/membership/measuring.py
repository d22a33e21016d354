"""One mesh with one seed, from its cold start over a quiet time to deaths and a partition."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import msgspec

from meshcluster.testing import Simulation, SimulationFailed, VirtualMember

SAID = {"name": "c522b539/a081e319466a5950.sock", "port": 39587}
SCHEMES = ("unix", "tcp", "zeromq")
"""With these a beacon has about 200 bytes, as a real one of a host with one address."""

PATIENCE_SECONDS = 300.0
SETTLE_SECONDS = 10.0
IDLE_SECONDS = 20.0
PARTITION_SECONDS = 60.0
ONE_DEATH_SECONDS = 60.0
"""Of one member that was wrongly lost by several: so long all of that is one false death."""


class Outcome(msgspec.Struct):
    """What was seen. Seconds are virtual; ``None``: it did not happen in five minutes."""

    members: int
    loss: int
    """Percent of all datagrams."""
    seed: int
    hours: float
    """Quiet ones, in which nobody dies."""
    cold_start: float | None
    """Until every member knows all."""
    beacons: float
    """A second, of all members together, after the first ten seconds."""
    idle_bytes: float
    """That a member sends in a second."""
    suspicions: int
    """Suspicions of living members, each counted once for each that showed it."""
    false_deaths: int
    """Living members taken for dead by somebody."""
    false_views: int
    """The same, counted once for each that took it for dead."""
    silent_first: list[float]
    """For each silent death (a cable is pulled): when the first one knew."""
    silent_all: list[float]
    """... and the last one."""
    kill_all: list[float]
    """For each ``kill -9``: when the last one knew."""
    healed: float | None
    """After a partition of a minute into halves: until all know all again."""
    cpu_seconds: float


def measure(members: int, loss: int, seed: int, hours: float, deaths: int) -> Outcome:
    """Runs one mesh; ``deaths`` members die in silence, and as many are killed."""
    gc.disable()  # millions of objects live as long as the mesh: looking for garbage finds none
    started = time.process_time()
    try:
        sim = Simulation(
            1_000_000 * members + 1_000 * loss + seed,
            members,
            loss=loss / 100,
            schemes=SCHEMES,
            said=SAID,
        )
        cold = _until(sim, sim.converged)
        sim.run(seconds=SETTLE_SECONDS)
        announced, sent, began = sim.announced, sim.sent_bytes, sim.now
        sim.run(seconds=IDLE_SECONDS)
        beacons = (sim.announced - announced) / IDLE_SECONDS
        idle = (sim.sent_bytes - sent) / IDLE_SECONDS / members
        sim.run(seconds=max(0.0, hours * 3600 - IDLE_SECONDS))
        quiet = (sim.now - began) / 3600
        false = _entries(sim, "lost", began)
        suspicions = len(_entries(sim, "suspect", began))
        silent = [_silent_death(sim) for _ in range(deaths)]
        kills = [_kill(sim) for _ in range(deaths)]
        healed = _partition(sim) if members <= 100 else None
    finally:
        gc.enable()
    return Outcome(
        members, loss, seed, round(quiet, 4), cold, round(beacons, 1), round(idle, 1), suspicions,
        _deaths(false), len(false), [first for first, _ in silent], [last for _, last in silent],
        [last for _, last in kills], healed, round(time.process_time() - started, 1),
    )  # fmt: skip


def _until(sim: Simulation, condition: Callable[[], bool]) -> float | None:
    try:
        return round(sim.run_until(condition, limit=PATIENCE_SECONDS), 2)
    except SimulationFailed:
        return None


def _entries(sim: Simulation, what: str, since: float) -> list[tuple[float, str]]:
    """Who was suspected or lost, and when, earliest first."""
    found = [
        (when, whose)
        for member in sim.members
        for when, happened, whose in member.log
        if happened == what and when >= since
    ]
    return sorted(found)


def _deaths(entries: list[tuple[float, str]]) -> int:
    latest: dict[str, float] = {}
    count = 0
    for when, whose in entries:
        count += when > latest.get(whose, -ONE_DEATH_SECONDS) + ONE_DEATH_SECONDS
        latest[whose] = when
    return count


def _silent_death(sim: Simulation) -> tuple[float, float]:
    victim = sim.random.choice(sim.members)
    sim.partition([victim], [member for member in sim.members if member is not victim])
    found = _told(sim, victim, [member for member in sim.members if member is not victim])
    sim.kill(victim)
    sim.repair()
    sim.run(seconds=SETTLE_SECONDS)
    return found


def _kill(sim: Simulation) -> tuple[float, float]:
    victim = sim.random.choice(sim.members)
    sim.kill(victim)
    found = _told(sim, victim, sim.members)
    sim.run(seconds=SETTLE_SECONDS)
    return found


def _told(
    sim: Simulation, victim: VirtualMember, others: list[VirtualMember]
) -> tuple[float, float]:  # fmt: skip
    """After how many seconds the first and the last one knew that a member is dead."""
    start, key = sim.now, victim.node.identity.key
    _until(sim, lambda: all(each.node.peers.member(key) is None for each in others))
    times = [
        max((when for when, what, whose in reversed(each.log) if (what, whose) == (
            "lost", victim.name)), default=start + PATIENCE_SECONDS) - start
        for each in others
    ]  # fmt: skip
    return round(min(times), 3), round(max(times), 3)


def _partition(sim: Simulation) -> float | None:
    half = len(sim.members) // 2
    sim.partition(sim.members[:half], sim.members[half:])
    sim.run(seconds=PARTITION_SECONDS)
    sim.repair()
    return _until(sim, sim.converged)
