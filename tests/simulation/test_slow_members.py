"""Who is slow, stopped or tells another time is not dead, and takes nobody else for dead."""

import pytest

from meshcluster.testing import Simulation


def settled(seed: int, members: int = 10, **config: object) -> Simulation:
    sim = Simulation(seed, members, **config)  # type: ignore[arg-type]
    sim.run_until(sim.converged, limit=30)
    sim.run(seconds=3)
    return sim


def lost_by(sim: Simulation) -> dict[str, set[str]]:
    """Whom each member lost."""
    found = {m.name: {who for _, what, who in m.log if what == "lost"} for m in sim.members}
    return {name: whom for name, whom in found.items() if whom}


@pytest.mark.parametrize("seconds", [0.4, 2.0, 5.0, 60.0, 600.0])
def test_who_was_stopped_takes_nobody_for_dead(seconds: float) -> None:
    sim = settled(1)
    stopped = sim.members[0]
    sim.pause(stopped, seconds)
    sim.run(seconds=seconds + 15)
    assert stopped.name not in lost_by(sim)
    assert set().union(*lost_by(sim).values()) <= {stopped.name}
    sim.run_until(sim.converged, limit=5)
    assert [member.disorder for member in sim.members if member.disorder] == []


def test_a_moment_costs_no_member() -> None:
    sim = settled(2)
    for member in sim.members[:5]:
        sim.pause(member, 2.0)
        sim.run(seconds=3)
    sim.run(seconds=20)
    assert lost_by(sim) == {}


def test_of_those_who_are_stopped_half_of_the_time_no_healthy_one_loses_a_healthy_one() -> None:
    sim = settled(3, 30)
    slow, healthy = sim.members[:6], sim.members[6:]
    for _ in range(6):
        for member in slow:
            sim.pause(member, 5.0)
        sim.run(seconds=10)
    names = {member.name for member in healthy}
    lost = lost_by(sim)
    assert [lost[name] & names for name in names & lost.keys() if lost[name] & names] == []
    sim.run_until(sim.converged, limit=15)


def test_half_of_all_are_stopped_at_once() -> None:
    sim = settled(4, 12)
    for member in sim.members[:6]:
        sim.pause(member, 60.0)
    sim.run(seconds=65)
    for name, whom in lost_by(sim).items():
        assert name not in {m.name for m in sim.members[:6]}
        assert whom <= {m.name for m in sim.members[:6]}
    sim.run_until(sim.converged, limit=10)


@pytest.mark.parametrize("loss", [0.0, 0.1])
def test_clocks_that_are_fast_or_slow_change_nothing(loss: float) -> None:
    sim = Simulation(5, loss=loss)
    for number in range(12):
        sim.add(clock=(0.99, 1.0, 1.01)[number % 3])
    sim.run_until(sim.converged, limit=30)
    sim.run(seconds=300)
    assert lost_by(sim) == {}
    victim = sim.members[0]
    sim.kill(victim)
    assert sim.run_until(sim.converged, limit=15) < 10


def test_a_stopped_member_is_held_for_by_its_host_only_so_much() -> None:
    sim = settled(6, 4)
    stopped, one, *_ = sim.members
    sim.pause(stopped, 1000.0)
    sim.run(seconds=900)
    assert stopped._datagrams_held == 256
    one.send("you there", one.known[0])
    sim.run(seconds=120)
    sim.run_until(sim.converged, limit=10)
