"""A queue, while its consumers are killed and started again as fast as they start: each item is
done, those that may have been done before say so, and the queue ends.
"""

import itertools
import random
import sys
import threading
import time
from collections import Counter

import pytest

import meshcluster
from tests.waiting import until

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals"),
]

CONSUMERS = 3
MAX_DELIVERIES = 50
"""What is in hand when somebody is killed did not kill it: nothing here is poison."""

PHOENIX = """
import json, os, signal, sys, time
import meshcluster

meshcluster.Cluster  # is imported before the forks
port, slot, folder, seconds = sys.argv[1:]

def tell(what):
    os.write(1, (json.dumps(what) + "\\n").encode())

def live():
    log = os.open(f"{folder}/{os.getpid()}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    name = f"{slot}-{os.getpid()}"
    with meshcluster.join(name=name, port=int(port)) as cluster:
        tell(name)
        for taken in cluster.queue("work", type=int).deliveries():
            time.sleep(float(seconds))
            os.write(log, b"%d %d\\n" % (taken.item, taken.redelivered))
            taken.done()  # what was written before is not lost when we are killed

child = 0
for line in sys.stdin:
    if child:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    child = os.fork()
    if child == 0:
        live()
        os._exit(0)
sys.exit(os.waitpid(child, 0)[1])
"""


class Storm:
    """Kills one consumer after the other and starts it again, until it is over."""

    def __init__(self, phoenixes):
        self.kills = 0
        self.names = {}
        """Who lives, by the slot."""
        self._phoenixes = phoenixes
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._rage)
        for phoenix in phoenixes:
            phoenix.say()

    def _rage(self):
        chance = random.Random(7)
        self.names = {slot: phoenix.hear() for slot, phoenix in enumerate(self._phoenixes)}
        for slot, phoenix in itertools.cycle(enumerate(self._phoenixes)):
            if self._over.wait(chance.uniform(0.0, 0.2)):  # some have not even attached
                return
            phoenix.say()
            self.kills += 1
            self.names[slot] = phoenix.hear()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *what):
        self._over.set()
        self._thread.join()


def storm_over(count, seconds, talk, port, folder, record_property):
    phoenixes = [talk(PHOENIX, port, slot, folder, seconds) for slot in range(CONSUMERS)]
    with meshcluster.join(name="producer", port=port) as producer:
        queue = producer.queue("work", type=int, bound=2000, max_deliveries=MAX_DELIVERIES)
        began = time.monotonic()
        with Storm(phoenixes) as storm:
            for item in range(count):
                queue.put(item, timeout=30)
            queue.join(30)
        took = time.monotonic() - began
        until(lambda: {each.name for each in queue.consumers} == {*storm.names.values()})
        queue.close(drain_timeout=20)
        for phoenix in phoenixes:
            phoenix.popen.stdin.close()
            assert phoenix.popen.wait(20) == 0, "".join(phoenix.log)
    done = [line.split() for path in folder.iterdir() for line in path.read_text().splitlines()]
    times = Counter(int(item) for item, _ in done)
    flagged = {int(item) for item, redelivered in done if redelivered == "1"}
    twice = [item for item, often in times.items() if often > 1]
    first_times = Counter(int(item) for item, redelivered in done if redelivered == "0")
    record_property(
        f"{count} items in {took:.1f} s",
        f"{storm.kills} kills, {len(flagged)} redelivered, {len(twice)} done more than once, at "
        f"most {max(times.values())} times, {queue.duplicates} told too late",
    )
    assert times.keys() == set(range(count)), "none is lost"
    assert max(first_times.values()) == 1, "what another may have done says so"
    assert set(twice) <= flagged
    assert (queue.pending, queue.lost, queue.dead_letters) == (0, 0, [])
    assert storm.kills >= 3


def test_two_thousand_items(talk, beacon_port, tmp_path, record_property):
    storm_over(2_000, 0.002, talk, beacon_port, tmp_path, record_property)


@pytest.mark.long
@pytest.mark.timeout(1000)
def test_a_hundred_thousand_items(talk, beacon_port, tmp_path, record_property):
    storm_over(100_000, 0.001, talk, beacon_port, tmp_path, record_property)
