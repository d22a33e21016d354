"""A dispatcher whose workers, behind a real ssh server, are killed one after the other while they
work: each task is done, each loss is told in its attempts, and no process is left.
"""

import itertools
import sys
import threading
import time
from collections import Counter

import psutil
import pytest

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals"),
    pytest.mark.parametrize("way", ["sshd"], indirect=True, scope="session"),
]

WORKERS = ("w1", "w2", "w3", "w4")
ATTEMPTS = 50
"""What is in hand when somebody is killed did not kill it: nothing here is poison."""


class Storm:
    """Kills a worker each second, in turn, until it is over."""

    def __init__(self, far, seconds):
        self.kills = []
        """Of (server, pid)."""
        self._far, self._seconds = far, seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._rage)

    def _rage(self):
        for name in itertools.cycle(WORKERS):
            if self._over.wait(self._seconds):
                return
            for worker in self._far.workers(name):
                try:
                    worker.kill()
                except psutil.NoSuchProcess:
                    continue
                self.kills.append((name, worker.pid))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *what):
        self._over.set()
        self._thread.join()


def storm_over(count, far, record_property):
    dispatcher = far.dispatcher(*WORKERS, attempts=ATTEMPTS)
    began = time.monotonic()
    with Storm(far, 1.0) as storm:
        futures = [dispatcher(["nap", 0.02, number]) for number in range(count)]
        results = [future.result(300) for future in futures]
    took = time.monotonic() - began
    far.ends()
    tries = [attempt for future in futures for attempt in future.attempts]
    lost = [attempt for attempt in tries if attempt.outcome == "lost"]
    done = Counter(future.attempts[-1].server for future in futures)
    record_property(
        f"{count} naps of 20 ms on {len(WORKERS)} workers in {took:.1f} s",
        f"{len(storm.kills)} workers killed, {len(lost)} tasks lost with one and done by another, "
        f"{len(far.started())} workers started, done by each: {sorted(done.values())}",
    )
    assert results == [*range(count)], "each is right"
    assert Counter(attempt.outcome for attempt in tries) == {"done": count, "lost": len(lost)}
    assert all(future.attempts[-1].outcome == "done" for future in futures)
    assert {(attempt.server, attempt.pid) for attempt in lost} <= set(storm.kills)
    assert len({attempt.pid for attempt in lost}) == len(lost), "one that dies loses one task"
    assert {(attempt.server, attempt.pid) for attempt in tries} <= set(far.started())
    assert len(storm.kills) >= 3
    assert lost, "some were at work when they were killed"


def test_a_thousand_tasks(far, record_property):
    storm_over(1_000, far, record_property)


@pytest.mark.long
@pytest.mark.timeout(1000)
def test_ten_thousand_tasks(far, record_property):
    storm_over(10_000, far, record_property)
