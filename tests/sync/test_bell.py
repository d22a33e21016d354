"""A bell: waiting until something is true, woken by whoever made it true."""

import signal
import sys
import threading
import time

import pytest

from meshcluster.sync.bell import Bell


def test_what_is_true_is_not_waited_for():
    assert Bell().wait_for(lambda: True, 0)
    assert Bell().wait_for(lambda: True)


def test_what_does_not_become_true_is_given_up_in_time():
    began = time.monotonic()
    assert not Bell().wait_for(lambda: False, 0.05)
    assert not Bell().wait_for(lambda: False, 0)
    assert 0.05 <= time.monotonic() - began < 2


def test_all_who_wait_look_again_when_it_rings():
    bell, true, awake = Bell(), threading.Event(), []
    threads = [
        threading.Thread(target=lambda: awake.append(bell.wait_for(true.is_set, 20)))
        for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    bell.ring()  # not true yet
    true.set()
    bell.ring()
    for thread in threads:
        thread.join(20)
    assert awake == [True] * 5


def test_what_becomes_true_while_it_is_looked_at_is_not_missed():
    bell, looked = Bell(), []

    def true():
        looked.append(True)
        if len(looked) < 3:
            bell.ring()  # before anybody could wait
        return len(looked) == 4

    assert bell.wait_for(true, 10)


def test_what_the_condition_raises_is_raised():
    def broken():
        raise KeyError("x")

    with pytest.raises(KeyError):
        Bell().wait_for(broken)


@pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals")
def test_a_signals_handler_may_ring_wait_and_raise():
    bell, rung = Bell(), []

    def ring(number, frame):
        rung.append(bell.wait_for(lambda: bool(rung) or bell.wait_for(lambda: True)))
        bell.ring()
        if len(rung) == 3:
            raise KeyboardInterrupt

    old = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
        with pytest.raises(KeyboardInterrupt):
            bell.wait_for(lambda: False, 20)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert rung == [True] * 3
