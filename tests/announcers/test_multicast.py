"""Beacons on the group, unicast beside it, and nothing beyond this host at ttl=0."""

import asyncio
import errno
import os
import socket
import struct
import sys

import psutil
import pytest

from meshcluster import ConfigError
from meshcluster.announcers import MulticastAnnouncer, multicast, watching
from meshcluster.announcers.groups import LOOPBACK_WAY, Way, aim
from meshcluster.config import DEFAULT_ADDRESS

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
IP_MULTICAST_ALL, IP_RECVERR = 49, 11


class Receiver:
    def __init__(self):
        self.datagrams = asyncio.Queue()
        self.refusals = asyncio.Queue()

    def datagram_received(self, data, source):
        self.datagrams.put_nowait((data, source))

    def datagram_refused(self, address):
        self.refusals.put_nowait(address)


@pytest.fixture
async def announce(beacon_port):
    """Opens announcers that receive; all are closed at the end."""
    announcers = []

    async def announce(ttl=0):
        announcer = MulticastAnnouncer(DEFAULT_ADDRESS, beacon_port, ttl)
        announcers.append(announcer)
        await announcer.open()
        receiver = Receiver()
        announcer.start(receiver)
        return announcer, receiver

    yield announce
    for announcer in announcers:
        announcer.close()


def soon(awaitable):
    return asyncio.wait_for(awaitable, 10)


@pytest.fixture
def nobody():
    """An address of this host where nobody listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        address = probe.getsockname()
    return address


async def test_a_beacon_comes_from_the_port_that_answers_for_its_member(announce):
    announcer, receiver = await announce()
    announcer.announce(b"beacon")
    assert await soon(receiver.datagrams.get()) == (b"beacon", ("127.0.0.1", announcer.port))


async def test_every_member_of_the_host_hears_a_beacon(announce):
    (one, _), (_, hears), (_, hears_too) = [await announce() for _ in range(3)]
    one.announce(b"beacon")
    assert await soon(hears.datagrams.get()) == await soon(hears_too.datagrams.get())


async def test_a_datagram_reaches_one_address(announce):
    (one, hears_one), (two, hears_two) = await announce(), await announce()
    one.send(b"there", ("127.0.0.1", two.port))
    assert await soon(hears_two.datagrams.get()) == (b"there", ("127.0.0.1", one.port))
    two.send(b"back", ("127.0.0.1", one.port))
    assert await soon(hears_one.datagrams.get()) == (b"back", ("127.0.0.1", two.port))


async def test_an_oversized_datagram_shows_as_larger_than_any_of_ours(announce):
    one, receiver = await announce()
    one.send(b"x" * 9000, ("127.0.0.1", one.port))
    assert len((await soon(receiver.datagrams.get()))[0]) > 1200


@linux_only
async def test_a_refused_datagram_is_reported_with_its_address(announce, nobody):
    one, receiver = await announce()
    one.send(b"are you there", nobody)
    assert await soon(receiver.refusals.get()) == nobody


@linux_only
async def test_a_refusal_does_not_swallow_the_next_datagram_to_another(announce, nobody):
    (one, hears_one), (two, hears_two) = await announce(), await announce()
    for number in range(20):
        one.send(b"are you there", nobody)
        one.send(b"%d" % number, ("127.0.0.1", two.port))
    received = [await soon(hears_two.datagrams.get()) for _ in range(20)]
    assert [data for data, _ in received] == [b"%d" % number for number in range(20)]
    assert await soon(hears_one.refusals.get()) == nobody


async def test_an_address_that_cannot_be_sent_to_is_no_error(announce):
    one, _ = await announce()
    for address in (("127.0.0.1", 99_999), ("127.0.0.1", -1), ("255.255.255.255", 9)):
        one.send(b"lost", address)


async def test_at_ttl_0_the_own_port_is_on_loopback(announce):
    one, _ = await announce(ttl=0)
    udp = psutil.Process().net_connections("udp")
    assert [c.laddr.ip for c in udp if c.laddr.port == one.port] == ["127.0.0.1"]


@linux_only
async def test_at_ttl_0_sending_and_hearing_are_held_to_loopback(announce):
    one, _ = await announce(ttl=0)
    (own,), (group,) = one._own.values(), one._hearing.values()
    interface = struct.pack("4s", socket.inet_aton("127.0.0.1"))
    assert own.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL) == 0
    assert own.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, 4) == interface
    assert own.getsockopt(socket.IPPROTO_IP, IP_RECVERR) == 1
    assert group.getsockopt(socket.IPPROTO_IP, IP_MULTICAST_ALL) == 0
    assert group.getsockname()[0] == DEFAULT_ADDRESS


async def test_a_port_that_another_program_has_for_itself_is_named(announce, beacon_port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("", beacon_port))
        with pytest.raises(ConfigError, match=rf"port={beacon_port}.*another program.*choose"):
            await announce()


async def test_it_tells_what_a_forked_child_must_let_go_of(announce):
    announcer, _ = await announce()
    ports = set()
    for number in announcer.descriptors():
        with socket.socket(fileno=os.dup(number)) as copy:
            ports.add(copy.getsockname()[1])
    assert ports == {announcer.port, announcer._group[1]}
    announcer.close()
    assert list(announcer.descriptors()) == []


async def test_closing_is_idempotent_and_ends_all(announce):
    one, receiver = await announce()
    one.close()
    one.close()
    one.announce(b"into the void")
    one.send(b"into the void", ("127.0.0.1", 9))
    assert receiver.datagrams.empty()


async def test_beyond_this_host_loopback_hears_us_too(announce):
    (neighbour, hears_neighbour), (member, hears_member) = await announce(0), await announce(1)
    member.announce(b"beacon")
    assert await soon(hears_neighbour.datagrams.get()) == (b"beacon", ("127.0.0.1", member.port))
    neighbour.announce(b"beacon of the neighbour")
    while True:
        data, source = await soon(hears_member.datagrams.get())
        if data == b"beacon of the neighbour":
            break
    assert source == ("127.0.0.1", neighbour.port)


@pytest.mark.parametrize(
    "number",
    [errno.ENETUNREACH, errno.ENODEV, errno.EADDRNOTAVAIL, errno.ENETDOWN, errno.EPERM,
     errno.ENOBUFS, errno.EHOSTUNREACH],
)  # fmt: skip
async def test_a_way_that_fails_stops_no_other_and_is_tried_again(announce, number, monkeypatch):
    member, receiver = await announce(1)
    gone = Way("gone", 2**20, "192.0.2.77", True)
    member._ways = (gone, *member._ways)

    def aim_there(own, way):
        if way is gone:
            raise OSError(number, "as the system says")
        aim(own, way)

    monkeypatch.setattr(multicast, "aim", aim_there)
    for data in (b"one", b"two"):
        member.announce(data)
        while (await soon(receiver.datagrams.get()))[0] != data:
            pass
    monkeypatch.undo()
    changes = []
    member.changed = lambda: changes.append(True)
    member._interfaces_changed()
    assert changes == [True]


@linux_only
async def test_an_interface_that_comes_up_while_it_opens_is_used(beacon_port, monkeypatch):
    kernel, ours = socket.socketpair()
    ours.setblocking(False)
    monkeypatch.setattr(watching, "_netlink", lambda: ours)
    there = multicast.interfaces()
    looks = [[], there]

    def look():  # the kernel tells of the second state right after the first was seen
        if len(looks) == 2:
            kernel.send(b"a carrier has come")
            return looks.pop(0)
        return looks[0]

    monkeypatch.setattr(multicast, "interfaces", look)
    member = MulticastAnnouncer(DEFAULT_ADDRESS, beacon_port, 1)
    await member.open()
    changed = asyncio.Event()
    member.changed = changed.set
    assert member.used == ()
    member.start(Receiver())
    await soon(changed.wait())
    assert list(member._seen) == list(there)
    member.close()
    kernel.close()


async def test_interfaces_that_were_denied_get_no_beacon(beacon_port):
    member = MulticastAnnouncer(DEFAULT_ADDRESS, beacon_port, 1, chosen=["!*"])
    await member.open()
    assert all(each.is_loopback for each in member.used)
    assert all(each.reason for each in member.skipped)
    assert list(member._ways) == [LOOPBACK_WAY]
    member.close()


async def _refused_while_reading(announcer, receiver, nobody):
    """A refusal wakes the loop; before the socket's turn another callback takes what it tells, and
    a datagram is there to be read without an error.
    """
    (own, *_) = announcer._own.values()
    one, other = socket.socketpair()
    with one, other, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as somebody:
        somebody.bind(("127.0.0.1", 0))
        loop, there = asyncio.get_running_loop(), somebody.getsockname()
        loop.add_reader(other, lambda: (other.recv(1), announcer.send(b"on", there)))
        await asyncio.sleep(0)
        one.send(b"!")  # ready before the socket is
        announcer.send(b"to nobody", nobody)
        somebody.sendto(b"meanwhile", own.getsockname())
        assert (await soon(receiver.datagrams.get()))[0] == b"meanwhile"
        somebody.sendto(b"later", own.getsockname())
        try:
            assert (await soon(receiver.datagrams.get()))[0] == b"later"
        finally:
            loop.remove_reader(other)


@linux_only
def test_a_refusal_that_is_read_elsewhere_leaves_no_deaf_socket_in_uvloop(beacon_port, nobody):
    uvloop = pytest.importorskip("uvloop")

    async def run():
        announcer = MulticastAnnouncer(DEFAULT_ADDRESS, beacon_port, 0)
        await announcer.open()
        receiver = Receiver()
        announcer.start(receiver)
        try:
            await _refused_while_reading(announcer, receiver, nobody)
        finally:
            announcer.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
