"""Frames over any byte stream: a length before each, whole frames out, bounded buffers."""

import asyncio
import socket
import struct

import pytest

from meshcluster.protocols import StreamLink, memfd
from meshcluster.protocols.ring import LARGE_BYTES
from meshcluster.wire import notices
from meshcluster.wire.codec import preface
from meshcluster.wire.frames import Event, Events
from meshcluster.wire.split import encode_split


class Receiver:
    """Keeps what a link pushes into it."""

    def __init__(self, limit_bytes=1_000_000):
        self.limit_bytes = limit_bytes
        self.frames = asyncio.Queue()
        self.reads = []
        self.paused, self.resumed = asyncio.Event(), asyncio.Event()
        self.lost = asyncio.Event()
        self.reasons = []

    def frames_received(self, frames):
        self.reads.append(len(frames))
        for frame in frames:
            self.frames.put_nowait(bytes(frame))

    def pause_sending(self):
        self.paused.set()

    def resume_sending(self):
        self.resumed.set()

    def link_lost(self, reason, *, fault=False):
        self.reasons.append(reason)
        self.fault = fault
        self.lost.set()


@pytest.fixture
async def connect():
    """A link over one end of a socket pair; gives the other end, to speak bytes with."""
    theirs = []

    async def connect(receiver, *, local=False):
        ours, other = socket.socketpair()
        other.setblocking(False)
        theirs.append(other)
        _, link = await asyncio.get_running_loop().create_connection(
            lambda: StreamLink(lambda link: receiver, local=local), sock=ours
        )
        links.append((link, receiver))
        return link, other

    links = []
    yield connect
    for other in theirs:
        other.close()
    for link, receiver in links:
        link.abort()
        if receiver is not None:
            await soon(receiver.lost.wait())


def soon(awaitable):
    return asyncio.wait_for(awaitable, 10)


def framed(*frames):
    return b"".join(struct.pack(">I", len(frame)) + frame for frame in frames)


async def test_a_frame_travels_behind_its_length_in_four_bytes(connect):
    link, other = await connect(Receiver())
    link.send([b"one", b""])
    received = await soon(asyncio.get_running_loop().sock_recv(other, 100))
    assert received == b"\0\0\0\3one\0\0\0\0"


async def test_frames_of_one_read_come_in_one_call(connect):
    receiver = Receiver()
    _, other = await connect(receiver)
    other.send(framed(b"a", b"b", b"c"))
    assert [await soon(receiver.frames.get()) for _ in "abc"] == [b"a", b"b", b"c"]
    assert receiver.reads == [3]


async def test_a_frame_in_pieces_is_delivered_whole(connect):
    receiver = Receiver()
    _, other = await connect(receiver)
    for byte in framed(b"slow"):
        await soon(asyncio.get_running_loop().sock_sendall(other, bytes([byte])))
        await asyncio.sleep(0)
    assert await soon(receiver.frames.get()) == b"slow"
    assert receiver.reads == [1]


async def test_a_length_over_the_limit_ends_the_link_before_its_bytes_come(connect):
    receiver = Receiver(limit_bytes=100)
    _, other = await connect(receiver)
    other.send(framed(b"x" * 100))
    assert await soon(receiver.frames.get()) == b"x" * 100
    other.send(struct.pack(">I", 101))
    await soon(receiver.lost.wait())
    assert "101 bytes is over 100" in receiver.reasons[0]
    assert receiver.fault


async def test_a_limit_that_grows_with_a_frame_counts_for_the_next_in_the_same_read(connect):
    class Growing(Receiver):
        def frames_received(self, frames):
            self.limit_bytes = 100_000
            super().frames_received(frames)

    receiver = Growing(limit_bytes=10)
    _, other = await connect(receiver)
    other.send(framed(b"hello", b"y" * 50_000))
    assert await soon(receiver.frames.get()) == b"hello"
    assert await soon(receiver.frames.get()) == b"y" * 50_000


async def test_garbage_is_a_length_over_the_limit(connect):
    receiver = Receiver()
    _, other = await connect(receiver)
    other.send(b"GET / HTTP/1.1\r\n\r\n")
    await soon(receiver.lost.wait())
    assert receiver.frames.empty()


async def test_who_does_not_read_pauses_the_sender_until_he_reads(connect):
    receiver = Receiver()
    link, other = await connect(receiver)
    frames = [b"z" * 1_000_000] * 4
    link.send(frames)
    await soon(receiver.paused.wait())
    received = bytearray()
    while len(received) < len(framed(*frames)):
        received += await soon(asyncio.get_running_loop().sock_recv(other, 1_000_000))
    await soon(receiver.resumed.wait())
    assert received == framed(*frames)


async def test_a_link_nobody_wants_is_aborted(connect):
    _, other = await connect(None)
    assert await soon(asyncio.get_running_loop().sock_recv(other, 1)) == b""


async def test_the_end_of_the_stream_is_told_once(connect):
    receiver = Receiver()
    link, other = await connect(receiver)
    other.close()
    await soon(receiver.lost.wait())
    link.close()
    link.abort()
    await asyncio.sleep(0)
    assert receiver.reasons == ["closed by the other end"]
    assert not receiver.fault


async def test_half_a_frame_at_the_end_is_dropped(connect):
    receiver = Receiver()
    _, other = await connect(receiver)
    other.send(framed(b"whole") + framed(b"half")[:-2])
    other.close()
    await soon(receiver.lost.wait())
    assert receiver.frames.get_nowait() == b"whole"
    assert receiver.frames.empty()


async def test_a_link_of_this_machine_has_no_remote_address(connect):
    link, _ = await connect(Receiver(), local=True)
    assert (link.local, link.remote) == (True, "")


# --- memory that both ends share ---------------------------------------------------------------

PREFACE = preface()
LARGE = b"L" * (LARGE_BYTES + 1)
shares_memory = pytest.mark.skipif(not memfd.AVAILABLE, reason="no anonymous memory here")


@pytest.fixture
async def introduced():
    """Two links over the ends of one socket pair, which have told each other their prefaces."""
    links = []

    async def introduced(first=PREFACE, *, local=True):
        for end in socket.socketpair():
            receiver = Receiver()
            _, link = await asyncio.get_running_loop().create_connection(
                lambda receiver=receiver: StreamLink(lambda link: receiver, local=local), sock=end
            )
            links.append((link, receiver))
        for link, _ in links:
            link.send([first])
        for _, receiver in links:
            assert await soon(receiver.frames.get()) == first
        return links

    yield introduced
    for link, receiver in links:
        link.abort()
        await soon(receiver.lost.wait())


async def sent(link, receiver, frame):
    link.send([frame])
    assert await soon(receiver.frames.get()) == frame


async def shared(links):
    """Has the first link share memory with the second, and the second open it."""
    (one, back), (two, receiver) = links
    await sent(one, receiver, LARGE)
    await sent(two, back, b"behind the answer")
    assert one._ring.descriptor() == -1
    return one, receiver


@shares_memory
async def test_large_frames_go_through_memory_and_arrive_in_their_turn(introduced):
    one, receiver = await shared(await introduced())
    frames = [b"before", LARGE, b"between", LARGE * 3, LARGE, b"behind"]
    one.send(frames)
    assert [await soon(receiver.frames.get()) for _ in frames] == frames
    assert len(one._ring._room) == 3


@shares_memory
async def test_frames_in_pieces_arrive_in_pieces_through_memory(introduced):
    one, receiver = await shared(await introduced())
    split = encode_split(Events(1, 0, 0, [Event(0, 1, LARGE)]))
    one.send([split])
    assert await soon(receiver.frames.get()) == bytes(split)
    assert len(one._ring._room) == 1


@pytest.mark.parametrize("size", [len(LARGE), 200_000])
async def test_over_a_socket_the_two_pieces_are_one_frame(connect, size):
    link, other = await connect(Receiver())
    split = encode_split(Events(1, 0, 0, [Event(0, 1, bytes(size))]))
    link.send([split, b"behind"])
    expected, received = framed(bytes(split), b"behind"), bytearray()
    while len(received) < len(expected):
        received += await soon(asyncio.get_running_loop().sock_recv(other, 1_000_000))
    assert received == expected


@shares_memory
async def test_credit_comes_with_what_is_sent_back(introduced):
    links = await introduced()
    one, receiver = await shared(links)
    await sent(one, receiver, LARGE)
    assert len(one._ring._room) == 1
    await sent(links[1][0], links[0][1], b"something back")
    assert len(one._ring._room) == 0


@shares_memory
async def test_many_arrive_also_when_nothing_is_sent_back(introduced):
    one, receiver = await shared(await introduced())
    for number in range(4 * memfd.RING_BYTES // len(LARGE)):
        await sent(one, receiver, bytes([number % 256]) * len(LARGE))
    assert len(one._ring._room) < memfd.RING_BYTES // len(LARGE)


@shares_memory
async def test_more_than_fits_goes_by_the_socket_in_its_turn(introduced):
    one, receiver = await shared(await introduced())
    frames = [bytes([number]) * 500_000 for number in range(20)]
    one.send(frames)
    assert [await soon(receiver.frames.get()) for _ in frames] == frames


@pytest.mark.parametrize(
    ("first", "local"), [(preface(takes=0), True), (preface(), False)], ids=["old", "remote"]
)
async def test_who_does_not_take_notices_or_may_be_elsewhere_gets_none(introduced, first, local):
    (one, _), (_, receiver) = await introduced(first, local=local)
    for _ in range(3):
        await sent(one, receiver, LARGE)
    assert one._ring is None


@shares_memory
async def test_a_lie_about_memory_is_a_fault_of_the_link(connect):
    receiver = Receiver()
    _, other = await connect(receiver, local=True)
    other.send(framed(preface()) + notices.place(100, 0))
    await soon(receiver.lost.wait())
    assert receiver.fault
    assert "outside of the memory" in receiver.reasons[0]
