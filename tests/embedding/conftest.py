"""Real processes that run a small script, and a member here that hears what becomes of them."""

import logging
import queue
import time

import pytest

import meshcluster

PRELUDE = """
import asyncio, gc, json, os, queue, signal, sys, threading, time
import meshcluster
from meshcluster import AsyncCluster, Cluster, ForkedClusterError, NotJoined

PORT = int(sys.argv[1])
if sys.argv[2] == "plain":
    sys.modules["uvloop"] = None

def tell(*what):
    os.write(1, json.dumps(what).encode() + b"\\n")  # one write: children tell as well

def told():
    return sys.stdin.readline().strip()

def open_files():
    names = []
    for number in os.listdir("/proc/self/fd"):
        try:
            names.append(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:  # the listing's own
            pass
    return sorted(names)

def join(*tags, answer=None, **settings):
    cluster = Cluster()
    if answer is not None:
        cluster.hook("query")(answer)  # before any question can come
    return cluster.join(tags, port=PORT, **settings)

def run(main):
    if sys.argv[2] == "plain":
        asyncio.run(main)
    else:
        import uvloop
        asyncio.Runner(loop_factory=uvloop.new_event_loop).run(main)

"""


@pytest.fixture(params=["uvloop", "plain"])
def loop(request):
    """The two event loops that a member may run in."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    return request.param


@pytest.fixture
def start(talk, beacon_port, loop):
    """Starts scripts; what still runs at the end is killed."""
    return lambda script: talk(PRELUDE + script, beacon_port, loop)


class Watcher:
    """A member that notes who is discovered and lost, and why."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.heard = queue.Queue()
        self.reasons = {}
        for point in ("discovered", "lost"):
            cluster.hook(f"service.{point}")(lambda s, p=point: self.heard.put((p, s.name)))

    def emit(self, record):
        if record.msg == "%s %s":
            name, reason = record.args
            self.reasons[name] = reason

    def hears(self, point, name):
        assert self.heard.get(timeout=20) == (point, name)

    def loses(self, name):
        """Waits until a member is lost; returns why."""
        self.hears("lost", name)
        return self.reasons[name]

    def ask(self, question, name):
        query = self.cluster.query(question, resolve=name)
        query.wait(20)
        assert not query.errors
        (answer,) = query.results.values()
        return answer


@pytest.fixture
def watcher(beacon_port, caplog):
    """A member in this process."""
    cluster = meshcluster.Cluster()
    watching = Watcher(cluster)
    handler = logging.Handler()
    handler.emit = watching.emit
    caplog.set_level(logging.INFO, "meshcluster")
    logger = logging.getLogger("meshcluster")
    logger.addHandler(handler)
    with cluster.join(["watcher"], port=beacon_port, name="watcher"):
        yield watching
    logger.removeHandler(handler)


@pytest.fixture
def soon():
    """Waits until something is true."""

    def soon(true, seconds=20):
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, "not within the time"
            time.sleep(0.01)

    return soon
