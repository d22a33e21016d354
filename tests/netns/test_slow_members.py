"""Members that starve, sleep or are busy are at most suspected; they themselves judge nobody."""

import contextlib
import threading
import time

import pytest

from .crowd import Crowd
from .quota import Quota

SLOW, ALL = 10, 50


def stop_and_go(crowd, numbers, seconds, ended):
    """Stops some for 5 seconds of every 10, one after another."""
    while not ended.is_set():
        for act in (crowd.pause, crowd.resume):
            for number in numbers:
                act(number)
            ended.wait(seconds)


def starved(network, seconds, fault):
    """A fault of ten of fifty: who of the healthy was lost by the healthy."""
    with Crowd(network.lan(25).hosts, ALL, ttl=1) as crowd:
        crowd.meet()
        crowd.settle()
        slow, began = range(SLOW), time.monotonic()
        with fault(crowd, slow):
            time.sleep(seconds)  # the fault itself
        lost = crowd.false_deaths(began, dead=[crowd.ids[number] for number in slow])
        suspected = crowd.sights.since(began, "suspect")
        took = crowd.meet()
        healthy = {crowd.processes[number] for number in range(SLOW, ALL)}
        ours = [each for each in lost if each.process in healthy]
        wrongly = [each for each in suspected if each.id not in {crowd.ids[n] for n in slow}]
        print(
            f"{fault.__name__} for {seconds} s, {SLOW} of {ALL}: healthy lost by healthy "
            f"{len(ours)}, by the others {len(lost) - len(ours)}; suspicions told: "
            f"{len(suspected)}, of the healthy {len(wrongly)}; views equal after {took:.2f} s"
        )
        assert ours == []


@contextlib.contextmanager
def stopped_half_of_the_time(crowd, slow):
    ended = threading.Event()
    thread = threading.Thread(target=stop_and_go, args=[crowd, slow, 5.0, ended])
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        for number in slow:
            crowd.resume(number)


@contextlib.contextmanager
def at_five_percent(crowd, slow):
    quota = Quota()
    try:
        for number in slow:
            quota.limit(crowd.processes[number], 5)
        yield
        assert quota.throttled() > 0, "the fault did not bite"
    finally:
        quota.close()


@contextlib.contextmanager
def half_of_them_each(crowd, slow):
    middle = len(slow) // 2
    with stopped_half_of_the_time(crowd, slow[:middle]), at_five_percent(crowd, slow[middle:]):
        yield


@pytest.mark.slow
@pytest.mark.timeout(160)
def test_for_a_while_ten_of_fifty_are_slow_and_nobody_healthy_is_lost(network):
    starved(network, 20, half_of_them_each)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("minutes", "fault"),
    [(1, half_of_them_each), (10, stopped_half_of_the_time), (10, at_five_percent)],
)
def test_for_minutes_ten_of_fifty_are_slow_and_nobody_healthy_is_lost(network, minutes, fault):
    starved(network, 60 * minutes, fault)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_ten_of_twenty_sleep_and_lose_nobody_when_they_wake(network):
    lan = network.lan(20)
    asleep, awake = range(10), range(10, 20)
    with Crowd(lan.hosts, ttl=1, heartbeat_seconds=0.5, expire_seconds=2) as crowd:
        crowd.meet()
        crowd.settle()
        began = time.monotonic()
        for number in asleep:
            crowd.pause(number)
        for number in asleep:
            crowd.all_lose(crowd.ids[number], began, by=awake)
        time.sleep(3)  # longer than any of them waits for anybody
        woken = time.monotonic()
        for number in asleep:
            crowd.resume(number)
        took = crowd.meet(seconds=50)
        sleepers = {crowd.processes[number] for number in asleep}
        lost = crowd.false_deaths(began, dead=[crowd.ids[number] for number in asleep])
        told = [each for each in crowd.sights.since(woken, "lost") if each.process in sleepers]
        print(f"10 of 20 slept {woken - began:.1f} s: views equal {took:.2f} s after they woke")
        assert lost == []
        assert told == [], "who wakes loses nobody, another who slept neither"
    assert took < 50


@pytest.mark.slow
def test_a_hook_that_sleeps_makes_nobody_suspect(network):
    with Crowd(network.lan(3).hosts, ttl=1) as crowd:
        crowd.meet()
        crowd.settle()
        began = time.monotonic()
        crowd.ask(0, "cluster.hook('event')(lambda event: time.sleep(6)) and None")
        crowd.ask(1, "tell('sleep')")
        time.sleep(6)  # while the hook sleeps; who is silent so long is lost
        for what in ("suspect", "lost"):
            assert crowd.sights.since(began, what) == []


BLOCKED = """
import asyncio, json, sys, time, meshcluster

async def main():
    async with meshcluster.AsyncCluster().join(name="busy", ttl=1, mdns=False) as cluster:
        print(json.dumps("joined"), flush=True)
        loop = asyncio.get_running_loop()
        while await loop.run_in_executor(None, sys.stdin.readline):
            time.sleep(3)
            print(json.dumps("blocked"), flush=True)

asyncio.run(main())
"""


@pytest.mark.slow
def test_a_loop_that_is_blocked_is_suspected_at_most_and_says_so(network):
    lan = network.lan(4)
    with Crowd(lan.hosts[:3], ttl=1) as crowd:
        crowd.meet()
        busy = lan.hosts[3].script(BLOCKED)
        for number in crowd.ids:
            crowd.ask(number, "met(3)")
        crowd.settle()
        began = time.monotonic()
        assert busy.ask() == "blocked"
        said = [crowd.ask(number, "lag_of('busy')") for number in crowd.ids]
        suspected = crowd.sights.since(began, "suspect")
        print(f"a loop blocked for 3 s: {len(suspected)} suspicions; it says it is late by {said}")
        assert crowd.sights.since(began, "lost") == []
        assert {each.name for each in suspected} <= {"busy"}
        assert all(late > 1 for late in said)
        assert crowd.sights.until(
            lambda: len(crowd.sights.since(began, "recovered")) == len(suspected), 20
        )
        busy.release()
