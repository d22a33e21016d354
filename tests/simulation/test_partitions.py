"""A mesh that was cut apart is one again soon after, however long it was and which ways."""

import pytest

from meshcluster.testing import Simulation
from meshcluster.timing import Timing

HOUR = 3600.0
SLOW = Timing(probe_seconds=60.0, answer_seconds=5.0, suspect_seconds=60.0, late_seconds=10.0)
"""Hours go by quickly where everything is slow."""


def settled(seed: int, members: int = 6, **config: object) -> Simulation:
    sim = Simulation(seed, members, **config)  # type: ignore[arg-type]
    sim.run_until(sim.converged, limit=30)
    sim.run(seconds=3)
    return sim


def heals(sim: Simulation, *, limit: float) -> None:
    sim.repair()
    took = sim.run_until(sim.converged, limit=limit)
    print(f"seed={sim.seed}: views are equal after {took:.2f} s")
    assert [member.disorder for member in sim.members if member.disorder] == []
    one, *others = sim.members
    one.send("still there?")
    sim.run_until(lambda: all((one.name, "still there?") in m.received for m in others), limit=5)


@pytest.mark.parametrize("seconds", [1.0, 4.0, 7.0, 15.0, 60.0, 600.0])
def test_two_halves(seconds: float) -> None:
    sim = settled(round(seconds))
    sim.partition(sim.members[:3], sim.members[3:])
    sim.run(seconds=seconds)
    if seconds >= 15:
        assert all(len(member.known) == 2 for member in sim.members)
    heals(sim, limit=5)


@pytest.mark.parametrize("seconds", [5.0, 60.0])
def test_three_parts(seconds: float) -> None:
    sim = settled(20)
    sim.partition(sim.members[:2], sim.members[2:4], sim.members[4:])
    sim.run(seconds=seconds)
    if seconds >= 15:
        assert all(len(member.known) == 1 for member in sim.members)
    heals(sim, limit=5)


@pytest.mark.parametrize("members", [2, 6])
@pytest.mark.parametrize("seconds", [5.0, 60.0])
def test_one_way(members: int, seconds: float) -> None:
    """Who is heard but hears nobody is not dead; whatever is thought of it, it is well after."""
    sim = settled(21, members)
    sim.partition_one_way(sim.members[:1], sim.members[1:])
    sim.run(seconds=seconds)
    assert all(
        len(set(member.known) & {m.name for m in sim.members[1:]}) >= members - 2
        for member in sim.members[1:]
    ), "those who hear each other keep each other"
    heals(sim, limit=10)


def test_one_path_of_many_is_broken_and_nobody_dies() -> None:
    sim = settled(22)
    sim.partition_one_way(sim.members[:1], sim.members[1:2])
    sim.run(seconds=60)
    assert sim.converged(), "the others see both"
    heals(sim, limit=5)


@pytest.mark.parametrize("seed", range(3))
def test_one_that_comes_and_goes(seed: int) -> None:
    sim = settled(30 + seed, loss=0.05)
    for _ in range(6):
        sim.partition(sim.members[:3], sim.members[3:])
        sim.run(seconds=sim.random.uniform(0.5, 8))
        sim.repair()
        sim.run(seconds=sim.random.uniform(0.5, 8))
    sim.network.loss = 0.0
    heals(sim, limit=10)


def test_a_day_and_an_hour() -> None:
    sim = settled(25, 3, heartbeat_seconds=60.0, expire_seconds=300.0, timing=SLOW)
    sim.partition(sim.members[:1], sim.members[1:])
    sim.run(seconds=25 * HOUR)
    assert [len(member.known) for member in sim.members] == [0, 1, 1]
    heals(sim, limit=120)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_day_and_an_hour_at_full_speed() -> None:
    sim = settled(26, 4)
    sim.partition(sim.members[:2], sim.members[2:])
    sim.run(seconds=25 * HOUR)
    assert [len(member.known) for member in sim.members] == [1, 1, 1, 1]
    heals(sim, limit=5)


@pytest.mark.parametrize("seed", range(2))
def test_a_storm_of_kills_and_restarts_ends_in_equal_views(seed: int) -> None:
    sim = settled(40 + seed, 12, loss=0.02)
    for _ in range(40):
        sim.run(seconds=0.5)
        sim.restart(sim.random.choice(sim.members))
    sim.network.loss = 0.0
    heals(sim, limit=5)
    sim.run(seconds=1)
    for member in sim.members:
        assert len(list(member.node.peers)) == 11
        assert all(link.open for link in member.links)
