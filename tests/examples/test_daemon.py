"""A worker shows how busy it is, and says goodbye at SIGTERM."""

import signal

import pytest

import meshcluster

pytestmark = pytest.mark.process


@pytest.fixture
def daemon(shell):
    started = shell("examples/daemon.py")
    started.wait_for("ready")
    return started


def test_its_tags_and_props_change_with_its_load(daemon):
    with meshcluster.join() as cluster:
        (worker,) = cluster.wait_for_services(resolve=["worker", "idle"])
        assert worker.props["running"] == 0
        jobs = [worker.query(30.0) for _ in range(2)]
        (busy,) = cluster.wait_for_services(resolve=["worker", "busy"])
        assert busy == worker
        assert busy.props["running"] == 2
        third = worker.query(0.0)
        assert third.wait() == {}
        assert third.errors[worker].text == "no room, ask another one"
        for job in jobs:
            job.cancel()


def test_what_is_no_job_is_refused(daemon):
    with meshcluster.join() as cluster:
        (worker,) = cluster.wait_for_services(resolve="idle")
        query = worker.query("for ever")
        assert query.wait() == {}
        assert query.errors[worker].kind == "DecodeError"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_goodbye(daemon, shell, number):
    other = shell("examples/daemon.py")
    other.wait_for("ready")
    with meshcluster.join() as cluster:
        cluster.wait_for_services(2, resolve="worker")
    daemon.signal(number)
    other.wait_for("lost daemon-...")
    assert daemon.end().endswith("leaving\nleft")


def test_it_ends_its_jobs_first(daemon):
    with meshcluster.join() as cluster:
        (worker,) = cluster.wait_for_services(resolve="idle")
        jobs = [worker.query(1.0) for _ in range(2)]
        cluster.wait_for_services(resolve="busy")
        daemon.signal(signal.SIGTERM)
        assert [job.wait() for job in jobs] == [{worker: "slept 1 s"}] * 2
    daemon.end()
