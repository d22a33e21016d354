"""Everybody comes to know everybody, whatever the network loses."""

import os
import subprocess
import sys

import pytest

from meshcluster.testing import Simulation

SEEDS = range(5)


@pytest.mark.parametrize("seed", SEEDS)
def test_two_members_know_each_other_one_round_trip_after_the_first_beacon(seed: int) -> None:
    sim = Simulation(seed, members=2, latency=(0.001, 0.001))
    assert sim.run_until(sim.converged, limit=1) <= 0.01


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("members", [2, 16])
def test_members_started_together_all_know_all(seed: int, members: int) -> None:
    sim = Simulation(seed, members)
    assert sim.run_until(sim.converged, limit=5) <= 1


@pytest.mark.parametrize("loss", [0.01, 0.1])
def test_lost_datagrams_only_delay_it(loss: float) -> None:
    sim = Simulation(11, members=16, loss=loss)
    sim.run_until(sim.converged, limit=10)


def test_a_hundred_members_know_all_under_one_percent_loss() -> None:
    sim = Simulation(3, members=100, loss=0.01)
    assert sim.run_until(sim.converged, limit=30) <= 5


def test_duplicated_and_reordered_datagrams_make_no_second_discovery() -> None:
    sim = Simulation(5, members=8, duplication=0.5, latency=(0.0001, 0.2))
    sim.run(seconds=20)
    for member in sim.members:
        seen = [name for _, what, name in member.log if what == "discovered"]
        assert sorted(seen) == sorted(set(seen))
        assert len(seen) == 7


def test_a_late_joiner_is_known_at_once_and_knows_all() -> None:
    sim = Simulation(2, members=5)
    sim.run_until(sim.converged, limit=5)
    sim.run(seconds=60)
    sim.add("late")
    assert sim.run_until(sim.converged, limit=5) <= 0.05


def test_members_of_another_cluster_are_not_seen() -> None:
    sim = Simulation(2)
    one, other = sim.add(cluster="one"), sim.add(cluster="other")
    sim.run(seconds=5)
    assert one.known == other.known == []
    assert one.node.counters.as_dict()["datagrams: of another cluster"] > 0


def test_with_ttl_0_nobody_from_outside_the_host_is_heard() -> None:
    sim = Simulation(2, members=2, ttl=0)  # their addresses are not loopback ones
    sim.run(seconds=5)
    assert sim.members[0].known == []
    assert sim.members[0].node.counters.as_dict()["datagrams: from outside this host"] > 0


def test_details_too_large_for_a_datagram_come_over_a_link() -> None:
    sim = Simulation(4, members=1)
    large = sim.add("large", tags=tuple(f"tag-{n:04}" for n in range(500)))
    assert sim.run_until(sim.converged, limit=5) <= 0.5
    seen = sim.members[0].peer_named("large").service
    assert seen.tags == large.node.details.tags


@pytest.mark.slow
def test_the_same_seed_gives_the_same_run_under_another_hash_seed() -> None:
    script = "from meshcluster.testing.simulation import churn; print(churn(9, 30, 20.0).digest)"
    digests = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            check=True, capture_output=True, text=True, timeout=60,
        ).stdout
        for hash_seed in ("0", "1", "4242")
    }  # fmt: skip
    assert len(digests) == 1
