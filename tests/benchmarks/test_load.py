"""What askers count is what came, however many ask at once."""

import asyncio
import threading
import time
from contextlib import contextmanager

import pytest

from benchmarks.members import load
from benchmarks.task import Task

TASK = Task(member="", role="", way="", folder="", port=0, at_once=8, seconds=0.05)


class Counted:
    """Answers, and how many it gave."""

    def __init__(self):
        self.came = 0
        self._lock = threading.Lock()

    def take(self, data):
        with self._lock:
            self.came += 1
        return 1


def check(rate, came, began):
    """All that came is the warming up too: the rate is that of most of them."""
    whole = time.perf_counter() - began
    assert came / whole * 0.3 < rate <= came / TASK.seconds


@pytest.fixture
def began(monkeypatch):
    monkeypatch.setattr(load, "WARM_SECONDS", 0.01)
    return time.perf_counter()


async def test_tasks_lose_no_count(began):
    counted = Counted()

    async def ask(data):
        await asyncio.sleep(0.001)
        return counted.take(data)

    check((await load.ask_many_awaited(ask, TASK))["rate"], counted.came, began)


def test_threads_lose_no_count(began):
    counted = Counted()

    @contextmanager
    def asking():
        def ask(data):
            threading.Event().wait(0.001)
            return counted.take(data)

        yield ask

    check(load.ask_in_threads(asking, TASK)["rate"], counted.came, began)


def test_questions_that_are_begun_are_all_waited_for(began):
    begun, counted = [], Counted()

    def begin(data):
        begun.append(data)
        return lambda: counted.take(data)

    check(load.ask_many(begin, TASK)["rate"], counted.came, began)
    assert counted.came == len(begun)


def test_a_question_that_lacks_answers_is_counted_and_not_timed():
    stopwatch = load.Stopwatch(3)
    stopwatch.note(time.perf_counter() - 100, 2)
    assert stopwatch.goes_on(2.0, deadline=1.0)
    stopwatch.note(time.perf_counter() - 1, 3)
    assert not stopwatch.goes_on(2.0, deadline=1.0)
    figures = stopwatch.figures()
    assert figures["lost"] == 1
    assert figures["median"] == figures["p99"] == pytest.approx(1, abs=0.5)


def test_large_messages_go_in_short_bursts():
    sizes = (64, 64 * 1024, 1024 * 1024, 16 * 1024 * 1024)
    tasks = [Task(member="", role="", way="", folder="", port=0, body_bytes=n) for n in sizes]
    assert [load.burst_of(task) for task in tasks] == [64, 16, 1, 1]
    assert [len(load.body(task)) for task in tasks] == list(sizes)
