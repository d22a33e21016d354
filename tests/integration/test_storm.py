"""Members of one host are killed and started again under their names, one after the other and as
fast as they start: what is left of that is nothing.
"""

import os
import sys
import time
from pathlib import Path

import pytest

import meshcluster

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals"),
]

MEMBERS, KILLS = 4, 40
PHOENIX = """
import json, os, signal, sys
import meshcluster

meshcluster.Cluster  # imported before the forks

def tell(what):
    os.write(1, (json.dumps(what) + "\\n").encode())

def live(lines):
    cluster = meshcluster.join(name=sys.argv[2], port=int(sys.argv[1]))
    me = cluster.uuid.partition("@")[0]
    tell(me)
    for _ in lines:
        tell(sorted([me, *(service.id for service in cluster.services)]))
    os._exit(1)

def begin():
    ours, ear = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ear)
        live(os.fdopen(ours))
    os.close(ours)
    return child, ear

child, ear = begin()
for line in sys.stdin:
    if line.strip() == "who":
        os.write(ear, b"?\\n")
        continue
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(ear)
    if line.strip() == "again":
        child, ear = begin()
"""


def files(runtime_dir):
    return sorted(path for path in Path(runtime_dir).rglob("*") if not path.is_dir())


def descriptors():
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def until(condition):
    """Waits until it is so; gives how many seconds that took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() < began + 50, "not in fifty seconds"
        time.sleep(0.01)
    return time.monotonic() - began


def test_a_storm_of_kills_and_restarts_ends_in_equal_views_and_leaves_nothing(
    talk, beacon_port, runtime_dir
):
    watcher = meshcluster.Cluster()
    heard = []
    watcher.hook("service.discovered")(lambda service: heard.append(("discovered", service.key)))
    watcher.hook("service.lost")(lambda service: heard.append(("lost", service.key)))

    phoenixes = [talk(PHOENIX, beacon_port, f"m{number}") for number in range(MEMBERS)]
    ids = [each.hear() for each in phoenixes]

    def agree():
        """All views are equal, and are of who lives."""
        living = sorted([me, *ids])
        views = [sorted([me, *(service.id for service in watcher.services)])]
        for phoenix in phoenixes:
            phoenix.say("who")
            views.append(phoenix.hear())
        return all(view == living for view in views)

    def linked():
        """The watcher has a link to each, which it keeps to see it break."""
        peers = watcher._driver.node.peers
        return all(any(s.link for s in peer.sessions.values()) for peer in peers)

    with watcher.join(port=beacon_port, name="watcher"):
        me = watcher.uuid.partition("@")[0]
        until(lambda: agree() and linked())
        held, left = descriptors(), files(runtime_dir)
        began = time.monotonic()
        for number in range(KILLS):
            phoenixes[number % MEMBERS].say("again")
            ids[number % MEMBERS] = phoenixes[number % MEMBERS].hear()
        stormed = time.monotonic() - began
        agreed = until(agree)
        print(f"{KILLS} kills in {stormed:.1f} s; views equal after {agreed:.2f} s")
        until(linked)
        until(lambda: len(files(runtime_dir)) == len(left))
        until(lambda: descriptors() <= held)
        peers = watcher._driver.node.peers
        assert (len(peers), peers.strangers) == (MEMBERS, 0)
        for phoenix in phoenixes:
            phoenix.say("end")
        until(lambda: not watcher.services)
    for phoenix in phoenixes:
        phoenix.popen.stdin.close()
        phoenix.ends()
    assert len(heard) == 2 * (KILLS + MEMBERS)
    assert len(set(heard)) == len(heard), "each run was discovered once, and lost once"
