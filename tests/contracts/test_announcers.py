"""What every announcer promises, ours and another package's alike: see
meshcluster/testing/announcers.py. An announcer that is added gets a class here.
"""

import asyncio
import sys

import pytest

from meshcluster.announcers import (
    MdnsAnnouncer,
    MulticastAnnouncer,
    RendezvousAnnouncer,
)
from meshcluster.config import DEFAULT_ADDRESS, ClusterConfig
from meshcluster.testing.announcers import AnnouncerContract
from meshcluster.testing.jumping import MemoryAnnouncer, VirtualMesh

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no UNIX sockets")


def group_of(context):
    address, _, port = context.group.partition(":")
    return address, int(port)


class TestMulticast(AnnouncerContract):
    def make(self, context):
        return MulticastAnnouncer(*group_of(context), context.ttl)


class TestRendezvous(AnnouncerContract):
    def make(self, context):
        address, port = group_of(context)
        return RendezvousAnnouncer(
            context.runtime_dir, cluster=context.cluster, address=address, port=port,
            member_id=context.member_id,
        )  # fmt: skip


class TestMdns(AnnouncerContract):
    hints = True

    def make(self, context):
        address, port = group_of(context)
        config = ClusterConfig(context.cluster, address=address, port=port, mdns=True)
        return MdnsAnnouncer(config, probed=context.port)


class TestMemory(AnnouncerContract):
    """That of simulated members; tests/testing/test_jumping.py has whole members with it."""

    test_members_that_it_is_all_they_have_meet_talk_and_part = None

    @pytest.fixture(autouse=True)
    def meshes(self):
        self.meshes = {}

    def make(self, context):
        place = context.group, context.cluster
        mesh = self.meshes.setdefault(place, VirtualMesh(1))
        return MemoryAnnouncer(mesh, context.port)


class HallAnnouncer:
    """All that another package writes: those of one process and event loop find each other."""

    port = 0
    hall = {}  # noqa: RUF012 - the network of this one

    def __init__(self, context):
        self.name = "here:" + context.member_id.hex()
        self.place = context.group, context.cluster
        self.receiver = None

    async def open(self):
        pass

    def start(self, receiver):
        self.receiver = receiver
        self.hall[self.name] = self

    def announce(self, data):
        for other in list(self.hall.values()):
            if other.place == self.place and self.receiver is not None:
                self.send(data, (other.name, 0))

    def reaches(self, address):
        return address[0] in self.hall

    def send(self, data, address):
        other = self.hall.get(address[0])
        if other is not None and self.receiver is not None:
            loop = asyncio.get_running_loop()
            loop.call_soon(other.arrived, data, (self.name, 0))

    def arrived(self, data, source):
        if self.receiver is not None:
            self.receiver.datagram_received(data, source)

    def close(self):
        self.receiver = None
        self.hall.pop(self.name, None)


class TestAnotherPackages(AnnouncerContract):
    name = "hall"

    @pytest.fixture(autouse=True)
    def installed(self, install):
        """Its package: its entry point names the class above."""
        install("hall", "meshcluster.announcers", "hall", f"{__name__}:HallAnnouncer")


# --- what ours promise besides ------------------------------------------------------------

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
