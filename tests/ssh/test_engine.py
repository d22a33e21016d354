"""``Engine``: the thread behind a dispatcher. Its workers are stand-ins that answer in that thread,
so that what the engine itself does is seen.
"""

import asyncio
import threading
import time

import pytest

from meshcluster import ClusterError, DispatcherClosed
from meshcluster.ssh.engine import Engine
from meshcluster.ssh.pool import Pool, Settings
from meshcluster.ssh.server import Server
from meshcluster.ssh.slot import State
from meshcluster.ssh.task import Task
from tests.waiting import until


class Future:
    """What the engine tells of a task's end."""

    def __init__(self):
        self.told = []
        self.end = threading.Event()

    def settle(self, error):
        self.told.append(error)
        self.end.set()


class Echo:
    """A worker that does tasks at once, or when it is told to."""

    def __init__(self, slot, engine):
        self.slot, self.engine = slot, engine
        self.sent, self.told = [], []
        self.stopped = []
        self.gone_ = asyncio.Event()

    async def begin(self):
        self.engine.act(lambda pool, now: pool.ready(self.slot, now, pid=5, pings=False))

    def send(self, tasks):
        assert self.engine.lock._is_owned()
        self.sent.append([task.number for task in tasks])

    def tell(self, what, number):
        assert self.engine.lock._is_owned()
        self.told.append((what, number))

    def stop(self, politely):
        self.stopped.append(politely)
        self.engine.soon(self._end)

    def _end(self):
        self.engine.act(lambda pool, now: pool.ended(self.slot, "stopped", "", now))
        self.gone_.set()

    async def gone(self):
        await self.gone_.wait()

    def is_reading(self):
        return False

    def is_moving(self):
        return False

    def done(self, number):
        def change(pool, now):
            task = pool.answered(self.slot, number, now, 1)
            pool.refill(self.slot, now)
            return pool.finish([(task, None)])

        return self.engine.act(change)


class Prompt(Echo):
    """Has done its first task before the thread looks at the time again."""

    async def begin(self):
        await super().begin()
        self.done(1)


class Failing(Echo):
    async def begin(self):
        raise ZeroDivisionError("it cannot begin")


@pytest.fixture
def links():
    return []


@pytest.fixture
def make(links):
    """Makes engines, and ends them however the test ends."""
    made = []

    def make(settings=None, kind=Echo):
        def link(slot, engine):
            links.append(kind(slot, engine))
            return links[-1]

        engine = Engine(Pool(settings or Settings()), link)
        made.append(engine)
        engine.act(lambda pool, now: pool.serve([Server()], now))
        return engine

    yield make
    for engine in made:
        engine.act(lambda pool, now: pool.close(drain=False))
        assert engine.join(20)


@pytest.fixture
def engine(make):
    return make()


def task(number):
    made = Task(number)
    made.future = Future()
    return made


def engines():
    return sum(thread.name == "meshcluster-dispatcher" for thread in threading.enumerate())


def test_there_is_no_thread_before_there_is_work(engine, links):
    assert engine.act(lambda pool, now: len(pool.places)) == 1
    assert (engines(), links) == (0, [])
    assert engine.join(0)


def test_one_thread_serves_all(engine, links):
    barrier = threading.Barrier(8)

    def submit(number):
        barrier.wait()
        assert engine.submit(task(number))

    threads = [threading.Thread(target=submit, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert engines() == 1
    assert len(links) == 1


def test_a_change_returns_what_it_returns_and_raises_what_it_raises(engine):
    assert engine.act(lambda pool, now: now) <= time.monotonic()
    with pytest.raises(ZeroDivisionError):
        engine.act(lambda pool, now: 1 / 0)
    assert engine.act(lambda pool, now: "still there") == "still there"


def test_what_goes_to_one_worker_in_one_breath_is_sent_at_once(make, links):
    engine = make(Settings(window=4), Prompt)
    with engine.lock:
        for number in range(1, 7):
            engine.pool.submit(task(number), time.monotonic())
        engine.perform()
        engine._tick_soon()
    until(lambda: links and len(links[0].sent) == 2)
    assert links[0].sent == [[1], [2, 3, 4, 5]]
    links[0].done(2)
    assert links[0].sent == [[1], [2, 3, 4, 5], [6]]


def test_who_changes_something_in_the_middle_of_a_change_does_it_a_little_later(engine, links):
    first, done = task(1), []
    engine.submit(first)

    def outer(pool, now):
        assert engine.act(lambda pool, now: done.append(pool.cancel(first))) is None
        return len(done)

    assert engine.act(outer) == 0
    until(lambda: done)
    assert done == [True]
    assert first.future.end.wait(20)


def test_futures_are_told_outside_the_lock(engine, links):
    first = task(1)
    seen = []
    first.future.settle = lambda error: seen.append((error, engine.lock._is_owned()))
    engine.submit(first)
    assert engine.act(lambda pool, now: pool.cancel(first))
    assert seen == [(None, False)]


def test_a_worker_that_cannot_begin_is_logged(make, caplog):
    engine = make(Settings(start_seconds=0.2), Failing)
    lost = task(1)
    engine.submit(lost)
    assert lost.future.end.wait(20)
    assert "no hello within 0.2 s" in str(lost.future.told[0])
    assert "it cannot begin" in caplog.text


def test_time_goes_on_while_something_is_under_way(engine, links):
    slow = task(1)
    slow.terms.timeout = 0.1
    engine.submit(slow)
    until(lambda: links and links[0].told)
    assert links[0].told == [("cancel", 1)]


def test_its_own_thread_must_not_wait_for_it(engine, links):
    outcome = []

    def join():
        try:
            engine.join()
        except ClusterError as error:
            outcome.append((engine.is_inside(), str(error)))

    engine.submit(task(1))
    engine.soon(join)
    until(lambda: outcome)
    assert outcome[0][0]
    assert "callback" in outcome[0][1]
    assert not engine.is_inside()


def test_it_is_over_when_no_worker_is_left(engine, links):
    engine.submit(task(1))
    until(lambda: links and links[0].sent)
    assert not engine.join(0.01)
    links[0].done(1)
    engine.act(lambda pool, now: pool.close(drain=True))
    assert engine.join(20)
    assert links[0].stopped == [True]
    assert links[0].slot.state is State.COLD
    assert engines() == 0


def test_what_comes_after_its_end_does_no_harm(engine, links):
    engine.submit(task(1))
    engine.abandon()
    assert engine.join(20)
    called = []
    engine.soon(called.append, 1)
    assert engine.act(lambda pool, now: pool.closed)
    assert not engine.submit(task(2))
    engine.abandon()
    assert engines() == 0
    assert called == []


def test_abandoned_before_there_was_work_it_takes_none(engine):
    engine.abandon()
    assert not engine.submit(task(1))
    assert engines() == 0


def test_it_is_abandoned_by_who_has_its_lock(engine, links):
    engine.submit(task(1))
    with engine.lock:
        engine.abandon()
    assert engine.join(20)


def test_ctrl_c_in_the_middle_of_a_change_hangs_nobody(engine, links, monkeypatch):
    """The pool may be left in two minds: what is open is given up, and says so."""
    first, second = task(1), task(2)
    engine.submit(first)
    until(lambda: links and links[0].sent)

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(engine.pool, "submit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            engine.submit(second)
    assert engine.join(20)
    ((error,),) = [first.future.told]
    assert isinstance(error, DispatcherClosed)
    assert not engine.submit(task(3))
