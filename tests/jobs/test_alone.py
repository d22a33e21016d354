"""A coroutine runs in a loop of its own, and Ctrl-C cancels it."""

import asyncio
import os
import signal
import sys
import threading

import pytest

from meshcluster import ConfigError
from meshcluster.jobs.alone import run_alone

FOREVER_SECONDS = 60

posix = pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals")


def press(times=1):
    for _ in range(times):
        os.kill(os.getpid(), signal.SIGINT)


async def answer():
    return 42


def test_its_result_is_returned_and_the_signal_is_as_it_was():
    assert run_alone(answer()) == 42
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_it_raises_is_raised():
    async def wrong():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run_alone(wrong())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


async def test_where_a_loop_runs_already_it_is_refused():
    with pytest.raises(ConfigError, match="an event loop runs in this thread"):
        run_alone(answer())


def test_it_runs_in_any_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(run_alone(answer())))
    thread.start()
    thread.join(20)
    assert found == [42]


@posix
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_cancels_it_and_is_raised_when_it_has_ended(times):
    done = []

    async def slow():
        try:
            asyncio.get_running_loop().call_soon(press)
            await asyncio.sleep(FOREVER_SECONDS)
        finally:
            press(times - 1)
            await asyncio.sleep(0.01)
            done.append(1)

    with pytest.raises(KeyboardInterrupt):
        run_alone(slow())
    assert done == [1]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@posix
def test_the_third_does_not_wait():
    async def stubborn():
        press()
        for _ in range(2):
            try:
                await asyncio.sleep(FOREVER_SECONDS)
            except asyncio.CancelledError:
                asyncio.get_running_loop().call_soon(press, 2)

    with pytest.raises(KeyboardInterrupt):
        run_alone(stubborn())


@posix
def test_ctrl_c_just_before_the_end_is_raised_too():
    async def quick():
        press()

    with pytest.raises(KeyboardInterrupt):
        run_alone(quick())


@posix
def test_who_handles_the_signal_himself_goes_on_doing_so():
    heard = []
    old = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:

        async def pressed():
            press()
            return 42

        assert run_alone(pressed()) == 42
    finally:
        signal.signal(signal.SIGINT, old)
    assert heard == [signal.SIGINT]


@posix
def test_a_cancelling_of_its_own_is_no_ctrl_c():
    async def cancelled():
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run_alone(cancelled())
