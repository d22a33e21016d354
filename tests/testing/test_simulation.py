"""A simulation can be repeated, says its seed when it fails, and tells time by its own clock."""

import subprocess
import sys

import pytest

from meshcluster.testing import Simulation, SimulationFailed


def run(seed: int) -> str:
    sim = Simulation(seed, members=10, loss=0.1)
    sim.run(seconds=5)
    sim.kill(sim.members[2])
    sim.run(seconds=5)
    return sim.digest


def test_the_same_seed_gives_the_same_run() -> None:
    assert run(1) == run(1)


def test_another_seed_gives_another_run() -> None:
    assert run(1) != run(2)


def test_time_is_virtual() -> None:
    sim = Simulation(1, members=3)
    sim.run(seconds=1000)
    assert sim.now == 1000


def test_a_condition_that_never_holds_names_the_seed_and_who_disagrees() -> None:
    sim = Simulation(77, members=2)
    sim.partition(sim.members[:1], sim.members[1:])
    with pytest.raises(SimulationFailed, match=r"seed=77: converged .* m1 misses \['m2'\]"):
        sim.run_until(sim.converged, limit=5)


def test_a_simulation_can_be_run_from_the_command_line() -> None:
    command = [sys.executable, "-m", "meshcluster.testing.simulation", "--seed", "3"]
    printed = subprocess.run(
        [*command, "--members", "6", "--seconds", "10"],
        check=True, capture_output=True, text=True, timeout=60,
    ).stdout  # fmt: skip
    assert printed.startswith("seed 3:")
    assert "members agree" in printed
