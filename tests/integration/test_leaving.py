"""Real processes leave: what they compute arrives, what they cannot end is told, a second signal
ends them at once.
"""

import signal
import sys
import time

import pytest

import meshcluster
from meshcluster import ServiceLost

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals"),
]

RESPONDER = """
import json, sys, time
import meshcluster

def tell(*what):
    sys.stdout.write(json.dumps(what) + "\\n")
    sys.stdout.flush()

cluster = meshcluster.join(["responder"], port=int(sys.argv[1]))

@cluster.hook("query")
def compute(question):
    tell("asked")
    time.sleep(question.data)
    return "computed"

tell("joined")
"""
LEAVES = RESPONDER + "sys.stdin.readline(); cluster.leave(); tell('left')"
PATIENT = (
    RESPONDER
    + """
try:
    cluster.run_forever()
except KeyboardInterrupt:
    tell("interrupted")
"""
)
DAEMON = (
    RESPONDER
    + """
import signal
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
try:
    while True:
        time.sleep(3600)
finally:
    tell("leaving")
    cluster.leave(timeout=3600)
"""
)


@pytest.fixture
def asker(beacon_port):
    with meshcluster.join(["asker"], port=beacon_port) as cluster:
        yield cluster


@pytest.fixture
def asked(asker, talk, beacon_port):
    """Starts a responder and asks it something that takes it some seconds."""

    def asked(script, seconds):
        process = talk(script, beacon_port)
        assert process.hear() == ["joined"]
        asker.wait_for_services(resolve="responder")
        query = asker.query(seconds, resolve="responder", timeout=60)
        assert process.hear() == ["asked"]
        return process, query

    return asked


def why(query):
    """The one error of a query that nobody answered."""
    assert query.wait(30) == {}
    (error,) = query.errors.values()
    assert isinstance(error, ServiceLost)
    return error.reason


def test_what_is_being_computed_when_it_leaves_arrives(asked):
    process, query = asked(LEAVES, 0.5)
    process.say()
    assert list(query.wait(30).values()) == ["computed"]
    assert process.hear() == ["left"]
    process.ends()


def test_what_takes_longer_is_told_at_the_deadline_not_at_the_askers(asked):
    process, query = asked(LEAVES, 30)
    began = time.monotonic()
    process.say()
    assert why(query) == "left"
    took = time.monotonic() - began
    assert 0.9 < took < 10
    print(f"told after {took:.2f} s of a deadline of 1 s")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once_and_the_goodbye_is_said(asked, asker, number):
    process, query = asked(DAEMON, 3600)
    process.popen.send_signal(signal.SIGTERM)
    assert process.hear() == ["leaving"]
    began = time.monotonic()
    while process.popen.poll() is None and time.monotonic() < began + 20:
        process.popen.send_signal(number)  # the first may come before it waits
        time.sleep(0.2)
    assert why(query) == "left"
    assert asker.services == ()
    print(f"gone after {time.monotonic() - began:.2f} s")


def test_ctrl_c_in_run_forever_waits_no_longer_than_any_other_leave(asked, asker):
    process, query = asked(PATIENT, 3600)
    process.popen.send_signal(signal.SIGINT)
    assert why(query) == "left"
    assert asker.services == ()
