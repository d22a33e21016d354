"""Many faults at once, networks that were apart: in the end all know all, and nothing is left."""

import random
import time

import pytest

from .crowd import Crowd

CONVERGED_SECONDS, HEARD_SECONDS = 5.0, 2.0
ROOM = 6


def stormed(network, hosts, seconds, growth):
    lan = network.lan(hosts)
    chance = random.Random(9)
    with Crowd(lan.hosts, ttl=1) as crowd:
        crowd.meet()
        crowd.settle()
        survivors = list(range(hosts // 2))
        before = {number: crowd.ask(number, "held()") for number in survivors}
        ends = time.monotonic() + seconds
        kills, due = 0, time.monotonic()
        while time.monotonic() < ends:
            number = chance.choice(range(hosts // 2, hosts))
            crowd.kill(number)
            kills += 1
            due += 0.5
            time.sleep(max(0, due - time.monotonic()))  # the fault itself
            crowd.start(number)
        took = crowd.meet(CONVERGED_SECONDS * ROOM)
        crowd.settle()
        after = {number: crowd.ask(number, "held()") for number in survivors}
        wrong = {number: crowd.ask(number, "names()") for number in crowd.ids}
        print(f"{kills} kills and restarts of {hosts}: views equal after {took:.2f} s")
        names = {f"m{number}" for number in crowd.ids}
        assert all(sorted(names - {f"m{n}"}) == known for n, known in wrong.items()), wrong
        grown = {n: (before[n], after[n]) for n in survivors}
        print(f"[descriptors, threads, MiB] of survivors before and after: {grown}")
        for (fds, threads, size), (more_fds, more_threads, more_size) in grown.values():
            assert more_fds <= fds + 8
            assert more_threads <= threads + 1
            assert more_size <= size + growth
        assert stale(crowd, lan.hosts) == []


def stale(crowd, hosts):
    """Sockets in the runtime directories that are no living member's."""
    ids = list(crowd.ids.values())
    left = []
    for host in hosts:
        for path in host.runtime_dir.glob("*/*"):
            if path.is_socket() and not any(each.startswith(path.stem[:16]) for each in ids):
                left.append(path)
    return left


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_storm_of_kills_and_restarts_ends_in_equal_views(network):
    stormed(network, 10, 8, growth=16)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_long_storm_of_kills_and_restarts(network):
    stormed(network, 20, 30, growth=16)


def parted(network, seconds):
    """A partition of ten into two; how long until views are equal, and until messages come."""
    lan = network.lan(10)
    here, there = range(5), range(5, 10)
    with Crowd(lan.hosts, ttl=1) as crowd:
        crowd.meet()
        crowd.settle()
        lan.partition(lan.hosts[:5], lan.hosts[5:])
        for number in crowd.ids:
            crowd.ask(number, "talk(0.05)")
        time.sleep(seconds)  # the fault itself
        for some, others in ((here, there), (there, here)):
            for number in others:
                crowd.all_lose(crowd.ids[number], 0, by=some)
        healed = time.monotonic()
        lan.heal()
        heard = crowd.ask(0, "handled_from(['m5', 'm6', 'm7', 'm8', 'm9'])")
        equal = healed + crowd.meet()
        for number in crowd.ids:
            crowd.ask(number, "hush()")
        print(
            f"{seconds} s apart: the first message after {heard - healed:.2f} s, views equal after "
            f"{max(equal, heard) - healed:.2f} s"
        )
        assert heard - healed < HEARD_SECONDS * ROOM
        assert equal - healed < CONVERGED_SECONDS * ROOM


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_eight_seconds_apart_and_views_are_equal_at_once(network):
    parted(network, 8)


@pytest.mark.long
@pytest.mark.timeout(200)
def test_a_minute_apart_and_views_are_equal_at_once(network):
    parted(network, 60)
