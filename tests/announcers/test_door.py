"""The door: the beacon port of this host hears unicast."""

import asyncio
import socket
import sys

import pytest

from meshcluster.announcers import DoorAnnouncer, MulticastAnnouncer
from meshcluster.config import DEFAULT_ADDRESS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the group's socket hears it")


class Receiver:
    def __init__(self):
        self.heard = asyncio.Queue()

    def datagram_received(self, data, source):
        self.heard.put_nowait((data, source))

    def datagram_refused(self, address):
        raise AssertionError("it sends nothing")

    def known(self):
        return ()


@pytest.fixture
async def doors(beacon_port):
    made = []

    async def door(ttl=0):
        door = DoorAnnouncer(beacon_port, ttl)
        made.append(door)
        await door.open()
        receiver = Receiver()
        door.start(receiver)
        return receiver

    yield door
    for each in made:
        each.close()
        each.close()


def knock(port, host="127.0.0.1"):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.bind((host, 0))
        sender.sendto(b"", (host, port))  # nothing, as who tries a port sends
        sender.sendto(b"knock", (host, port))
        return sender.getsockname()[:2]


async def heard(receiver):
    async with asyncio.timeout(5):
        return await receiver.heard.get()


@pytest.mark.parametrize("ttl", [0, 1])
async def test_it_hears_who_knocks_and_from_where(doors, beacon_port, ttl):
    receiver = await doors(ttl)
    source = knock(beacon_port)
    assert await heard(receiver) == (b"knock", source)


async def test_it_hears_ipv6_beyond_this_host(doors, beacon_port):
    receiver = await doors(1)
    try:
        source = knock(beacon_port, "::1")
    except OSError:
        pytest.skip("no IPv6 here")
    assert await heard(receiver) == (b"knock", source)


async def test_of_several_on_one_host_one_hears(doors, beacon_port):
    receivers = [await doors() for _ in range(3)]
    knock(beacon_port)
    tasks = [asyncio.create_task(heard(receiver)) for receiver in receivers]
    done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    assert len(done) == 1
    for task in others:
        task.cancel()
    await asyncio.wait(tasks)


async def test_it_does_not_hear_the_group(doors, beacon_port):
    receiver = await doors()
    group = MulticastAnnouncer(DEFAULT_ADDRESS, beacon_port, 0)
    await group.open()
    try:
        group.start(Receiver())
        group.announce(b"to all")
        knock(beacon_port)
        assert (await heard(receiver))[0] == b"knock"
    finally:
        group.close()


async def test_a_port_that_is_taken_leaves_no_door_and_no_error(doors, beacon_port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", beacon_port))
        await doors()
