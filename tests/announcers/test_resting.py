"""A socket by which too much comes rests for a moment, and others get their turn."""

import asyncio
import socket

import pytest

from meshcluster.announcers.base import READS_A_TURN
from meshcluster.announcers.door import DoorAnnouncer
from meshcluster.announcers.multicast import MulticastAnnouncer
from meshcluster.announcers.resting import REST_SECONDS, Resting


class Full:
    """Counts datagrams and finds them too many."""

    def __init__(self):
        self.came = 0
        self.enough = asyncio.Event()

    def datagram_received(self, data, source):
        self.came += 1
        if self.came > 2 * READS_A_TURN:
            self.enough.set()
        return False

    def datagram_refused(self, address):
        """Nobody minds."""


@pytest.fixture
def ends():
    one, other = socket.socketpair(type=socket.SOCK_DGRAM)
    with one, other:
        yield one, other


async def test_it_is_watched_again_after_a_moment_and_not_before(ends):
    loop, watched = asyncio.get_running_loop(), asyncio.Event()
    resting = Resting(lambda source: watched.set())
    began = loop.time()
    resting.begin(loop, ends[0], began)
    assert ends[0] in resting
    await asyncio.wait_for(watched.wait(), 10)
    assert loop.time() - began >= REST_SECONDS * 0.99
    assert ends[0] not in resting


async def test_who_took_long_rests_longer(ends):
    loop, watched = asyncio.get_running_loop(), asyncio.Event()
    resting = Resting(lambda source: watched.set())
    began = loop.time()
    resting.begin(loop, ends[0], began - 0.003)
    await asyncio.wait_for(watched.wait(), 10)
    assert loop.time() - began >= 0.05


async def test_what_is_closed_meanwhile_is_not_watched_again(ends):
    resting = Resting(lambda source: pytest.fail("it is closed"))
    resting.begin(asyncio.get_running_loop(), ends[0], 0.0)
    resting.forget(ends[0])
    resting.forget(ends[0])
    await asyncio.sleep(0)
    assert ends[0] not in resting


@pytest.mark.parametrize("kind", [MulticastAnnouncer, DoorAnnouncer])
async def test_a_flooded_announcer_goes_on_reading_after_its_rests(kind, beacon_port):
    receiver = Full()
    made = kind(*(("239.255.77.67",) if kind is MulticastAnnouncer else ()), beacon_port, 0)
    await made.open()
    try:
        made.start(receiver)
        port = made.port or beacon_port
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flooder:
            while not receiver.enough.is_set():
                for _ in range(READS_A_TURN):
                    flooder.sendto(b"junk", ("127.0.0.1", port))
                await asyncio.sleep(0)
    finally:
        made.close()
    assert receiver.came > 2 * READS_A_TURN
