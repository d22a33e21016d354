"""A thousand members in one simulation: they all know each other, soon and with few beacons."""

import gc

import pytest

from meshcluster.testing import Simulation

MEMBERS = 1000


@pytest.fixture
def no_collection():
    """Millions of objects live as long as the simulation: looking for garbage finds none."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_thousand_members_converge_under_loss_within_thirty_seconds(no_collection):
    sim = Simulation(seed=11, members=MEMBERS, loss=0.01)
    took = sim.run_until(sim.converged, limit=30)
    print(f"{MEMBERS} members agree after {took:.1f} virtual seconds")
