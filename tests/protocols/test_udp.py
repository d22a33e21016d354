"""Messages in datagrams, between real members: small, at most once, asked for by name."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from meshcluster import AsyncCluster
from meshcluster.errors import ConfigError, MessageTooLarge, NoRoute
from meshcluster.protocols import Context
from meshcluster.protocols.udp import UdpHandler

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


async def test_a_broadcast_by_udp_is_a_datagram_to_each(join):
    members = [await join(name) for name in ("one", "two", "three")]
    await met(*members)
    told = await members[0].broadcast("hello", protocols=UDP)
    assert sorted(service.name for service in told) == ["three", "two"]
    for member in members[1:]:
        assert await member.heard.get() == ("hello", "udp", "one")


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
