"""A thousand members in one simulation: they all know each other, soon and with few beacons."""

import subprocess
import sys

import pytest

# In a process that ends with them: they fill more than a gigabyte with small objects, which live
# as long as the simulation, so that looking for garbage finds none.
CONVERGING = """
import gc, os
from meshcluster.testing import Simulation

gc.disable()
sim = Simulation(seed=11, members=1000, loss=0.01)
took = sim.run_until(sim.converged, limit=30)
print(f"1000 members agree after {took:.1f} virtual seconds", flush=True)
os._exit(0)
"""


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_thousand_members_converge_under_loss_within_thirty_seconds():
    command = [sys.executable, "-c", CONVERGING]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    print(done.stdout)
