"""Meshes without multicast: one seed is enough to meet all, and everything else goes on as well."""

import pytest

from meshcluster.testing import Simulation
from meshcluster.wire import codec
from meshcluster.wire.frames import DirectBeacon


def mesh(count, seed=1, *, seeds=("m1",), **config):
    return Simulation(seed, count, multicast=False, seeds=seeds, **config)


def known_by(sim):
    return {member.name: member.known for member in sim.members}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("count", [2, 3, 20, 64])
def test_one_seed_is_enough_to_meet_all(count, seed):
    sim = mesh(count, seed)
    assert sim.run_until(sim.converged, limit=5) < 5


def test_beyond_64_members_as_well():
    sim = mesh(150)
    sim.run_until(sim.converged, limit=30)


def test_any_member_will_do_as_a_seed():
    sim = mesh(5)
    sim.run_until(sim.converged, limit=5)
    sim.add(seeds=("m4",))
    assert sim.run_until(sim.converged, limit=5) < 3


def test_the_seed_itself_needs_none():
    sim = Simulation(1, 1, multicast=False)
    for _ in range(6):
        sim.add(seeds=("m1",))
    sim.run_until(sim.converged, limit=5)


def test_without_seeds_nobody_meets():
    sim = mesh(3, seeds=())
    sim.run(30)
    assert known_by(sim) == {"m1": [], "m2": [], "m3": []}


def test_who_starts_before_its_seed_meets_it_later():
    sim = Simulation(1, multicast=False)
    sim.add("early", seeds=("late",))
    sim.run(20)
    sim.add("late")
    assert sim.run_until(sim.converged, limit=40) < 40


def test_lost_datagrams_do_not_keep_anybody_out():
    sim = mesh(20, loss=0.3)
    sim.run_until(sim.converged, limit=30)


def test_a_killed_member_is_noticed():
    sim = mesh(10)
    sim.run_until(sim.converged, limit=5)
    sim.kill(sim.members[4])
    assert sim.run_until(sim.converged, limit=5) < 3


def test_a_goodbye_is_heard_at_once():
    sim = mesh(10)
    sim.run_until(sim.converged, limit=5)
    sim.run(5)
    sim.leave(sim.members[4])
    assert sim.run_until(sim.converged, limit=5) < 0.1


def test_a_change_of_tags_is_heard_at_once():
    sim = mesh(10)
    sim.run_until(sim.converged, limit=5)
    sim.run(5)
    changed = sim.members[3]
    changed.retag("new")

    def all_know():
        others = [m for m in sim.members if m is not changed]
        return all(m.peer_named(changed.name).service.tags == ("new",) for m in others)

    assert sim.run_until(all_know, limit=5) < 0.2


@pytest.mark.parametrize("pause", [0.0, 8.0])
def test_a_seed_that_was_killed_and_starts_again_is_met_again_and_meets_all(pause):
    sim = mesh(10)
    sim.run_until(sim.converged, limit=5)
    seed = sim.members[0]
    sim.kill(seed)
    sim.run(pause)
    assert pause == 0 or sim.converged()
    sim.restart(seed, seeds=())
    sim.run_until(sim.converged, limit=30)


def test_without_its_seed_a_mesh_lives_on():
    sim = mesh(10)
    sim.run_until(sim.converged, limit=5)
    sim.kill(sim.members[0])
    sim.run_until(sim.converged, limit=5)
    sim.run(60)
    assert sim.converged()


def test_two_parts_that_lost_each_other_meet_again():
    sim = mesh(8)
    sim.run_until(sim.converged, limit=5)
    sim.partition(sim.members[:4], sim.members[4:])
    sim.run(60)
    assert sim.members[0].known == ["m2", "m3", "m4"]
    sim.repair()
    sim.run_until(sim.converged, limit=45)


def test_nobody_is_lost_by_mistake():
    sim = mesh(12, loss=0.05)
    sim.run_until(sim.converged, limit=10)
    sim.run(120)
    assert [entry for m in sim.members for entry in m.log if entry[1] == "lost"] == []


def test_where_multicast_works_nothing_is_told_twice(monkeypatch):
    sim = Simulation(1, 12)
    direct = []
    send = sim.send

    def counted(sender, data, address):
        if isinstance(codec.decode_datagram(data), DirectBeacon):
            direct.append((sim.now, sender.name, address))
        send(sender, data, address)

    monkeypatch.setattr(sim, "send", counted)
    sim.run(60)
    assert sim.converged()
    assert direct == []


def test_the_same_seed_of_chance_gives_the_same_run():
    runs = [mesh(10, 7) for _ in range(2)]
    for sim in runs:
        sim.run(20)
    assert runs[0].digest == runs[1].digest
