"""Members leave, die, hang and come back; the others hear of it once, in order, in time."""

import pytest

from meshcluster.testing import Simulation, VirtualMember


def settled(seed: int, members: int = 3, **config: object) -> Simulation:
    sim = Simulation(seed, members, **config)  # type: ignore[arg-type]
    sim.run_until(sim.converged, limit=10)
    sim.run(seconds=3)
    return sim


def history(member: VirtualMember, name: str) -> list[str]:
    return [
        what for _, what, who in member.log
        if who.split()[0] == name and what not in ("suspect", "recovered")
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
def test_a_goodbye_is_heard_at_once(seed: int) -> None:
    sim = settled(seed)
    sim.leave(sim.members[0])
    assert sim.run_until(sim.converged, limit=1) <= 0.05


@pytest.mark.parametrize("seed", range(5))
def test_a_killed_member_is_noticed_within_two_heartbeats(seed: int) -> None:
    sim = settled(seed)
    sim.kill(sim.members[0])
    assert sim.run_until(sim.converged, limit=5) <= 2.0


def test_a_killed_member_with_an_open_link_is_noticed_at_once() -> None:
    sim = settled(1)
    one, two, _ = sim.members
    one.send("hello", two.name)
    sim.run(seconds=0.1)
    sim.kill(one)
    sim.run(seconds=0.1)
    assert history(two, one.name) == ["discovered", "lost"]


def test_a_member_cut_off_is_lost_and_comes_back_when_the_cut_heals() -> None:
    sim = settled(2, members=6)
    sim.partition(sim.members[:3], sim.members[3:])
    sim.run(seconds=15)
    assert all(len(member.known) == 2 for member in sim.members)
    sim.repair()
    assert sim.run_until(sim.converged, limit=30) <= 5


@pytest.mark.parametrize("seed", range(3))
def test_missed_beacons_kill_nobody_who_answers(seed: int) -> None:
    sim = settled(seed, members=8, loss=0.1)
    sim.run(seconds=120)
    lost = [entry for member in sim.members for entry in member.log if entry[1] == "lost"]
    assert lost == [], f"seed={sim.seed}"


def test_a_restart_is_lost_then_discovered() -> None:
    sim = settled(4)
    old, *others = sim.members
    new = sim.restart(old)
    sim.run_until(sim.converged, limit=5)
    for other in others:
        assert history(other, old.name) == ["discovered", "lost", "discovered"]
        assert other.peer_named(new.name).boot == new.node.identity.boot


@pytest.mark.parametrize("seed", range(6))
def test_a_restart_at_the_same_address_takes_the_place_of_the_dead_run_once(seed: int) -> None:
    """What has to be found out is lost again and again, so that the new run waits for the old."""
    sim = settled(50 + seed, members=4)
    old, *others = sim.members
    sim.network.loss = 0.5
    new = sim.restart(old)
    sim.run(seconds=1)
    sim.network.loss = 0.0
    sim.run_until(sim.converged, limit=5)
    for other in others:
        assert history(other, old.name) == ["discovered", "lost", "discovered"]
        assert not other.disorder
        assert other.peer_named(new.name).boot == new.node.identity.boot


def test_two_living_members_of_one_name_are_both_kept() -> None:
    sim = Simulation(5, members=1)
    sim.add("twin")
    sim.run(seconds=1)
    sim.add("twin")
    sim.run(seconds=10)
    assert sim.members[0].known == ["twin", "twin"]
    assert history(sim.members[0], "twin") == ["discovered", "discovered", "conflict"]


def test_a_goodbye_from_another_address_is_not_believed() -> None:
    sim = settled(6)
    victim, other, forger = sim.members
    victim.node._discovery.say_goodbye(sim.now)  # the very datagram, from somebody else's address
    (effect,) = victim.node.take_effects()
    sim.send(forger, effect.data, other.address)
    sim.run(seconds=0.5)
    assert victim.name in other.known
    assert other.node.counters.as_dict()["datagrams: goodbyes from another address"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_after_any_churn_all_views_agree(seed: int) -> None:
    from meshcluster.testing.simulation import churn

    churn(seed, members=12, seconds=40)
