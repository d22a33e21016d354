"""Who is who: a process that is killed and started again under its name, and two that live under
one. Each join is a run of its own, with a random id; names are labels.
"""

import queue
import sys
import time

import pytest

import meshcluster

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not hasattr(sys.modules["os"], "fork"), reason="forks its members"),
]

ROUNDS = 20

PRELUDE = """
import json, os, signal, sys, time
import meshcluster

def tell(*what):
    os.write(1, (json.dumps(what) + "\\n").encode())

def told():
    return sys.stdin.readline().strip()

PORT = int(sys.argv[1])
"""

PHOENIX = """
meshcluster.Cluster  # imported before the forks

def run():
    child = os.fork()
    if child == 0:
        cluster = meshcluster.join(name="phoenix", port=PORT)
        tell("joined", cluster.uuid.partition("@")[0])
        time.sleep(60)
        os._exit(1)
    return child

child = run()
while told():
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    child = run()
os.kill(child, signal.SIGKILL)
"""

TWIN = """
cluster = meshcluster.Cluster()
cluster.hook("service.conflict")(lambda service: tell("conflict", service.id))
cluster.join(name="twin", port=PORT)
tell("joined", cluster.uuid.partition("@")[0])
told()
cluster.leave()
"""


@pytest.fixture
def start(talk, beacon_port):
    return lambda script: talk(PRELUDE + script, beacon_port)


@pytest.fixture
def watcher(beacon_port):
    """A member in this process, and what its hooks heard, with the time."""
    cluster = meshcluster.Cluster()
    cluster.heard = queue.Queue()
    for point in ("discovered", "changed", "suspect", "recovered", "conflict", "lost"):

        def hook(service, point=point):
            cluster.heard.put((point, service, time.monotonic()))

        cluster.hook(f"service.{point}")(hook)
    with cluster.join(port=beacon_port, name="watcher"):
        yield cluster


def hear(watcher, point):
    """The next that the watcher heard of anybody, which is this; when, and of whom."""
    heard, service, when = watcher.heard.get(timeout=20)
    assert heard == point, service
    return service, when


def test_killed_and_restarted_under_its_name_there_is_never_more_than_one_entry(start, watcher):
    process = start(PHOENIX)
    told, joined = process.hear()
    assert told == "joined"
    seconds = []
    before, _ = hear(watcher, "discovered")
    for _ in range(ROUNDS):
        killed = time.monotonic()
        process.say("again")
        lost, _ = hear(watcher, "lost")
        assert (lost.id, lost.reason) == (before.id, "crashed")
        before, found = hear(watcher, "discovered")
        _, joined = process.hear()
        assert before.id == joined
        assert [service.id for service in watcher.resolve("phoenix")] == [joined]
        seconds.append(found - killed)
    assert watcher.heard.empty()
    process.say("")
    assert hear(watcher, "lost")[0].id == joined
    middle, longest = sorted(seconds)[ROUNDS // 2], max(seconds)
    print(f"killed to found again: p50 {middle * 1000:.0f} ms, longest {longest * 1000:.0f} ms")
    assert middle < 2


def test_two_that_live_under_one_name_are_both_kept_and_everybody_is_told(start, watcher):
    one = start(TWIN)
    _, first = one.hear()
    assert hear(watcher, "discovered")[0].id == first
    other = start(TWIN)
    found, _ = hear(watcher, "discovered")
    conflict, _ = hear(watcher, "conflict")
    told = [other.hear(), other.hear()]
    second = next(rest[0] for what, *rest in told if what == "joined")
    assert found.id == conflict.id == second
    assert one.hear() == ["conflict", second]
    assert ["conflict", first] in told
    assert {service.id for service in watcher.resolve("twin")} == {first, second}
    assert watcher.dropped["members of a name that is taken"] == 1
    one.say("")
    assert hear(watcher, "lost")[0].reason == "left"
    assert [service.id for service in watcher.resolve("twin")] == [second]
    assert watcher.heard.empty(), "nobody came and went"
