"""The table of beacons says what a whole mesh does, simulated with all its members."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from meshcluster.testing import Simulation
from meshcluster.wire.sealed import SEAL_BYTES

ROOT = Path(__file__).parents[2]
QUIET_SECONDS = 20.0

pytestmark = [pytest.mark.process, pytest.mark.slow]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """By their names and ways, after a run of that part alone."""
    kept = tmp_path_factory.mktemp("benchmarks") / "kept.json"
    command = [sys.executable, "-m", "benchmarks", "beacons", "--repeats", "1", "--json", str(kept)]
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    (table,) = json.loads(kept.read_text())["tables"]
    return {(row["name"], row["way"]): row["also"] for row in table["rows"]}


class Counting(Simulation):
    """Counts what is sent to one alone as well."""

    unicast = 0

    def send(self, sender, data, address):
        self.unicast += 1
        super().send(sender, data, address)


@pytest.mark.parametrize("size", [10, 100])
def test_a_whole_mesh_sends_as_much(rows, size):
    sim = Counting(seed=size, members=size)
    sim.run_until(sim.converged, limit=30)
    sim.run(seconds=5)
    sim.announced = sim.unicast = 0
    sim.run(seconds=QUIET_SECONDS)
    row = rows[f"{size} members", "open"]
    assert sim.unicast == 0
    assert row["of all"] == pytest.approx(sim.announced / QUIET_SECONDS, rel=0.05)
    heard = sim.announced * (size - 1) / size / QUIET_SECONDS
    assert row["datagrams/s in"] == pytest.approx(heard, rel=0.05)


def test_a_thousand_members_send_no_more_than_a_hundred(rows):
    small, large = rows["100 members", "open"], rows["1,000 members", "open"]
    assert large["datagrams/s in"] == pytest.approx(small["datagrams/s in"], rel=0.05)
    assert large["beacons/s of one"] == pytest.approx(small["beacons/s of one"] / 10, rel=0.05)


def test_sealed_beacons_are_as_many_and_each_is_longer_by_its_seal(rows):
    open_, sealed = rows["100 members", "open"], rows["100 members", "sealed"]
    assert sealed["datagrams/s in"] == pytest.approx(open_["datagrams/s in"], rel=0.05)
    sizes = [row["bytes/s in"] / row["datagrams/s in"] for row in (open_, sealed)]
    assert sizes[1] - sizes[0] == pytest.approx(SEAL_BYTES, abs=1)
