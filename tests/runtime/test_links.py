"""A member's links: small before the hello, large after it, replaced when they break."""

import asyncio

import msgspec
import pytest

from meshcluster.wire import codec
from meshcluster.wire.frames import Details, Hello
from meshcluster.wire.sealed import TAG_BYTES
from meshcluster.wire.splitter import HEADER
from tests.waiting import eventually

KNOCK = codec.preface(codec.SECURITY_NOISE)
"""How a link begins here; nothing is said to it."""


@pytest.fixture
async def knock(join, insider):
    """Opens bare TCP connections to a member; what is ``sealed`` goes after the handshake, as from
    another process of our user.
    """
    writers = []

    async def read(reader):
        (size,) = HEADER.unpack(await reader.readexactly(HEADER.size))
        return await reader.readexactly(size)

    async def knock(member, *frames, sealed=()):
        finder = await join("finder")
        (service,) = await finder.wait_for_services(resolve=member.tags)
        (port,) = [e.props["port"] for e in service.endpoints if e.scheme == "tcp"]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writers.append(writer)
        entrance = insider.entrance()
        for frame in frames if not sealed else entrance.first():
            writer.write(HEADER.pack(len(frame)) + frame)
        for frame in sealed:
            while not entrance.passed:
                entrance.take(await soon(read(reader)))
            record = entrance.records.seal(frame)
            writer.write(HEADER.pack(len(record)) + record)
        return reader, writer

    yield knock
    for writer in writers:
        writer.close()
        try:
            await writer.wait_closed()
        except OSError:
            pass


def soon(awaitable):
    return asyncio.wait_for(awaitable, 10)


async def gone(reader):
    """Waits until the other end has ended the connection."""
    try:
        await soon(reader.read())
    except ConnectionResetError:
        pass


def abort_links(cluster):
    for end in list(cluster.joined._ends.values()):
        end.link.abort()


async def test_who_says_no_hello_is_put_out(join, knock):
    member = await join("member", limits={"hello_seconds": 0.05})
    reader, _ = await knock(member, KNOCK)
    await gone(reader)
    assert member.dropped["links without a hello"] == 1


async def test_links_without_a_hello_are_bounded(join, knock):
    member = await join("member", limits={"pending_links": 2})
    readers = [(await knock(member, KNOCK))[0] for _ in range(3)]
    await gone(readers[0])
    assert member.dropped["links beyond pending_links"] == 1
    assert not any(reader.at_eof() for reader in readers[1:])


async def test_before_the_hello_nothing_large_is_taken(join, knock):
    member = await join("member")
    reader, writer = await knock(member, KNOCK)
    writer.write(HEADER.pack(64 * 1024 + TAG_BYTES + 1))
    await gone(reader)
    assert [reason for reason in member.dropped if reason.startswith("links: oversized")]


@pytest.mark.parametrize(
    "lie",
    [
        {"port": 99_999},
        {"heartbeat_seconds": float("nan")},
        {"heartbeat_seconds": -1.0},
        {"name": "\x1b[2Jbell\a"},
        {"tags": ("x" * 1000,)},
        {"port": 0, "heartbeat_seconds": 1e-9},
    ],
    ids=["port", "no number", "negative", "name", "tags", "tiny"],
)
async def test_who_lies_in_its_hello_harms_nobody(join, knock, lie):
    member = await join("member", heartbeat_seconds=0.05, expire_seconds=1)
    finder = await join("honest")
    (service,) = await finder.wait_for_services(resolve="member")
    (honest,) = await member.wait_for_services()
    details = Details(1, "liar", "host", (), (), {}, 5000, 1.0)
    details = msgspec.structs.replace(details, **lie)
    hello = Hello("default", bytes(16), 7, service.key, "", 5, 0, 0, 0, details)
    await knock(member, sealed=[codec.encode_frame(hello)])
    sent = member.dropped.get("datagrams: own copies", 0)
    await eventually(lambda: member.dropped["datagrams: own copies"] > sent + 10)  # timers go on
    # Who lies well enough to be taken in is asked, and lost.
    await eventually(lambda: set(member.services) <= {honest, *member.resolve("finder")})
    assert honest in member.services


async def test_a_message_of_the_largest_size_passes_with_others_around_it(join):
    small = {"message_bytes": 1_000_000}
    one, other = await join("one", limits=small), await join("other", limits=small)
    await one.wait_for_services()
    heard = asyncio.Queue()
    other.hook("event")(heard.put_nowait)
    for body in (b"before", b"x" * 1_000_000, b"after"):
        await one.send(body, resolve="other")
    assert [len((await soon(heard.get())).data) for _ in range(3)] == [6, 1_000_000, 5]


@pytest.mark.parametrize("scheme", ["unix", "tcp", "zeromq"])
async def test_a_link_that_breaks_is_replaced_and_nothing_is_lost_or_doubled(join, scheme):
    one, other = [await join(tag, protocols=[scheme]) for tag in ("one", "other")]
    await one.wait_for_services()
    await other.wait_for_services()
    heard, lost = asyncio.Queue(), []
    other.hook("event")(heard.put_nowait)
    for cluster in (one, other):
        cluster.hook("service.lost")(lost.append)
    for number in range(200):
        await one.send(number, resolve="other")
        if number % 20 == 10:
            abort_links((one, other)[number // 20 % 2])
            await asyncio.sleep(0)
    assert [(await soon(heard.get())).data for _ in range(200)] == list(range(200))
    assert lost == []


async def test_answers_survive_the_link_they_were_asked_by(join):
    one, other = await join("one"), await join("other")
    await one.wait_for_services()
    asked, go = asyncio.Event(), asyncio.Event()

    @other.hook("query")
    async def respond(question):
        asked.set()
        await go.wait()
        return question.data

    query = one.query("still?")
    await soon(asked.wait())
    abort_links(one)
    abort_links(other)
    go.set()
    assert list((await soon(query.wait())).values()) == ["still?"]
