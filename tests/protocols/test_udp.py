"""Messages in datagrams, between real members: small, at most once, asked for by name."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from meshcluster import AsyncCluster
from meshcluster.announcers.groups import LOOPBACK_WAY, open_group
from meshcluster.config import DEFAULT_ADDRESS
from meshcluster.errors import ConfigError, MessageTooLarge, NoRoute
from meshcluster.protocols import Context
from meshcluster.protocols.udp import UdpHandler
from meshcluster.wire.codec import decode_datagram, is_message
from tests.waiting import eventually

UDP = ["udp"]


@pytest.fixture
async def join(beacon_port):
    """Joins members that keep what they hear; all leave at the end."""
    async with AsyncExitStack() as stack:

        async def join(name, **settings):
            cluster = AsyncCluster()
            cluster.heard = asyncio.Queue()

            @cluster.hook("event")
            def event(message):
                cluster.heard.put_nowait((message.data, message.protocol, message.service.name))

            @cluster.hook("query")
            def query(message):
                if message.data == "large":
                    return "x" * 5000
                return [name, message.protocol]

            joining = cluster.join(name=name, port=beacon_port, **settings)
            return await stack.enter_async_context(joining)

        yield join


async def met(*clusters):
    for cluster in clusters:
        await cluster.wait_for_services(len(clusters) - 1)


async def test_an_event_goes_by_udp_when_it_is_asked_for(join):
    one, other = await join("one"), await join("other")
    await met(one, other)
    await one.send("hello", resolve="other", protocols=UDP)
    assert await other.heard.get() == ("hello", "udp", "one")


async def test_without_being_named_it_is_never_used_where_links_open(join):
    one, other = await join("one"), await join("other")
    await met(one, other)
    await one.send("hello", resolve="other")
    assert (await other.heard.get())[1] != "udp"


@pytest.fixture
async def group(beacon_port, insider):
    """Puts what everybody is told by the group here; they have begun when it is listened to."""
    loop, told = asyncio.get_running_loop(), asyncio.Queue()
    listener = open_group(LOOPBACK_WAY, DEFAULT_ADDRESS, beacon_port)

    def read():
        data = insider.open(listener.recv(2048))
        if is_message(data):
            told.put_nowait(decode_datagram(data).message.body)

    loop.add_reader(listener, read)
    yield told
    loop.remove_reader(listener)
    listener.close()


async def met_on_the_group(*clusters):
    """Each has heard a beacon of each other."""
    await met(*clusters)
    await eventually(
        lambda: all(p.beaconed_at > 0 for each in clusters for p in each.joined.node.peers)
    )


async def test_a_broadcast_by_udp_is_one_datagram_to_the_group(join, group):
    members = [await join(name) for name in ("one", "two", "three")]
    await met_on_the_group(*members)
    for word in (b"hello", b"again"):
        told = await members[0].broadcast(word, protocols=UDP)
        assert sorted(service.name for service in told) == ["three", "two"]
        for member in members[1:]:
            assert await member.heard.get() == (word, "udp", "one")
    assert [await group.get(), await group.get()] == [b"hello", b"again"]
    assert group.empty()


async def test_hooks_see_it_as_any_message(join, group):
    one, two, three = members = [await join(name) for name in ("one", "two", "three")]
    await met_on_the_group(*members)
    one.hook("send", protocol="udp")(lambda message: message.replace(data=b"changed"))
    two.hook("receive", protocol="udp")(lambda message: message.replace(data=b"again"))
    await one.broadcast(b"hello", protocols=UDP)
    assert (await two.heard.get())[0] == b"again"
    assert (await three.heard.get())[0] == await group.get() == b"changed"


async def test_what_is_not_for_everybody_goes_to_each_alone(join, group):
    """The group reaches whom a send hook takes out, and whom a hook refused as a member."""
    one, two, three = members = [await join(name) for name in ("one", "two", "three")]
    await met_on_the_group(*members)

    @one.hook("send")
    def only_two(message):
        return message.replace(receivers=[r for r in message.receivers if r.name == "two"])

    assert len(await one.broadcast(b"to two", protocols=UDP)) == 1
    assert (await two.heard.get())[0] == b"to two"
    one.unhook(only_two)
    one.hook("service.validate")(lambda service: service.name != "two")
    await one.broadcast(b"to three", protocols=UDP)
    assert (await three.heard.get())[0] == b"to three"
    await three.broadcast(b"to all", protocols=UDP)
    assert (await two.heard.get())[0] == await group.get() == b"to all"
    assert group.empty()


async def test_channel_1_goes_to_the_group_where_all_are_on_this_host(join, group):
    members = [await join(name) for name in ("one", "two", "three")]
    await met_on_the_group(*members)
    await members[0].broadcast(b"here", channel=1, protocols=UDP)
    assert (await members[1].heard.get())[0] == await group.get() == b"here"


async def test_a_broadcast_leaves_out_who_does_not_take_udp(join):
    one, other, deaf = await join("one"), await join("other"), await join("deaf", protocols=["tcp"])
    await met(one, other, deaf)
    told = await one.broadcast("hello", protocols=UDP)
    assert [service.name for service in told] == ["other"]
    with pytest.raises(NoRoute, match="cannot be reached by"):
        await one.send("hello", resolve="deaf", protocols=UDP)


async def test_questions_and_answers_travel_it_as_well(join):
    one, other = await join("one"), await join("other")
    await met(one, other)
    answers = await one.query("who", protocols=UDP)
    assert list(answers.values()) == [["other", "udp"]]


async def test_an_answer_too_large_for_a_datagram_takes_a_link(join):
    one, other = await join("one"), await join("other")
    await met(one, other)
    answers = await one.query("large", protocols=UDP)
    assert list(answers.values()) == ["x" * 5000]


async def test_what_does_not_fit_a_datagram_is_refused_with_the_size_that_does(join):
    one, other = await join("one"), await join("other")
    await met(one, other)
    with pytest.raises(MessageTooLarge, match=r"1200 bytes; udp takes 1\d\d\d"):
        await one.send(b"x" * 1200, resolve="other", protocols=UDP)
    with pytest.raises(MessageTooLarge):
        one.query(b"x" * 1200, protocols=UDP)
    with pytest.raises(MessageTooLarge):
        await one.broadcast(b"x" * 1200, protocols=UDP)


async def test_the_largest_that_fits_arrives(join):
    one, other = await join("one"), await join("other")
    await met(one, other)
    with pytest.raises(MessageTooLarge) as refused:
        await one.send(b"x" * 1200, resolve="other", protocols=UDP)
    room = int(str(refused.value).split()[-1])
    await one.send(b"x" * room, resolve="other", protocols=UDP)
    data, protocol, _ = await other.heard.get()
    assert (len(data), protocol) == (room, "udp")


async def test_with_another_protocol_named_as_well_a_link_is_used(join):
    one, other = await join("one"), await join("other")
    await met(one, other)
    await one.send(b"x" * 5000, resolve="other", protocols=["udp", "tcp"])
    assert (await other.heard.get())[1] == "tcp"


async def test_it_is_the_last_resort_where_no_link_opens(join):
    """The member that offers nothing else has no links at all."""
    one, other = await join("one"), await join("other", protocols=UDP)
    await met(one, other)
    await one.send("hello", resolve="other")
    assert await other.heard.get() == ("hello", "udp", "one")
    assert one.dropped["messages sent by udp as a last resort"] == 1
    await eventually(lambda: not one.undelivered)  # the other one confirms it
    assert "messages by udp that were not confirmed" not in one.dropped


async def test_one_after_the_other_all_arrive_on_a_host_that_loses_nothing(join):
    one, other = await join("one"), await join("other")
    await met(one, other)
    for number in range(200):
        await one.send(number, resolve="other", protocols=UDP)
    got = [(await other.heard.get())[0] for _ in range(200)]
    assert sorted(got) == list(range(200))


def test_it_has_no_options(tmp_path):
    context = Context("default", bytes(16), True, tmp_path, {"port": 1})
    with pytest.raises(ConfigError, match="no option port"):
        UdpHandler(context)
