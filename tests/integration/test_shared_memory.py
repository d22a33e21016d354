"""Real processes with large bodies between them: by memory that both have, and gone with them."""

import hashlib
import os
import threading
from pathlib import Path

import pytest

import meshcluster
from meshcluster.protocols import memfd

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not memfd.AVAILABLE, reason="no anonymous memory here"),
]

BODY = bytes(range(256)) * 256
COUNT = 300

MEMBER = """
import hashlib, json, sys
import meshcluster

def tell(*what):
    sys.stdout.write(json.dumps(what) + "\\n")
    sys.stdout.flush()

cluster = meshcluster.Cluster()
digest, count = hashlib.sha256(), 0

@cluster.hook("event")
def hear(event):
    global count
    if event.data == "small":
        return tell("small", count)
    digest.update(event.data)
    count += 1
    if count == int(sys.argv[2]):
        tell("all", digest.hexdigest())

@cluster.hook("query")
def answer(question):
    return question.data

with cluster.join(name="other", port=int(sys.argv[1]), protocols=["unix"]):
    tell("joined")
    sys.stdin.readline()
"""


@pytest.fixture
def cluster(beacon_port):
    with meshcluster.Cluster().join(name="one", port=beacon_port, protocols=["unix"]) as cluster:
        yield cluster


@pytest.fixture
def other(talk, beacon_port, cluster):
    """`other(count)`: a process that tells when so many large bodies came."""

    def start(count=COUNT):
        made = talk(MEMBER, beacon_port, count)
        assert made.hear() == ["joined"]
        cluster.wait_for_services()
        return made

    return start


def shared_by(pid="self"):
    """The memory files that a process has mapped, or holds."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    return [line for line in maps.splitlines() if "/memfd:meshcluster" in line]


def warm(cluster):
    """Two questions with large answers: by then both directions have their memory."""
    for _ in range(3):
        assert list(cluster.query(BODY).wait().values()) == [BODY]


def test_large_bodies_arrive_whole_and_in_order(cluster, other):
    process = other()
    digest = hashlib.sha256()
    for number in range(COUNT):
        body = number.to_bytes(4, "big") * (10_000 + 37 * number)
        digest.update(body)
        cluster.send(body, resolve="other")
    assert process.hear() == ["all", digest.hexdigest()]
    assert shared_by()
    process.say()
    process.ends()


def test_a_message_of_many_parts_arrives_whole(cluster, other):
    other()
    body = os.urandom(3_000_000)
    assert list(cluster.query(body).wait().values()) == [body]
    assert shared_by()


def test_small_messages_alone_share_no_memory(cluster, other):
    process = other()
    cluster.send("small", resolve="other")
    assert process.hear() == ["small", 0]
    assert shared_by() == shared_by(process.popen.pid) == []


def test_questions_pass_between_large_bodies(cluster, other):
    process = other()
    warm(cluster)
    answered = threading.Event()

    def ask():
        for _ in range(20):
            assert list(cluster.query("small", timeout=10).wait().values()) == ["small"]
        answered.set()

    thread = threading.Thread(target=ask)
    thread.start()
    sent = 0
    while not answered.is_set() or sent < COUNT:
        cluster.send(BODY, resolve="other")
        sent += 1
    thread.join()
    assert answered.is_set()
    assert process.hear()[0] == "all"


def test_the_memory_is_bounded_and_gone_with_a_process_that_is_killed(cluster, other):
    process = other(10**9)
    warm(cluster)
    lost = threading.Event()
    cluster.hook("service.lost")(lambda service: lost.set())
    for _ in range(3 * memfd.RING_BYTES // len(BODY)):
        cluster.send(BODY, resolve="other")
    assert len(shared_by()) == len(shared_by(process.popen.pid)) == 2
    process.popen.kill()  # in the middle of it
    assert lost.wait(10)
    assert cluster_is_free_of_memory()
    second = other(1)
    cluster.send(BODY, resolve="other")
    assert second.hear() == ["all", hashlib.sha256(BODY).hexdigest()]


def cluster_is_free_of_memory():
    links = [os.readlink(f"/proc/self/fd/{name}") for name in _descriptors()]
    return not shared_by() and not any("memfd:meshcluster" in link for link in links)


def _descriptors():
    for name in os.listdir("/proc/self/fd"):
        if os.path.islink(f"/proc/self/fd/{name}"):
            yield name
