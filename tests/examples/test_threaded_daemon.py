"""A blocking program measures, obeys, answers, and says goodbye at SIGTERM."""

import queue
import signal

import pytest

import meshcluster

pytestmark = pytest.mark.process


@pytest.fixture
def sensor(shell):
    started = shell("examples/threaded_daemon.py")
    started.wait_for("ready")
    return started


def test_it_tells_what_it_measures(sensor):
    heard = queue.SimpleQueue()
    with meshcluster.join(channels=[8]) as cluster:
        cluster.hook("event", channel=8)(lambda event: heard.put(event.data))
        assert isinstance(heard.get(timeout=10), float)


def test_it_obeys(sensor):
    with meshcluster.join() as cluster:
        (service,) = cluster.wait_for_services(resolve="sensor")
        service.send("pause", channel=7)
        sensor.wait_for("... says pause")
        assert service.query().wait()[service]["paused"]
        service.send("resume", channel=7)
        sensor.wait_for("... says resume")
        assert not service.query().wait()[service]["paused"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_goodbye(sensor, number):
    lost = queue.SimpleQueue()
    with meshcluster.join() as cluster:
        cluster.hook("service.lost")(lost.put)
        cluster.wait_for_services(resolve="sensor")
        sensor.signal(number)
        assert "sensor" in lost.get(timeout=10).tags
    assert sensor.end().endswith("left")
