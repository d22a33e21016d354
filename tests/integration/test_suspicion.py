"""Real members that are stopped, busy, killed or refused: what users hear of each, in order, and
why; and who is slow itself says so and judges nobody.
"""

import asyncio
import queue
import signal
import sys
import threading
import time
from dataclasses import replace

import pytest

import meshcluster
from meshcluster.config import ClusterConfig
from meshcluster.timing import HOST, LAN
from tests.waiting import until

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals"),
]

POINTS = ("discovered", "suspect", "recovered", "changed", "lost")
MEMBER = """
import json, sys
import meshcluster
cluster = meshcluster.join(name=sys.argv[2], port=int(sys.argv[1]))
print(json.dumps("joined"), flush=True)
for line in sys.stdin:
    if line.strip() == "leave":
        break
    cluster.tags.append(line.strip())
cluster.leave()
"""


def timed(timing):
    """Settings that judge as quickly as this."""
    return lambda **settings: ClusterConfig(**{**settings, "timing": timing})


@pytest.fixture
def watch(beacon_port, monkeypatch):
    """A member in this process with a timing of its own, and what its hooks hear of each member."""
    cluster = meshcluster.Cluster()
    cluster.heard = queue.Queue()
    for point in POINTS:

        def hook(service, point=point):
            cluster.heard.put((point, service))

        cluster.hook(f"service.{point}")(hook)

    def join(timing=None):
        with monkeypatch.context() as patch:
            patch.setattr("meshcluster.cluster.ClusterConfig", timed(timing))
            return cluster.join(port=beacon_port, name="watcher")

    yield join
    cluster.leave()


@pytest.fixture
def member(talk, beacon_port):
    """Starts a member in a process of its own."""

    def member(name):
        process = talk(MEMBER, beacon_port, name)
        assert process.hear() == "joined"
        return process

    return member


def hear(watcher, *points):
    """The next things that happen are these, to one run of one member; gives the last snapshot."""
    seen = [watcher.heard.get(timeout=30) for _ in points]
    assert tuple(point for point, _ in seen) == points
    assert len({service for _, service in seen}) == 1
    return seen[-1][1]


def peers_of(cluster):
    return {peer.service.name: peer for peer in cluster._driver.node.peers if peer.service}


# --- in order, and why ---


def test_who_is_stopped_for_a_moment_is_suspected_and_recovers(watch, member):
    watcher = watch(replace(HOST, suspect_seconds=5.0))
    process = member("sleeper")
    service = hear(watcher, "discovered")
    began = time.monotonic()
    process.popen.send_signal(signal.SIGSTOP)
    hear(watcher, "suspect")
    print(f"suspected after {time.monotonic() - began:.2f} s")
    assert service.state == "suspect"
    assert watcher.services == (service,)
    process.popen.send_signal(signal.SIGCONT)
    hear(watcher, "recovered")
    assert service.state == "alive"
    process.say("back")
    assert hear(watcher, "changed").tags == ("back",)
    process.say("leave")
    assert hear(watcher, "lost").reason == "left"
    process.ends()
    assert watcher.heard.empty()


def test_who_stays_stopped_is_unreachable_and_when_it_goes_on_discovered_again(watch, member):
    watcher = watch()
    process = member("sleeper")
    hear(watcher, "discovered")
    began = time.monotonic()
    process.popen.send_signal(signal.SIGSTOP)
    assert hear(watcher, "suspect", "lost").reason == "unreachable"
    print(f"lost after {time.monotonic() - began:.2f} s")
    process.popen.send_signal(signal.SIGCONT)
    hear(watcher, "discovered")


def test_who_is_killed_has_crashed(watch, member):
    watcher = watch()
    process = member("victim")
    service = hear(watcher, "discovered")
    until(lambda: peers_of(watcher)["victim"].sessions)
    process.popen.kill()
    while True:  # whether it is suspected before depends on how busy this machine is
        point, lost = watcher.heard.get(timeout=30)
        if point == "lost":
            break
        assert point == "suspect"
    assert (lost, lost.reason) == (service, "crashed")


def test_whom_a_hook_does_not_want_any_more_is_refused(watch, member):
    watcher = watch()
    member("unwanted")
    hear(watcher, "discovered")

    @watcher.hook("service.validate")
    def nobody(service):
        raise meshcluster.HookRejected("not here")

    assert hear(watcher, "lost").reason == "refused"
    assert watcher.services == ()


# --- our own trouble ---


async def test_an_async_member_whose_loop_was_blocked_says_so_and_judges_nobody(
    beacon_port, monkeypatch
):
    # As on a LAN, that the others do not give it up meanwhile.
    monkeypatch.setattr("meshcluster.cluster.ClusterConfig", timed(LAN))
    wrong = []
    blocked = meshcluster.AsyncCluster()
    for point in ("suspect", "lost"):
        blocked.hook(f"service.{point}")(wrong.append)

    def join(name):
        return meshcluster.join(name=name, port=beacon_port, heartbeat_seconds=0.2)

    others = await asyncio.gather(*[asyncio.to_thread(join, f"m{n}") for n in range(3)])
    try:
        joining = blocked.join(name="blocked", port=beacon_port, heartbeat_seconds=0.2)
        async with joining:
            await blocked.wait_for_services(3)
            for other in others:
                await asyncio.to_thread(other.wait_for_services, 3)
            seen = [peers_of(other)["blocked"] for other in others]
            before = [peer.number for peer in seen]
            time.sleep(1.0)  # noqa: ASYNC251 - nothing runs in this loop
            for peer, number in zip(seen, before, strict=True):
                await asyncio.to_thread(until, lambda p=peer, n=number: p.number > n and p.lag)
            assert blocked.dropped["times we were late ourselves"] >= 1
            assert max(peer.lag for peer in seen) > 0.1
            assert not wrong
            assert len(blocked.services) == 3
    finally:
        await asyncio.gather(*[asyncio.to_thread(other.leave) for other in others])


def test_a_blocking_member_answers_and_beacons_while_its_hook_sleeps(watch, beacon_port):
    watcher = watch()
    begun, release = threading.Event(), threading.Event()
    other = meshcluster.Cluster()
    other.hook("event")(lambda message: (begun.set(), release.wait(30)))
    with other.join(name="busy", port=beacon_port, heartbeat_seconds=0.2):
        hear(watcher, "discovered")
        watcher.send("work", resolve="busy")
        assert begun.wait(20)
        peer = peers_of(watcher)["busy"]
        number = peer.number
        until(lambda: peer.number > number + 8)  # longer than it takes to be lost at ttl=0
        assert watcher.heard.empty()
        release.set()
    assert hear(watcher, "lost").reason == "left"
