"""The way from blocking code into a loop of its own, and out again when it ends."""

import asyncio
import os
import signal
import sys
import threading

import pytest

from meshcluster import ClusterError, ForkedClusterError, NotJoined
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
    assert [portal.call(current_thread)] == [portal.run(threading.current_thread)] == threads()


def test_its_thread_does_not_keep_the_program_alive(portal):
    assert [thread.daemon for thread in threads()] == [True]


def test_what_is_raised_inside_is_raised_at_the_caller(portal):
    async def call():
        raise KeyError("call")

    def run():
        raise KeyError("run")

    with pytest.raises(KeyError, match="call"):
        portal.call(call)
    with pytest.raises(KeyError, match="run"):
        portal.run(run)


def test_many_threads_may_call_at_once(portal):
    async def double(number):
        await asyncio.sleep(0)
        return 2 * number

    results = {}
    callers = [
        threading.Thread(target=lambda n=n: results.update({n: portal.call(lambda: double(n))}))
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
            portal.call(current_thread)

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
            portal.call(wait_for_ever)
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
        portal.call(current_thread)
    with pytest.raises(NotJoined):
        portal.run(threading.current_thread)


def test_closing_twice_and_by_several_threads_is_closing_once(portal):
    closers = [threading.Thread(target=portal.close) for _ in range(8)]
    for closer in closers:
        closer.start()
    for closer in closers:
        closer.join(10)
    portal.close()
    assert threads() == []


def test_a_portal_that_was_never_opened_can_be_closed():
    Portal("test-portal").close()


def test_a_call_that_takes_too_long_is_given_up_and_goes_on(portal):
    ended = threading.Event()

    async def wait_and_tell():
        await asyncio.to_thread(ended.wait)
        return "done"

    with pytest.raises(TimeoutError):
        portal.call(wait_and_tell, timeout=0.01)
    ended.set()
    assert portal.call(wait_and_tell, timeout=10) == "done"


@pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals")
def test_a_call_that_a_signals_handler_breaks_off_has_ended_when_that_is_raised(portal):
    steps = []

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            steps.append("cleaned up")

    def interrupt(number, frame):
        steps.append(portal.run(lambda: "a handler may call too"))
        raise KeyboardInterrupt

    old = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyboardInterrupt):
            portal.call(work)
    finally:
        signal.signal(signal.SIGALRM, old)
    assert steps == ["a handler may call too", "cleaned up"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_in_a_forked_child_it_refuses(portal):
    if (pid := os.fork()) == 0:
        refused = 0
        for call in (lambda: portal.call(current_thread), lambda: portal.run(print)):
            try:
                call()
            except ForkedClusterError:
                refused += 1
        os._exit(refused)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 2
    assert portal.run(lambda: "undisturbed") == "undisturbed"


def test_what_makes_no_coroutine_raises_here(portal):
    with pytest.raises(ZeroDivisionError):
        portal.call(lambda: 1 / 0)
