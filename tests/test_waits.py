"""Who waits in a thread hears of signals."""

import signal
import threading
import time
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from queue import Empty, SimpleQueue

import pytest

from meshcluster import waits
from meshcluster.waits import LOOK_SECONDS, InterruptibleFuture, take

from .waiting import until


class Heard(Exception):
    """Raised by the handler of a signal."""


@pytest.fixture
def handler():
    def heard(number, frame):
        raise Heard

    before = signal.signal(signal.SIGUSR1, heard)
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("ask", ["result", "exception"])
@pytest.mark.parametrize("timeout", [None, 600])
def test_a_signal_that_does_not_end_the_wait_is_handled_all_the_same(
    handler, monkeypatch, ask, timeout
):
    """One that another thread gets leaves the main thread in its lock, as one does that comes just
    before the lock is waited for.
    """
    monkeypatch.setattr(waits, "LOOK_SECONDS", 0.02)
    waiting = InterruptibleFuture()

    def send():
        until(lambda: waiting._condition._waiters)
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)

    sender = threading.Thread(target=send)
    sender.start()
    with pytest.raises(Heard):
        getattr(waiting, ask)(timeout)
    sender.join()
    assert not waiting.done()


def test_what_comes_while_somebody_waits_ends_the_wait(monkeypatch):
    monkeypatch.setattr(waits, "LOOK_SECONDS", 600)
    good, bad, late = (InterruptibleFuture() for _ in range(3))
    with ThreadPoolExecutor(3) as pool:
        taken = pool.submit(good.result), pool.submit(bad.exception), pool.submit(late.result, 600)
        until(lambda: all(each._condition._waiters for each in (good, bad, late)))
        good.set_result(1)
        bad.set_exception(error := KeyError("x"))
        assert late.cancel()
        assert (taken[0].result(10), taken[1].result(10)) == (1, error)
        assert type(taken[2].exception(10)) is CancelledError


def test_a_timeout_is_kept_and_one_that_is_its_own_error_is_not_taken_for_it(monkeypatch):
    monkeypatch.setattr(waits, "LOOK_SECONDS", 0.01)
    waiting = InterruptibleFuture()
    for ask in (waiting.result, waiting.exception):
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            ask(0.05)
        assert time.monotonic() - began >= 0.05
        with pytest.raises(TimeoutError):
            ask(0)
    waiting.set_exception(error := TimeoutError("its own"))
    assert waiting.exception() is error
    with pytest.raises(TimeoutError, match="its own"):
        waiting.result()


def test_it_is_one_of_pythons():
    waiting = InterruptibleFuture()
    assert isinstance(waiting, Future)
    waiting.set_result(2)
    assert wait([waiting], timeout=10).done == {waiting}


def test_taking_from_a_queue_gives_up_in_time_and_not_before():
    queue = SimpleQueue()
    for timeout in (0, 0.05, LOOK_SECONDS + 0.05):
        began = time.monotonic()
        with pytest.raises(Empty):
            take(queue, timeout)
        assert timeout - 0.01 <= time.monotonic() - began < timeout + 2
    queue.put("x")
    assert take(queue) == "x"
    putter = threading.Timer(LOOK_SECONDS + 0.05, queue.put, ["late"])
    putter.start()
    assert take(queue) == "late"
    putter.join()
