"""What every announcer promises."""

import asyncio
import sys

import pytest

from meshcluster.announcers import MulticastAnnouncer, RendezvousAnnouncer
from meshcluster.config import DEFAULT_ADDRESS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no UNIX sockets")
ANNOUNCEMENTS = 2
"""An announcer may leave a member's first announcement to others."""


class Receiver:
    def __init__(self):
        self.datagrams = asyncio.Queue()
        self.refusals = asyncio.Queue()

    def datagram_received(self, data, source):
        self.datagrams.put_nowait((data, source))

    def datagram_refused(self, address):
        self.refusals.put_nowait(address)

    def known(self):
        return []


@pytest.fixture(params=["multicast", "rendezvous"])
async def make(request, runtime_dir, beacon_port):
    """Makes announcers of one kind, for different members; all are closed at the end."""
    made = []

    def make():
        if request.param == "multicast":
            made.append(MulticastAnnouncer(DEFAULT_ADDRESS, beacon_port, 0))
        else:
            place = {"cluster": "default", "address": DEFAULT_ADDRESS, "port": beacon_port}
            member_id = bytes([len(made)] * 16)
            made.append(RendezvousAnnouncer(runtime_dir, member_id=member_id, **place))
        return made[-1]

    yield make
    for announcer in made:
        announcer.close()


@pytest.fixture
async def pair(make):
    """Two open announcers, and what they bring."""
    made = []
    for announcer in (make(), make()):
        await announcer.open()
        made.append((announcer, Receiver()))
    for announcer, receiver in made:
        announcer.start(receiver)
    return made


def soon(awaitable):
    return asyncio.wait_for(awaitable, 10)


async def beacon_source(sender, receiver):
    """The address where the announcements of one member come from, as another hears them."""
    for _ in range(ANNOUNCEMENTS):
        sender.announce(b"beacon")
    data, source = await soon(receiver.datagrams.get())
    assert data == b"beacon"
    return source


async def test_the_source_of_a_beacon_answers_for_its_member(pair):
    (one, hears_one), (two, hears_two) = pair
    source = await beacon_source(one, hears_two)
    assert two.reaches(source)
    two.send(b"who are you", source)
    while (heard := await soon(hears_one.datagrams.get()))[0] == b"beacon":
        pass  # its own copy
    assert heard[0] == b"who are you"
    one.send(b"I am one", heard[1])
    while (heard := await soon(hears_two.datagrams.get()))[0] == b"beacon":
        pass
    assert heard == (b"I am one", source)


async def test_an_oversized_datagram_shows_as_larger_than_any_of_ours(pair):
    (one, _), (two, hears) = pair
    source = await beacon_source(two, pair[0][1])
    one.send(b"x" * 9000, source)
    while len(heard := (await soon(hears.datagrams.get()))[0]) < 1000:
        pass
    assert len(heard) > 1200


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of every refusal")
async def test_an_address_where_nobody_listens_any_more_is_told(pair):
    (one, hears), (two, _) = pair
    source = await beacon_source(two, hears)
    two.close()
    one.send(b"are you there", source)
    assert await soon(hears.refusals.get()) == source


async def test_each_address_is_reached_by_one_kind_only(pair):
    (one, _), _ = pair
    assert isinstance(one, MulticastAnnouncer) == one.reaches(("10.0.0.1", 1))
    assert isinstance(one, MulticastAnnouncer) != one.reaches(("unix:0123456789abcdef", 0))


async def test_what_cannot_be_sent_is_lost_without_an_error(pair):
    (one, _), _ = pair
    for address in (("127.0.0.1", 99_999), ("unix:", 0), ("unix:0123456789abcdef", 0)):
        if one.reaches(address):
            one.send(b"lost", address)
    one.announce(b"x" * 100_000)


async def test_before_start_and_after_close_nothing_is_done(make):
    one = make()
    one.close()
    await one.open()
    one.announce(b"too early")
    receiver = Receiver()
    one.start(receiver)
    one.close()
    one.close()
    one.announce(b"too late")
    one.send(b"too late", ("unix:0123456789abcdef", 0))
    await asyncio.sleep(0)
    assert receiver.datagrams.empty()
