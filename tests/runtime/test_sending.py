"""What a send does before it is queued: whom it means, what hooks make of it, what it refuses."""

import asyncio

import pytest

from meshcluster import (
    ConfigError,
    EncodeError,
    HookFailed,
    HookRejected,
    MessageTooLarge,
    NoRoute,
    NoServices,
)
from meshcluster.node.effects import ServiceDiscovered
from meshcluster.node.snapshots import Snapshots
from meshcluster.runtime.sending import Sender
from meshcluster.testing import Bench, introduce


def soon(awaitable):
    return asyncio.wait_for(awaitable, 10)


def heard_by(*clusters):
    heard = asyncio.Queue()
    for cluster in clusters:
        cluster.hook("event")(heard.put_nowait)
    return heard


# --- whom ----------------------------------------------------------------------------------


async def test_the_ways_to_name_receivers_add_up_and_each_gets_it_once(join):
    sender = await join()
    a, b, c = await join("a"), await join("b"), await join("c")
    await sender.wait_for_services(3)
    named = sender.resolve("a")
    sent = await sender.send(
        "x", resolve="a", resolver=["-some", ["a", "b"]], services=[*named, *named]
    )
    assert sorted(service.tags for service in sent) == [("a",), ("b",)]
    heard = heard_by(a, b, c)
    await sender.broadcast("end")
    texts = [(await soon(heard.get())).data for _ in range(5)]
    assert sorted(texts) == ["end", "end", "end", "x", "x"]


async def test_who_was_told_last_and_is_gone_is_told_no_more(pair):
    one, other = pair
    services = one.resolve("other")
    for _ in range(2):
        await one.send(b"x", services=services)
    assert one.joined.sender.latest[0] is services
    gone = asyncio.Event()
    one.hook("service.lost")(lambda service: gone.set())
    await other.leave()
    await soon(gone.wait())
    with pytest.raises(NoServices):
        await one.send(b"x", services=services)


async def test_who_was_told_last_is_told_no_more_while_we_leave(pair):
    one, _ = pair
    services, sender = one.resolve("other"), one.joined.sender
    for _ in range(2):
        await one.send(b"x", services=services)
    sender.stop()
    assert one.joined.tell(b"x", None, services, 0) is None


async def test_senders_to_several_in_turn_reach_the_right_ones(join):
    one, *others = [await join(tag) for tag in ("one", "a", "b")]
    await one.wait_for_services(2)
    heard = [heard_by(other) for other in others]
    for number in range(6):
        await one.send(number, services=one.resolve("ab"[number % 2]))
    got = [[(await soon(queue.get())).data for _ in range(3)] for queue in heard]
    assert got == [[0, 2, 4], [1, 3, 5]]


@pytest.fixture
def near_and_far():
    """A sender that knows a member on this host, one on this LAN and one farther away."""
    bench = Bench(1)
    for number, name in ((2, "host"), (3, "lan"), (4, "far")):
        introduce(bench, Bench(number, name=name))
        bench.node.take_effects()
        peer = list(bench.node.peers)[-1]
        peer.local = name == "host"
        peer.service = Snapshots().service(peer, lan=name == "lan")
    sender = Sender(bench.node, bench.node.config, bench.hooks)
    sender.refresh([ServiceDiscovered(peer.service) for peer in bench.node.peers])
    return sender


def names_of(parts):
    return [service.name for _, _, _, receivers in parts for service, _ in receivers]


@pytest.mark.parametrize(
    ("channel", "names"),
    [(0, ["host", "lan", "far"]), (1, ["host"]), (2, ["host", "lan"]), (7, ["host", "lan", "far"])],
)
def test_channel_1_reaches_this_host_only_and_2_this_lan_whoever_is_named(
    near_and_far, channel, names
):
    sender = near_and_far
    assert names_of(sender.event_to_all("x", channel)) == names
    assert names_of(sender.event("x", (), None, None, channel, None)) == names
    assert names_of(sender.event("x", None, None, sender.services, channel, None)) == names
    asked = sender.questions(1, 2, b"?", None, None, None, channel, None)
    assert [service.name for _, service, _ in asked] == names


@pytest.mark.parametrize(("channel", "where"), [(1, "on this host"), (2, "on this LAN")])
def test_who_is_too_far_away_for_a_channel_is_nobody(near_and_far, channel, where):
    sender = near_and_far
    with pytest.raises(NoServices, match=f"{where} .channel {channel}."):
        sender.event("x", "far", None, None, channel, None)


@pytest.mark.parametrize("kind", [list, tuple, iter])
async def test_a_service_named_twice_gets_it_once(pair, kind):
    one, other = pair
    heard = heard_by(other)
    assert len(await one.send("x", services=kind([*one.services] * 2))) == 1
    await one.send("end", resolve="other")
    assert [(await soon(heard.get())).data for _ in range(2)] == ["x", "end"]


async def test_who_is_named_and_gone_is_an_error(pair):
    one, other = pair
    gone = one.services
    lost = asyncio.Event()
    one.hook("service.lost")(lambda service: lost.set())
    await other.leave()
    await soon(lost.wait())
    with pytest.raises(NoServices, match="not a member any more"):
        await one.send("x", services=gone)


async def test_words_find_the_members_as_they_are_now(pair):
    one, other = pair
    changed = asyncio.Event()
    one.hook("service.changed")(lambda service: changed.set())
    assert len(await one.send("x", resolve="other")) == 1
    other.tags.replace(["new"])
    await soon(changed.wait())
    assert len(await one.send("x", resolve="new")) == 1
    with pytest.raises(NoServices, match=r"resolve='other'; 1 member is known: "):
        await one.send("x", resolve="other")


# --- what ----------------------------------------------------------------------------------


async def test_what_cannot_travel_is_refused_in_the_caller(pair):
    with pytest.raises(EncodeError, match=r"data\['a'\]\[0\] is an object of class object, which"):
        await pair[0].send({"a": [object()]}, resolve="other")


async def test_a_message_over_the_limit_is_refused_in_the_caller(join):
    one = await join(limits={"message_bytes": 1000})
    other = await join("other")
    await one.wait_for_services()
    heard = heard_by(other)
    await one.send(b"x" * 1000, resolve="other")
    with pytest.raises(MessageTooLarge, match="1001 bytes; the limit is 1000"):
        await one.send(b"x" * 1001, resolve="other")
    one.hook("send")(lambda message: message.replace(data=b"y" * 1002))
    with pytest.raises(MessageTooLarge, match="1002 bytes"):
        await one.send("short", resolve="other")
    assert len((await soon(heard.get())).data) == 1000


@pytest.mark.parametrize("channel", [-1, 2**32, 1.5, "1", True])
async def test_what_is_no_channel_number_is_refused(pair, channel):
    with pytest.raises(ConfigError, match="channel="):
        await pair[0].send("x", resolve="other", channel=channel)


# --- hooks ---------------------------------------------------------------------------------


async def test_a_send_hook_sees_whom_a_message_is_for(join):
    sender = await join()
    for tag in "ab":
        await join(tag)
    await sender.wait_for_services(2)
    seen = []
    sender.hook("send")(seen.append)
    await sender.broadcast("x")
    (message,) = seen
    assert (message.service, message.kind, message.data) == (None, "event", "x")
    assert message.receivers == sender.services


async def test_a_send_hook_may_take_receivers_away(join):
    sender = await join()
    a, b = await join("a"), await join("b")
    await sender.wait_for_services(2)
    heard = heard_by(a, b)

    @sender.hook("send")
    def only_a(message):
        return message.replace(receivers=[s for s in message.receivers if "a" in s.tags])

    assert [service.tags for service in await sender.broadcast("x")] == [("a",)]
    assert (await soon(heard.get())).data == "x"
    with pytest.raises(HookRejected, match="no receivers"):
        await sender.send("x", resolve="b")


async def test_a_send_hook_of_one_protocol_sees_only_who_is_reached_by_it(join):
    sender = await join()
    a, b = await join("a", protocols=["unix"]), await join("b", protocols=["tcp"])
    await sender.wait_for_services(2)
    heard = heard_by(a, b)

    @sender.hook("send", protocol="tcp")
    def mark(message):
        assert [service.tags for service in message.receivers] == [("b",)]
        return message.replace(data="by tcp")

    await sender.broadcast("plain")
    got = {(m.protocol, m.data) for m in [await soon(heard.get()), await soon(heard.get())]}
    assert got == {("unix", "plain"), ("tcp", "by tcp")}


async def test_a_send_hook_of_one_channel_sees_only_that(join):
    one, other = await join(channels=[7]), await join("other", channels=[7])
    await one.wait_for_services()
    heard = heard_by(other)
    one.hook("send", channel=7)(lambda message: message.replace(data="seven"))
    await one.send("zero", resolve="other")
    await one.send("x", resolve="other", channel=7)
    assert [(await soon(heard.get())).data for _ in range(2)] == ["zero", "seven"]


async def test_a_broken_send_hook_fails_the_send_with_its_cause(pair):
    one, other = pair
    heard = heard_by(other)

    @one.hook("send")
    def broken(message):
        raise ValueError("inside")

    with pytest.raises(HookFailed, match="broken") as failed:
        await one.send("x", resolve="other")
    assert isinstance(failed.value.__cause__, ValueError)
    one.unhook(broken)
    await one.send("y", resolve="other")
    assert (await soon(heard.get())).data == "y"


# --- which way -----------------------------------------------------------------------------


async def test_protocols_choose_the_link_whatever_is_open(pair):
    one, other = pair
    heard = heard_by(other)
    await one.send("first", resolve="other")
    await one.send("second", resolve="other", protocols=["tcp"])
    await one.send("third", resolve="other", protocols=["unix"])
    got = {message.data: message.protocol for message in [await soon(heard.get()) for _ in "123"]}
    assert got == {"first": "unix", "second": "tcp", "third": "unix"}


async def test_a_protocol_nobody_offers_has_no_route(pair):
    with pytest.raises(NoRoute, match=r"\['smoke'\]: unix, tcp, zeromq, udp can"):
        await pair[0].send("x", resolve="other", protocols=["smoke"])


async def test_a_bare_text_for_protocols_is_refused(pair):
    with pytest.raises(ConfigError, match=r"such as protocols=\['tcp'\]"):
        await pair[0].send("x", resolve="other", protocols="tcp")


async def test_sessions_with_one_member_are_bounded(join):
    one = await join(limits={"lanes": 2})
    await join("other")
    await one.wait_for_services()
    await one.send("common", resolve="other")
    await one.send("tcp", resolve="other", protocols=["tcp"])
    with pytest.raises(NoRoute, match="2 sessions with us already"):
        await one.send("x", resolve="other", protocols=["tcp", "smoke"])
