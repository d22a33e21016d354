"""Jobs go to idle workers, and wait while all are busy."""

import pytest

pytestmark = pytest.mark.process


def test_all_jobs_are_done(shell):
    for _ in range(2):
        shell("examples/daemon.py").wait_for("ready")
    client = shell("examples/daemon_client.py", *["0.3"] * 6)
    done = [line for line in client.end().splitlines() if line.endswith("slept 0.3 s")]
    assert len(done) == 6
    assert len({line.split()[0] for line in done}) == 2


def test_it_waits_for_a_worker(shell):
    client = shell("examples/daemon_client.py")
    shell("examples/daemon.py").wait_for("ready")
    client.wait_for("daemon-... slept 0.1 s")
    client.end()
