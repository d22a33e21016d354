"""Real processes: one slow reader among many, and large messages between small ones.

Bounds on time have ten times their room; `-s` prints what was seen.
"""

import hashlib
import os
import signal
import statistics
import sys
import threading
import time
from functools import partial

import psutil
import pytest

import meshcluster
from meshcluster.config import ClusterConfig, Limits
from meshcluster.timing import Timing

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals"),
]

MIB = 1024 * 1024
BODY_BYTES = 8 * 1024
READERS = 20
CAP_BYTES = 3 * MIB
WARM, SHARE = 300, 600
"""Events at first, and then twice: with all running, and with one stopped."""
PATIENT = Timing(probe_seconds=60.0, answer_seconds=60.0, suspect_seconds=60.0, late_seconds=60.0)
"""Who is stopped remains a member."""

READER = """
import hashlib, json, sys
import meshcluster
from meshcluster.timing import Timing

port, name, protocol = sys.argv[1:]
numbers = []

def tell(*what):
    sys.stdout.write(json.dumps(what) + "\\n")
    sys.stdout.flush()

cluster = meshcluster.Cluster()

@cluster.hook("event")
def hear(event):
    if event.data == "end":
        tell(numbers)
        numbers.clear()
    elif len(event.data[1]) > 1_000_000:
        tell(event.data[0], hashlib.sha256(event.data[1]).hexdigest())
    else:
        numbers.append(event.data[0])

cluster.mailbox("count", lambda letter: len(numbers))
patient = Timing(probe_seconds=60.0, answer_seconds=60.0, suspect_seconds=60.0, late_seconds=60.0)
with cluster.join([name], name=name, port=int(port), protocols=[protocol], timing=patient):
    tell("joined")
    sys.stdin.readline()
"""


@pytest.fixture
def reader(talk, beacon_port):
    """`reader("name")` starts one."""

    def start(name, protocol="unix"):
        made = talk(READER, beacon_port, name, protocol)
        assert made.hear() == ["joined"]
        return made

    return start


class Sender:
    """A member of this process, and what it was told it lost."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.lost = {}
        self.news = threading.Event()
        cluster.hook("send.lost")(self._missed)
        self.box = cluster.mailbox("count")

    def _missed(self, lost):
        numbers = [m.data[0] if isinstance(m.data, list) else m.data for m in lost.messages]
        self.lost.setdefault(lost.service.name, []).extend(numbers)
        self.news.set()

    def service(self, name):
        return next(each for each in self.cluster.services if each.name == name)

    def handled(self, name):
        return self.box.request(self.service(name), None).result(30)


@pytest.fixture
def join(beacon_port, monkeypatch):
    """`join("drop_old")`: the sender, with that policy."""
    joined = []

    def join(congestion="block", protocol="unix", limits=None):
        if limits is not None:
            small = partial(ClusterConfig, limits=limits)
            monkeypatch.setattr("meshcluster.cluster.ClusterConfig", small)
        cluster = meshcluster.Cluster()
        sender = Sender(cluster)
        joined.append(cluster)
        cluster.join(
            ["sender"], name="sender", port=beacon_port, congestion=congestion,
            protocols=[protocol], timing=PATIENT,
        )  # fmt: skip
        return sender

    yield join
    for each in joined:
        each.leave()


# --- one of twenty readers is stopped ---


def flood(sender, names, first, count):
    """Sends so many to everybody as fast as the others take them; returns how many a second."""
    others = tuple(sender.service(name) for name in names)
    began = time.perf_counter()
    for number in range(first, first + count):
        data = [number, os.urandom(BODY_BYTES)]
        try:
            sender.cluster.broadcast(data)
        except meshcluster.Congested as error:
            slow = {each.name for each in error.services}
            sender.lost.setdefault("slow", []).append(number)
            assert slow == {"slow"}
            sender.cluster.send(data, services=others)
        if number % 50 == 0:  # no faster than these take it
            for name in names[::9]:
                sender.handled(name)
    for name in names:
        while sender.handled(name) < first + count:
            time.sleep(0.001)
    return count / (time.perf_counter() - began)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_one_stopped_reader_of_twenty_costs_the_others_nothing(reader, join, capsys):
    names = [f"reader-{number}" for number in range(READERS - 1)]
    readers = {name: reader(name) for name in ["slow", *names]}
    for policy in ("drop_old", "disconnect", "error"):
        sender = join(policy, limits=Limits(waiting_bytes=CAP_BYTES))
        sender.cluster.wait_for_services(READERS, timeout=30)
        seen = flood_with_one_stopped(sender, names, psutil.Process(readers["slow"].popen.pid))
        with capsys.disabled():
            print(f"\n{policy}: {seen}")
        judge(policy, sender, readers)
        sender.cluster.leave()


def flood_with_one_stopped(sender, names, stopped):
    """What that costs, beside what it costs when none is."""
    process = psutil.Process()
    flood(sender, names, 0, WARM)
    before, costs = process.memory_info().rss, []
    for first in (WARM, WARM + SHARE):
        while sender.handled("slow") < first:
            time.sleep(0.001)
        if costs:
            stopped.suspend()
        try:
            used = sum(process.cpu_times()[:2])
            rate = flood(sender, names, first, SHARE)
            costs.append((rate, sum(process.cpu_times()[:2]) - used))
        finally:
            stopped.resume()
    grown = process.memory_info().rss - before
    (rate, used), (rate_then, used_then) = costs
    assert rate_then / rate > 0.1
    assert grown < READERS * CAP_BYTES  # so much may wait where the machine lets all of them wait
    return (
        f"{rate_then / rate:.2f} of the rate with {used_then / used:.2f} times the processor; "
        f"+{grown / MIB:.1f} MiB where {CAP_BYTES / MIB:.0f} MiB may wait"
    )


def judge(policy, sender, readers):
    """Each reader has handled each number, or the sender was told that it did not."""
    sent = list(range(WARM + 2 * SHARE))
    for name, process in readers.items():
        while sender.handled(name) + len(sender.lost.get(name, ())) < len(sent):
            time.sleep(0.001)
        sender.cluster.send("end", resolve=name)
        (handled,) = process.hear(60)
        lost = sender.lost.get(name, [])
        assert handled == sorted(set(handled))
        assert sorted({*handled, *lost}) == sent
        assert bool(lost) is (name == "slow")
        if policy != "disconnect":  # of what was on its way then nobody knows
            assert len(handled) + len(lost) == len(sent)


# --- large messages ---


def digest(data):
    return hashlib.sha256(data).hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["unix", "tcp", "zeromq"])
def test_a_request_passes_a_blob(reader, join, protocol, capsys):
    process, sender = reader("reader", protocol), join(protocol=protocol)
    (service,) = sender.cluster.wait_for_services()

    def ask():
        began = time.perf_counter()
        sender.box.request(service, None).result(30)
        return time.perf_counter() - began

    idle = statistics.median(ask() for _ in range(300))
    body = os.urandom(60 * MIB)
    began, beside = time.perf_counter(), []
    sender.cluster.send([1, body], services=[service])
    while process.said.empty():
        beside.append(ask())
    took = time.perf_counter() - began
    assert process.hear() == [1, digest(body)]
    with capsys.disabled():
        median = statistics.median(beside)
        print(
            f"\n{protocol}: {len(beside)} round trips beside 60 MiB in {took:.2f} s, median "
            f"{median * 1e3:.1f} ms, {median / idle:.0f} times idle; worst {max(beside):.3f} s"
        )
    assert len(beside) > 5, "none would have come back before the blob"


def test_several_blobs_at_once_arrive_whole_and_in_order(reader, join):
    names = ["one", "two", "three"]
    processes = [reader(name) for name in names]
    sender = join()
    sender.cluster.wait_for_services(3)
    bodies = [os.urandom(20 * MIB), os.urandom(MIB + 1), os.urandom(5 * MIB)]
    for number, body in enumerate(bodies):
        sender.cluster.broadcast([number, body])
        sender.cluster.broadcast([100 + number, b""])
    sender.cluster.broadcast("end")
    for process in processes:
        heard = [process.hear(60) for _ in range(4)]
        assert heard[:3] == [[number, digest(body)] for number, body in enumerate(bodies)]
        assert heard[3] == [[100, 101, 102]]


@pytest.mark.parametrize("protocol", ["unix", "tcp"])
def test_a_blob_over_links_that_break_arrives_once(reader, join, protocol):
    process, sender = reader("reader", protocol), join(protocol=protocol)
    (service,) = sender.cluster.wait_for_services()
    body, broken = os.urandom(40 * MIB), 0
    sender.cluster.send([1, body], services=[service])
    sender.cluster.send([2, b"after"], services=[service])
    sender.cluster.send("end", services=[service])

    def cut(driver, _now):
        ends = [end for link, end in driver._ends.items() if link.session is not None]
        for end in ends:
            end.link.abort()
        return len(ends)

    while process.said.empty():
        if broken < 5:
            broken += sender.cluster._in_loop(lambda: sender.cluster._driver.touch(cut))
        time.sleep(0.02)
    assert [process.hear(60), process.hear(60)] == [[1, digest(body)], [[2]]]
    assert process.said.empty()
    assert broken >= 1
    assert sender.lost == {}


def test_a_receiver_that_is_killed_amid_a_blob_is_told_as_lost(reader, join):
    process, sender = reader("reader", "tcp"), join(protocol="tcp")
    (service,) = sender.cluster.wait_for_services()
    assert sender.handled("reader") == 0
    psutil.Process(process.popen.pid).suspend()
    sender.cluster.send([1, os.urandom(60 * MIB)], services=[service])
    sender.cluster.send([2, b""], services=[service])
    session = sender.cluster._driver.node.peers.member(service.key).sessions[""]
    deadline = time.monotonic() + 20
    while not session._cuts.ends:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    os.kill(process.popen.pid, signal.SIGKILL)
    while len(sender.lost.get("reader", ())) < 2:
        assert sender.news.wait(60)
        sender.news.clear()
    assert sender.lost == {"reader": [1, 2]}
    assert session.ledger.held_bytes == 0
