"""What knocks at a shared port and is another mesh's gets there, with the address it came from."""

import asyncio
import socket
from types import SimpleNamespace

import msgspec
import pytest

from meshcluster.announcers.neighbours import MOST_A_SECOND, PASSED, Neighbours, passed
from meshcluster.announcers.rendezvous import RendezvousAnnouncer
from meshcluster.wire import codec
from meshcluster.wire.frames import Beacon
from meshcluster.wire.sealed import MAGIC

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="needs UNIX sockets")

PLACE = {"address": "239.1.2.3", "port": 5}
SOURCE = ("10.0.0.7", 4711)


class Receiver:
    def __init__(self):
        self.heard = asyncio.Queue()

    def datagram_received(self, data, source):
        self.heard.put_nowait((data, source))

    def known(self):
        return ()


def beacon(cluster):
    return codec.encode_datagram(Beacon(cluster, bytes(16), 1, 1, bytes(8), ()))


@pytest.fixture
def neighbours(runtime_dir):
    return Neighbours(runtime_dir, cluster="ours", **PLACE)


@pytest.fixture
async def theirs(runtime_dir):
    """A member of another mesh on this host."""
    meeting = RendezvousAnnouncer(runtime_dir, cluster="theirs", member_id=bytes(16), **PLACE)
    await meeting.open()
    receiver = Receiver()
    meeting.start(receiver)
    yield receiver
    meeting.close()


async def test_what_is_theirs_gets_there(neighbours, theirs):
    assert neighbours.pass_on(beacon("theirs"), SOURCE)
    async with asyncio.timeout(5):
        assert await theirs.heard.get() == (beacon("theirs"), SOURCE)


async def test_what_is_ours_malformed_or_nobodys_is_not_passed_on(neighbours, theirs):
    for data in (beacon("ours"), b"nonsense", beacon("nobody's")):
        assert not neighbours.pass_on(data, SOURCE)
    assert theirs.heard.empty()


async def test_whose_a_sealed_one_is_nobody_can_tell_so_each_mesh_gets_it(neighbours, theirs):
    """And we take it too, for it may be ours."""
    sealed = MAGIC + bytes(60)
    assert not neighbours.pass_on(sealed, SOURCE)
    async with asyncio.timeout(5):
        assert await theirs.heard.get() == (sealed, SOURCE)


async def test_a_flood_of_sealed_ones_is_not_passed_on(neighbours, theirs, monkeypatch):
    clock = SimpleNamespace(monotonic=lambda: 7.0)
    monkeypatch.setattr("meshcluster.announcers.neighbours.time", clock)
    for number in range(1000):
        neighbours.pass_on(MAGIC + number.to_bytes(60, "big"), SOURCE)
        await asyncio.sleep(0)  # they are read meanwhile
    assert neighbours.pass_on(beacon("theirs"), SOURCE)  # the last that comes
    heard = 0
    async with asyncio.timeout(5):
        while (await theirs.heard.get())[0] != beacon("theirs"):
            heard += 1
    assert 0 < heard <= MOST_A_SECOND


@pytest.mark.parametrize(
    "wrapped",
    [("10.0.0.7", 0, b""), ("10.0.0.7", 65536, b""), ("a.name", 5, b""), (b"\xff", 5, b""), ()],
)
def test_what_no_neighbour_passes_on_is_nothing(wrapped):
    assert passed(PASSED + msgspec.msgpack.encode(wrapped)) is None


def test_a_link_local_address_keeps_its_interface():
    wrapped = ("fe80::1%eth0", 5, b"data")
    assert passed(PASSED + msgspec.msgpack.encode(wrapped)) == (b"data", ("fe80::1%eth0", 5))
    assert passed(beacon("ours")) is passed(PASSED) is None
