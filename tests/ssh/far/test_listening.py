"""Whoever reads, each frame is taken once and in order, and the end is noticed at once."""

import os
import threading
import time
from contextlib import suppress

import pytest

from meshcluster.ssh.far import framing
from meshcluster.ssh.far.framing import frame
from meshcluster.ssh.far.listening import IDLE_ROUNDS, WATCH_SECONDS, Listening

SECONDS = 20


class Heard:
    """What was taken, and by whom."""

    def __init__(self):
        source, self._sink = os.pipe()
        self._source = source
        self.running = 0
        self.numbers = []
        self.mine = []
        """Those that the main thread has read."""
        self.alone = threading.Event()
        before = set(threading.enumerate())
        self.listening = Listening(source, self._take, lambda: self.running, self.alone.set)
        (self.watch,) = set(threading.enumerate()) - before

    def _take(self, frame):
        self.numbers.append(frame.number)
        if threading.current_thread() is threading.main_thread():
            self.mine.append(frame.number)

    def say(self, *numbers):
        os.write(self._sink, b"".join(frame(framing.PING, number) for number in numbers))

    def write(self, data):
        os.write(self._sink, data)

    def leave(self):
        with suppress(OSError):
            os.close(self._sink)
        self._sink = -1

    def until(self, condition):
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < deadline, self.numbers
            time.sleep(0.001)

    def stop(self):
        self.leave()
        self.running = 0
        deadline = time.monotonic() + SECONDS
        while self.watch.is_alive() and time.monotonic() < deadline:
            if not self.listening.over:
                self.listening.wait()
            self.listening.begin()
            self.watch.join(WATCH_SECONDS)
        os.close(self._source)


@pytest.fixture
def heard():
    heard = Heard()
    yield heard
    heard.stop()


def test_the_main_thread_reads_while_nothing_runs(heard):
    heard.say(1, 2)
    heard.listening.wait()
    heard.say(3)
    heard.listening.wait()
    assert heard.numbers == heard.mine == [1, 2, 3]
    assert not heard.listening.over


def test_another_thread_reads_while_a_task_runs(heard):
    heard.running = 5
    heard.listening.begin()
    for number in range(1, 10):
        heard.say(number)
        heard.until(lambda number=number: len(heard.numbers) == number)
    assert heard.numbers == list(range(1, 10))
    assert heard.mine == []


def test_the_main_thread_reads_again_when_the_other_has_read_for_it(heard):
    heard.running = 5
    heard.listening.begin()
    heard.say(1)
    heard.until(lambda: heard.numbers)
    heard.running = 0
    heard.say(2)
    while len(heard.numbers) < 2:
        heard.listening.wait()
    heard.say(3)
    while len(heard.numbers) < 3:
        heard.listening.wait()
    assert heard.numbers == [1, 2, 3]
    assert heard.mine == [3]


def test_the_other_wakes_for_a_task_after_a_long_rest(heard):
    heard.until(lambda: heard.listening._asleep)  # after IDLE_ROUNDS looks
    for number in (1, 2):
        heard.running = number
        heard.listening.begin()
        heard.say(number)
        heard.until(lambda number=number: heard.numbers[-1:] == [number])
        heard.running = 0
        heard.say(number + 10)
        while heard.numbers[-1] != number + 10:
            heard.listening.wait()
        heard.until(lambda: heard.listening._asleep)
    assert heard.numbers == [1, 11, 2, 12]
    assert IDLE_ROUNDS * WATCH_SECONDS < 1


def test_the_end_is_noticed_while_nothing_runs(heard):
    heard.say(1)
    heard.leave()
    while not heard.listening.over:
        heard.listening.wait()
    assert heard.numbers == [1]
    assert not heard.alone.is_set()


def test_the_end_is_noticed_while_a_task_runs(heard):
    heard.running = 5
    heard.listening.begin()
    heard.leave()
    assert heard.alone.wait(SECONDS)
    assert heard.listening.over


@pytest.mark.parametrize("running", [0, 5])
def test_what_is_no_frame_is_the_end_and_a_line_on_standard_error(heard, running, capfd):
    heard.running = running
    heard.listening.begin()
    heard.write(frame(framing.PING, 1) + b"garbage\n")
    if running:
        assert heard.alone.wait(SECONDS)
    else:
        heard.listening.wait()
    assert heard.listening.over
    assert heard.numbers == [1]
    assert capfd.readouterr().err == "meshcluster worker: no frame: b'garbage'\n"


def test_short_tasks_one_after_the_other_lose_nothing(heard):
    """Each begins as the one before ends; now and then one takes so long that it is watched."""
    for number in range(1, 2001):
        heard.say(number)
        while len(heard.numbers) < number:
            heard.listening.wait()
        heard.running = number
        heard.listening.begin()
        if number % 500 == 0:
            time.sleep(WATCH_SECONDS * 3)
        heard.running = 0
    assert heard.numbers == list(range(1, 2001))
