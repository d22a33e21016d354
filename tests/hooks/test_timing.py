"""Interceptors that are slow are told by name, once, and counted."""

import logging
import threading

import pytest

from meshcluster.errors import HookFailed, HookRejected
from meshcluster.hooks import HookRegistry
from meshcluster.hooks.chain import intercept, name_of, validate
from meshcluster.hooks.timing import MAX_NAMES, SLOW_SECONDS, Timing
from meshcluster.model import Identity, Service
from meshcluster.wire.message import Message

ADA = Service(Identity(b"a" * 16, 1, "ada", "host"))
HI = Message(ADA, 0, 1, b"hi")


class Clock:
    """Stands still but for what the functions under test take of it."""

    def __init__(self):
        self.now, self.looks = 100.0, 0

    def __call__(self):
        self.looks += 1
        return self.now

    def taking(self, seconds, error=None):
        def hook(_):
            self.now += seconds
            if error is not None:
                raise error

        return hook


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def timing(clock):
    return Timing(clock)


NAME = name_of(Clock().taking(0))


def test_a_slow_interceptor_is_counted_by_name(clock, timing):
    for _ in range(3):
        assert intercept((clock.taking(0.051),), HI, timing) is HI
    assert timing.as_dict() == {NAME: 3}


def test_one_that_takes_as_long_as_it_may_is_not(clock, timing):
    clock.now = 0.0
    intercept((clock.taking(SLOW_SECONDS),), HI, timing)
    assert timing.as_dict() == {}


def test_a_slow_validator_is_counted_whatever_it_says(clock, timing):
    assert validate((clock.taking(1.0),), ADA, timing)
    assert not validate((clock.taking(1.0, HookRejected("no")),), ADA, timing)
    assert timing.as_dict() == {NAME: 2}


def test_what_a_slow_function_raises_is_raised(clock, timing):
    with pytest.raises(HookRejected, match="no"):
        intercept((clock.taking(1.0, HookRejected("no")),), HI, timing)
    with pytest.raises(HookFailed, match="KeyError"):
        intercept((clock.taking(1.0, KeyError("x")),), HI, timing)
    assert timing.as_dict() == {NAME: 2}


def test_each_function_is_warned_of_once(clock, timing, caplog):
    for _ in range(3):
        intercept((clock.taking(0.12),), HI, timing)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("meshcluster.hooks", logging.WARNING)
    assert f"{NAME} took 120 ms" in record.getMessage()


def test_each_function_has_its_own_time(clock, timing):
    for _ in range(10):
        intercept((clock.taking(0.03), clock.taking(0.03)), HI, timing)
    assert timing.as_dict() == {}


def test_a_call_costs_two_looks_at_the_clock_and_none_costs_none(clock, timing):
    intercept((), HI, timing)
    assert clock.looks == 0
    intercept((clock.taking(0.0), clock.taking(1.0)), HI, timing)
    assert clock.looks == 4


def test_the_names_are_bounded(clock, timing):
    for number in range(MAX_NAMES + 5):
        hook = clock.taking(1.0)
        hook.__qualname__ = f"hook{number}"
        timing.call(hook, HI)
    assert len(timing.as_dict()) == MAX_NAMES + 1
    assert timing.as_dict()["further hooks"] == 5


def test_many_threads_count_right():
    clock = iter(range(10_000_000)).__next__  # each look is a second later
    timing = Timing(clock, threading.Lock())

    def work():
        for _ in range(1000):
            timing.call(len, b"")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert timing.as_dict() == {"hook builtins.len": 4000}


def test_a_registry_without_a_clock_measures_nothing(clock):
    assert HookRegistry(allow_async=True).timing is None
    assert HookRegistry(allow_async=True, clock=clock).timing.as_dict() == {}
    assert intercept((clock.taking(1.0),), HI) is HI
    assert clock.looks == 0
