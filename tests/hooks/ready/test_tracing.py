"""A readable line for each thing that passes, and nothing else changes."""

import asyncio
import logging
import queue

import pytest

from meshcluster import AsyncCluster, Cluster
from meshcluster.hooks import HookRegistry
from meshcluster.hooks.chain import intercept, validate
from meshcluster.hooks.placing import HookPlacing
from meshcluster.hooks.ready import trace
from meshcluster.model import Identity, Service
from meshcluster.wire import body
from meshcluster.wire.message import ANSWER, EVENT, QUESTION, Message


def member(name, *tags):
    return Service(Identity(name.encode().ljust(16, b"."), 1, name, "host"), tags=tags, local=True)


ADA, BOB = member("ada", "web"), member("bob")


class Placing(HookPlacing):
    """A cluster that is nothing but its hooks."""

    def __init__(self):
        self.registry = HookRegistry(allow_async=True)

    def _place(self, point, function, **filters):
        self.registry.add(point, function, **filters)

    def _displace(self, function):
        return self.registry.remove(function)

    def send(self, data, *receivers, kind=EVENT, channel=0):
        form, encoded = body.encode(data)
        return self.pass_by("send", Message(None, channel, form, encoded, "", kind, receivers))

    def receive(self, data, *, kind=EVENT, channel=0):
        form, encoded = body.encode(data)
        return self.pass_by("receive", Message(ADA, channel, form, encoded, "unix", kind))

    def pass_by(self, point, message):
        return intercept(self.registry.chain(point, message.channel, message.protocol), message)

    def observe(self, point, service):
        for hook in self.registry.hooks(point):
            hook.function(service)


@pytest.fixture
def cluster():
    return Placing()


@pytest.fixture
def lines(cluster):
    lines = []
    trace(cluster, lines.append)
    return lines


def test_what_is_sent_is_told_with_its_receivers(cluster, lines):
    cluster.send("hello", ADA, BOB)
    cluster.send({"a": 1}, BOB, kind=QUESTION, channel=7)
    cluster.send(None, ADA, kind=ANSWER)
    assert lines == [
        "send event to ada, bob on channel 0: 'hello'",
        "send query to bob on channel 7: {'a': 1}",
        "send answer to ada on channel 0: None",
    ]


def test_what_is_received_is_told_with_its_sender_and_way(cluster, lines):
    cluster.receive(b"\0", channel=3)
    cluster.receive((1, 2), kind=QUESTION)
    cluster.receive([], kind=ANSWER)
    assert lines == [
        "receive event from ada by unix on channel 3: b'\\x00'",
        "receive query from ada by unix on channel 0: (1, 2)",
        "receive answer from ada by unix on channel 0: []",
    ]


def test_what_becomes_of_a_member_is_told(cluster, lines):
    assert validate(cluster.registry.chain("service.validate"), ADA)
    points = ["discovered", "changed", "suspect", "recovered", "conflict"]
    for point in points:
        cluster.observe(f"service.{point}", ADA)
    assert lines == [f"service.{point} {ADA!r}" for point in ["validate", *points]]


def test_why_a_member_is_lost_is_told(cluster, lines):
    cluster.observe("service.lost", ADA.lost("crashed"))
    assert lines == [f"service.lost {ADA!r}: crashed"]


def test_it_looks_last_at_what_is_sent_and_first_at_what_is_received(cluster, lines):
    for point in ("send", "receive"):
        cluster.hook(point, order=10**6)(lambda message: message.replace(data="changed"))
        cluster.hook(point, order=-(10**6))(lambda message: message.replace(data="early"))
    cluster.send("sent", BOB)
    cluster.receive("travelled")
    assert [line.rpartition(": ")[2] for line in lines] == ["'changed'", "'travelled'"]


def test_it_leaves_messages_as_they_are(cluster, lines):
    assert cluster.send("x", ADA).data == "x"
    assert cluster.receive("x").data == "x"


def test_it_places_nothing_that_messages_wait_for(cluster, lines):
    """The first hook at these points ends the holding of what came before hooks were placed."""
    assert cluster.registry.hooks("event") == cluster.registry.hooks("query") == ()


def test_long_values_and_many_receivers_are_cut(cluster, lines):
    cluster.send("x" * 500, *(member(f"m{n}") for n in range(8)))
    cluster.send(bytes(5000), ADA)
    assert lines[0].startswith("send event to m0, m1, m2, m3, m4 and 3 more on channel 0: 'xxx")
    assert lines[0].endswith("xxx...")
    assert len(lines[0]) < 200
    assert lines[1].endswith(": 5000 bytes")


def test_every_line_is_one_line(cluster, lines):
    cluster.send("two\nlines \x1b[2J", ADA)
    assert lines[0].isprintable()


def test_a_body_that_cannot_be_read_is_told_and_passes(cluster, lines):
    message = Message(ADA, 0, body.TEXT, b"\xff", "tcp")
    assert cluster.pass_by("receive", message) is message
    assert lines == ["receive event from ada by tcp on channel 0: 1 bytes that cannot be read"]


def test_it_can_be_taken_away(cluster):
    lines, others = [], []
    traced = trace(cluster, lines.append)
    trace(cluster, others.append)
    traced.remove()
    traced.remove()
    cluster.send("x", ADA)
    cluster.observe("service.lost", ADA)
    assert (len(lines), len(others)) == (0, 2)


def test_a_write_that_raises_breaks_no_traffic_and_is_told_once(cluster, caplog):
    def write(line):
        raise OSError("disk full")

    trace(cluster, write)
    assert cluster.send("x", ADA).data == cluster.receive("x").data == "x"
    assert validate(cluster.registry.chain("service.validate"), ADA)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("meshcluster.trace", logging.ERROR)


def test_without_a_write_the_lines_are_logged(cluster, caplog):
    trace(cluster)
    with caplog.at_level(logging.INFO, "meshcluster.trace"):
        cluster.send("100 %s", ADA)
    (record,) = caplog.records
    assert record.getMessage() == "send event to ada on channel 0: '100 %s'"
    assert record.levelno == logging.INFO


# --- on real members ---


def test_a_blocking_cluster_is_traced(beacon_port):
    cluster, lines = Cluster(), queue.Queue()
    traced = trace(cluster, lines.put)
    with cluster.join(name="one", port=beacon_port):
        with Cluster().join(name="other", tags=["x"], port=beacon_port) as other:
            other.hook("query")(lambda question: "fine")
            cluster.wait_for_services()
            assert list(cluster.query("how?", resolve="x").wait().values()) == ["fine"]
        seen = []
        while not any(line.startswith("service.lost") for line in seen):
            seen.append(lines.get(timeout=10))
        traced.remove()
    starts = [" ".join(line.split()[:2]) for line in seen]
    assert {
        "send query", "receive answer", "service.validate <Service", "service.discovered <Service"
    } <= set(starts)  # fmt: skip
    assert any("receive answer from other by unix on channel 0: 'fine'" in line for line in seen)


async def test_an_async_cluster_is_traced_from_the_middle_on(beacon_port):
    lines = asyncio.Queue()
    async with AsyncCluster().join(name="one", port=beacon_port) as one:
        async with AsyncCluster().join(name="other", port=beacon_port) as other:
            await one.wait_for_services()
            await other.wait_for_services()
            trace(one, lines.put_nowait)
            await other.broadcast("hello")
            seen = [await asyncio.wait_for(lines.get(), 10) for _ in range(3)]
    assert seen[0].startswith("service.validate <Service other")  # who is known is judged anew
    assert seen[1].startswith("service.discovered <Service other")
    assert seen[2] == "receive event from other by unix on channel 0: 'hello'"
