"""``TaskFuture``: of threads, and awaited; what its callbacks may do, and how it is given up."""

import asyncio
import concurrent.futures
import gc
import subprocess
import sys
import threading
import weakref
from concurrent.futures import CancelledError, Future

import pytest

from meshcluster import ClusterError, Congested, DispatcherClosed, TaskFuture, TaskRaised
from tests.waiting import until

from .here import children, here


def told_by(future, callback):
    """What a callback returned or raised, in the thread that it ran in."""
    outcome = Future()

    def call(future):
        try:
            outcome.set_result(callback(future))
        except BaseException as error:
            outcome.set_exception(error)

    future.add_done_callback(call)
    return outcome


def test_it_is_a_future_of_threads(two):
    future = two.submit("errands:echo", 1)
    assert isinstance(future, Future)
    assert isinstance(future, TaskFuture)
    assert concurrent.futures.wait([future], timeout=30).done == {future}
    assert (future.result(), future.exception(), future.done()) == (1, None, True)
    assert future.result(0) == future.result(timeout=5) == 1
    assert not future.cancelled()
    assert not future.running()


def test_it_has_the_number_of_its_task_and_the_attempts(two):
    first, second = two.submit("errands:pid"), two.submit("errands:pid")
    assert second.number == first.number + 1
    pid = second.result(30)
    (attempt,) = second.attempts
    assert (attempt.server, attempt.outcome, attempt.reason) == ("here", "done", "")
    assert attempt.pid == pid
    assert 0 < attempt.seconds < 30


def test_it_runs_when_a_worker_has_it(gate):
    with here() as dispatcher:
        running = dispatcher.submit("errands:hold", *gate())
        waiting = dispatcher.submit("errands:echo", 1)
        gate.reached()
        assert running.running()
        assert not waiting.running()
        assert not running.done()
        gate.open()
        assert running.result(30)
        assert waiting.result(30) == 1


def test_a_result_is_waited_for_so_long_and_comes_all_the_same(two, gate):
    future = two.submit("errands:hold", *gate())
    for wait in (future.result, future.exception):
        with pytest.raises(TimeoutError):
            wait(0.01)
        with pytest.raises(TimeoutError):
            wait(0)
    gate.open()
    assert future.result(30)


def test_futures_come_as_they_are_done(two, gate):
    slow = two.submit("errands:hold", *gate())
    quick = two.submit("errands:echo", 1)
    ended = concurrent.futures.as_completed([slow, quick], timeout=30)
    assert next(ended) is quick
    gate.open()
    assert next(ended) is slow


# --- awaited ----------------------------------------------------------------------------------


async def test_it_is_awaited(two):
    assert await two.submit("errands:echo", 1) == 1
    assert await two(2) == ("called", 2)
    future = two.submit("errands:echo", 3)
    assert await future == await future == 3


async def test_many_are_gathered(two):
    found = await asyncio.gather(*(two.submit("errands:square", n) for n in range(200)))
    assert found == [n * n for n in range(200)]


async def test_what_the_task_raised_is_raised_where_it_is_awaited(two):
    with pytest.raises(ValueError, match="less than 0"):
        await two.submit("errands:square", -1)
    with pytest.raises(TaskRaised, match="StopIteration"):
        await asyncio.wait_for(two.submit("errands:wrong", "StopIteration"), 30)


async def test_the_loop_goes_on_while_it_is_awaited(two, gate):
    future = two.submit("errands:hold", *gate())

    async def open_it():
        await asyncio.to_thread(gate.reached)
        gate.open()

    assert await asyncio.gather(future, open_it())


async def test_who_waits_no_longer_cancels_the_task(two, gate):
    future = two.submit("errands:hold", *gate())
    await asyncio.to_thread(gate.reached)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(future, 0.01)
    assert future.cancelled()
    assert await two.submit("errands:echo", 1) == 1


async def test_a_shielded_one_goes_on(two, gate):
    future = two.submit("errands:hold", *gate())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), 0.01)
    assert not future.done()
    gate.open()
    assert await future


async def test_a_cancelled_one_is_a_cancelled_error_where_it_is_awaited(gate):
    with here() as dispatcher:
        future = dispatcher.submit("errands:hold", *gate())
        awaiting = asyncio.ensure_future(asyncio.wrap_future(future))
        await asyncio.to_thread(gate.reached)
        assert await asyncio.to_thread(future.cancel)
        with pytest.raises(asyncio.CancelledError):
            await awaiting


def test_it_is_awaited_in_several_loops_at_once(two, gate):
    future = two.submit("errands:hold", *gate())
    found = []

    async def wait():
        found.append(await future)

    threads = [threading.Thread(target=asyncio.run, args=(wait(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    gate.open()
    for thread in threads:
        thread.join(30)
    assert found == [future.result(30)] * 3


def test_a_loop_that_has_ended_does_not_trouble_it(two, gate):
    async def begin():
        future = two.submit("errands:hold", *gate())
        waiting = asyncio.shield(asyncio.wrap_future(future))
        await asyncio.wait([waiting], timeout=0.01)
        return future

    future = asyncio.run(begin())
    gate.open()
    until(future.done)
    assert future.cancelled() or future.result(0)


# --- callbacks ----------------------------------------------------------------------------------


def test_callbacks_are_called_when_it_is_done_and_then_at_once(two):
    future = two.submit("errands:echo", 1)
    assert told_by(future, lambda future: future.result()).result(30) == 1
    assert told_by(future, lambda future: future.result()).result(0) == 1


def test_callbacks_may_submit_more(two):
    found = []
    enough = threading.Event()

    def further(future):
        found.append(future.result())
        if len(found) < 20:
            two.submit("errands:echo", len(found)).add_done_callback(further)
        else:
            enough.set()

    two.submit("errands:echo", 0).add_done_callback(further)
    assert enough.wait(30)
    assert found == list(range(20))


def test_callbacks_may_submit_more_while_it_drains(two):
    further = []
    with here() as dispatcher:
        future = dispatcher.submit("errands:echo", 1)
        outcome = told_by(
            future, lambda future: further.append(dispatcher.submit("errands:echo", 2))
        )
        outcome.result(30)
        dispatcher.close()
    assert further[0].result(0) == 2


def test_callbacks_that_submit_when_it_is_closed_are_refused(gate):
    with here() as dispatcher:
        future = dispatcher.submit("errands:hold", *gate())
        outcome = told_by(future, lambda future: dispatcher.submit("errands:echo", 2))
        gate.reached()
        dispatcher.close(drain=False)
    assert isinstance(outcome.exception(0), DispatcherClosed)


@pytest.mark.parametrize(
    "wait",
    [
        lambda dispatcher: dispatcher.submit("errands:echo", 1).result(),
        lambda dispatcher: dispatcher.submit("errands:echo", 1).result(5),
        lambda dispatcher: dispatcher.submit("errands:echo", 1).exception(),
        lambda dispatcher: list(dispatcher.map("errands:echo", range(3))),
        lambda dispatcher: dispatcher.options(attempts=1).map("errands:echo", [1]).__next__(),
        lambda dispatcher: dispatcher.close(),
        lambda dispatcher: dispatcher.close(drain=False),
        lambda dispatcher: dispatcher.shutdown(),
    ],
)
def test_callbacks_that_wait_are_told_that_it_would_be_for_ever(gate, wait):
    with here() as dispatcher:
        future = dispatcher.submit("errands:hold", *gate())
        outcome = told_by(future, lambda future: wait(dispatcher))
        gate.open()
        with pytest.raises(ClusterError, match=r"callback"):
            outcome.result(30)


def test_callbacks_may_look_at_what_is_done(two):
    done = two.submit("errands:echo", 1)
    done.result(30)

    def look(future):
        open_one = two.submit("errands:echo", 2)
        with pytest.raises(TimeoutError):
            open_one.result(0)
        return done.result(), future.result(5), two.servers

    assert told_by(two.submit("errands:echo", 3), look).result(30)[:2] == (1, 3)


def test_callbacks_that_find_it_full_are_refused_for_they_cannot_wait(gate):
    with here(max_open=1) as dispatcher:
        future = dispatcher.submit("errands:hold", *gate())
        # The place of the one that has ended is given back before others are told.
        outcome = told_by(
            future, lambda _: [dispatcher.submit("errands:echo", n) for n in range(2)]
        )
        gate.open()
        with pytest.raises(Congested):
            outcome.result(30)


def test_callbacks_that_raise_harm_nobody(two, caplog):
    future = two.submit("errands:echo", 1)
    future.add_done_callback(lambda future: 1 / 0)
    assert future.result(30) == 1
    assert two.submit("errands:echo", 2).result(30) == 2


# --- given up -------------------------------------------------------------------------------------


def test_one_that_waits_never_runs(gate, tmp_path):
    with here() as dispatcher:
        running = dispatcher.submit("errands:hold", *gate())
        waiting = dispatcher.submit("errands:note", str(tmp_path / "notes"))
        gate.reached()
        assert waiting.cancel()
        assert waiting.cancelled()
        with pytest.raises(CancelledError):
            waiting.result(0)
        gate.open()
        assert running.result(30)
    assert not (tmp_path / "notes").exists()


def test_one_that_runs_is_ended_and_its_worker_goes_on(gate):
    with here() as dispatcher:
        pid = dispatcher.submit("errands:pid").result(30)
        running = dispatcher.submit("errands:hold", *gate())
        gate.reached()
        assert running.cancel()
        with pytest.raises(CancelledError):
            running.result(0)
        assert dispatcher.submit("errands:pid").result(30) == pid


def test_cancelling_again_is_still_so_and_what_is_done_cannot_be(two):
    future = two.submit("time:sleep", 30)
    assert future.cancel()
    assert future.cancel()
    done = two.submit("errands:echo", 1)
    assert done.result(30) == 1
    assert not done.cancel()
    assert not done.cancelled()


def test_a_cancelled_one_is_done_for_who_waits(two):
    future = two.submit("time:sleep", 30)
    waiting = Future()
    thread = threading.Thread(
        target=lambda: waiting.set_result(concurrent.futures.wait([future], timeout=30))
    )
    thread.start()
    assert future.cancel()
    assert waiting.result(30).done == {future}
    thread.join()


def test_cancelled_in_the_moment_of_its_end_it_has_one_of_both(two):
    for _ in range(300):
        future = two.submit("errands:echo", 1)
        thread = threading.Thread(target=future.cancel)
        thread.start()
        try:
            assert future.result(30) == 1
        except CancelledError:
            assert future.cancelled()
        thread.join()
    assert two.submit("errands:echo", 1).result(30) == 1


def test_of_several_threads_that_cancel_each_hears_that_it_is_cancelled(two):
    future = two.submit("time:sleep", 30)
    found = []
    threads = [threading.Thread(target=lambda: found.append(future.cancel())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 8


# --- what it keeps --------------------------------------------------------------------------------


def test_one_that_nobody_holds_is_gone_at_once(two):
    gc.disable()
    try:
        gone = weakref.ref(done_one(two))
        until(lambda: gone() is None)
    finally:
        gc.enable()


def done_one(dispatcher):
    future = dispatcher.submit("errands:echo", b"x" * 1000)
    future.result(30)
    return future


def test_large_results_do_not_pile_up():
    script = (
        "import resource, meshcluster\n"
        "with meshcluster.Dispatcher([{}]) as d:\n"
        "    d.submit('builtins:bytes', 4_000_000).result()\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "    for n in range(15):\n"
        "        d.submit('builtins:len', bytes(4_000_000)).result()\n"
        "        d.submit('builtins:bytes', 4_000_000).result()\n"
        "    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=True
    )
    assert int(ended.stdout) < 50_000, "KiB more, of 120,000 that came and went"


def test_a_future_alone_does_not_keep_workers_from_ending():
    before = children()
    with here() as dispatcher:
        future = dispatcher.submit("errands:echo", 1)
        future.result(30)
        dispatcher.close()
        assert children() <= before
    assert future.result() == 1
    assert future.attempts[0].outcome == "done"
