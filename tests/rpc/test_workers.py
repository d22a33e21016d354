"""As many threads as keep jobs from waiting, and no more; what ends them and what does not."""

import asyncio
import sys
import threading
import time
from contextlib import asynccontextmanager

import pytest

from meshcluster.rpc.workers import Workers
from tests.waiting import eventually

NAME = "test-workers"


def running():
    return [each for each in threading.enumerate() if each.name.startswith(NAME)]


@asynccontextmanager
async def workers(count=4, seconds=5.0):
    made = Workers(NAME, count)
    try:
        yield made
    finally:
        await made.close(seconds)


async def test_jobs_run_in_the_order_of_their_arrival_on_daemon_threads():
    done = []
    async with workers(1) as pool:
        for number in range(1000):
            pool.put(lambda number=number: done.append((number, threading.current_thread())))
        await eventually(lambda: len(done) == 1000)
    assert [number for number, _ in done] == list(range(1000))
    assert {thread.name for _, thread in done} == {f"{NAME}-1"}
    assert all(thread.daemon for _, thread in done)
    assert running() == []


async def test_jobs_that_block_get_threads_of_their_own_up_to_the_number_there_may_be():
    go, begun, ended = threading.Event(), [], []

    def block():
        begun.append(1)
        go.wait(10)
        ended.append(1)

    async with workers(4) as pool:
        for _ in range(10):
            pool.put(block)
        await eventually(lambda: len(begun) == 4)
        assert len(running()) == 4
        go.set()
        await eventually(lambda: len(ended) == 10)
        assert len(running()) == 4
    assert running() == []


async def test_idle_threads_are_used_again():
    async with workers(4) as pool:
        for _ in range(50):
            done = threading.Event()
            pool.put(done.set)
            await eventually(done.is_set)
        assert len(running()) < 4


@pytest.mark.parametrize("error", [ValueError("one"), SystemExit(3), KeyboardInterrupt()])
async def test_a_job_that_raises_ends_no_thread(error, caplog):
    def raises():
        raise error

    async with workers(1) as pool:
        pool.put(raises)
        done = threading.Event()
        pool.put(done.set)
        await eventually(done.is_set)
    assert "a job raised" in caplog.text


async def test_none_of_many_jobs_is_forgotten_when_threads_fall_asleep_meanwhile():
    done = []
    old = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        async with workers(3) as pool:
            for number in range(2000):
                pool.put(lambda number=number: done.append(number))
                if number % 7 == 0:
                    await asyncio.sleep(0)
            await eventually(lambda: len(done) == 2000)
    finally:
        sys.setswitchinterval(old)
    assert sorted(done) == list(range(2000))


async def test_closing_waits_for_what_runs_and_forgets_what_waits():
    go, done = threading.Event(), []
    pool, begun = Workers(NAME, 1), threading.Event()
    pool.put(lambda: (begun.set(), go.wait(10), done.append("ran")))
    pool.put(lambda: done.append("waited"))
    await eventually(begun.is_set)
    asyncio.get_running_loop().call_later(0.02, go.set)
    await pool.close(5)
    assert done == ["ran"]
    assert running() == []


async def test_what_blocks_longer_is_left_alone():
    go, begun = threading.Event(), threading.Event()
    pool = Workers(NAME, 1)
    pool.put(lambda: (begun.set(), go.wait(10)))
    await eventually(begun.is_set)
    before = time.monotonic()
    await pool.close(0.05)
    assert time.monotonic() - before < 2
    assert len(running()) == 1
    go.set()
    await eventually(lambda: running() == [])


async def test_they_may_be_used_again_after_closing():
    pool = Workers(NAME, 2)
    for _ in range(2):
        done = threading.Event()
        pool.put(done.set)
        await eventually(done.is_set)
        await pool.close(5)
        assert running() == []
    await pool.close(5)
