"""A worker's functions, without the front; with it: test_http_front.py."""

import signal

import pytest

import meshcluster

pytestmark = pytest.mark.process


@pytest.fixture
def worker(shell):
    started = shell("examples/http_worker.py", "0")
    started.wait_for("ready ...")
    return started


def test_it_adds_and_counts_and_leaves(worker):
    with meshcluster.join() as cluster:
        assert cluster.call("Arith.sum", [1, 2, 3]) == 6
        assert [n for n in range(20) if cluster.call("Palindrome.check", n)] == [
            0, 1, 3, 5, 7, 9, 15, 17,
        ]  # fmt: skip
        assert cluster.call("Palindrome.count", (9, 17)) == 3
        with pytest.raises(meshcluster.ArgumentError, match="bounds"):
            cluster.call("Palindrome.count", 9)
        worker.signal(signal.SIGTERM)
        worker.end()
        with pytest.raises(meshcluster.NotExposed):
            cluster.call("Arith.sum", [1])
