"""The way from blocking code into a loop of its own, and out again when it ends."""

import asyncio
import sys
import threading

import pytest

from meshcluster import ClusterError, NotJoined
from meshcluster.sync.portal import Portal


@pytest.fixture(params=["fastest loop", "plain loop"])
def portal(request, monkeypatch):
    """A portal over either loop there may be; its thread and loop end with the test."""
    if request.param == "plain loop":
        monkeypatch.setitem(sys.modules, "uvloop", None)
    made = Portal("test-portal")
    made.open()
    yield made
    if threads():
        made.close()


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "test-portal"]


async def current_thread():
    return threading.current_thread()


def test_calls_and_functions_run_in_its_one_thread(portal):
    assert [portal.call(current_thread())] == [portal.run(threading.current_thread)] == threads()


def test_its_thread_does_not_keep_the_program_alive(portal):
    assert [thread.daemon for thread in threads()] == [True]


def test_what_is_raised_inside_is_raised_at_the_caller(portal):
    async def call():
        raise KeyError("call")

    def run():
        raise KeyError("run")

    with pytest.raises(KeyError, match="call"):
        portal.call(call())
    with pytest.raises(KeyError, match="run"):
        portal.run(run)


def test_many_threads_may_call_at_once(portal):
    async def double(number):
        await asyncio.sleep(0)
        return 2 * number

    results = {}
    callers = [
        threading.Thread(target=lambda n=n: results.update({n: portal.call(double(n))}))
        for n in range(20)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(10)
    assert results == {n: 2 * n for n in range(20)}


def test_from_inside_a_function_runs_at_once_and_a_blocking_call_is_refused(portal):
    def inside():
        assert portal.inside
        assert portal.run(lambda: 42) == 42
        with pytest.raises(ClusterError, match="wait for itself"):
            portal.call(current_thread())

    assert not portal.inside
    portal.run(inside)


def test_closing_ends_the_thread(portal):
    portal.close()
    assert threads() == []


def test_a_call_under_way_ends_when_it_is_closed(portal):
    waiting, ended = threading.Event(), []

    async def wait_for_ever():
        waiting.set()
        await asyncio.Event().wait()

    def call():
        try:
            portal.call(wait_for_ever())
        except NotJoined as error:
            ended.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    assert waiting.wait(10)
    portal.close()
    caller.join(10)
    assert len(ended) == 1


def test_after_closing_calls_are_refused(portal):
    portal.close()
    with pytest.raises(NotJoined):
        portal.call(current_thread())
    with pytest.raises(NotJoined):
        portal.run(threading.current_thread)
