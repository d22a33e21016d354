"""What both ends of a link keep: whole messages, in order, one end."""

import asyncio

import pytest

from meshcluster.protocols.zeromq import link as links
from meshcluster.protocols.zeromq.link import END, FRAMES, MESSAGE_BYTES, ZeromqLink

from .conftest import Receiver, message, soon


class Bench(ZeromqLink):
    """A link whose connection has as much room as the test gives it."""

    def __init__(self):
        super().__init__(remote="", local=True)
        self.room, self.sent, self.released = 100, [], 0

    def _transmit(self, message):
        if len(self.sent) >= self.room:
            return False
        self.sent.append(message)
        return True

    def _release(self):
        self.released += 1


@pytest.fixture
async def link():
    made = Bench()
    made.open(Receiver)
    yield made
    made.end("the test is over")


def receiver_of(link):
    return link._receiver


async def test_one_write_is_one_message(link):
    link.send([b"a", b""])
    link.send([])
    assert link.sent == [message(b"a", b"")]


async def test_large_frames_of_one_write_have_messages_of_their_own(link):
    large = bytes(MESSAGE_BYTES - 3)
    link.send([b"a", large, b"b", b"c"])
    assert link.sent == [message(b"a"), message(large), message(b"b", b"c")]


async def test_what_finds_no_room_waits_in_order(link):
    receiver = receiver_of(link)
    link.room = 1
    for frame in (b"a", b"b", b"c"):
        link.send([frame])
    assert receiver.paused.is_set()
    link.room = 2
    link.flush()
    assert not receiver.resumed.is_set()
    link.room = 3
    link.flush()
    assert receiver.resumed.is_set()
    assert link.sent == [message(b"a"), message(b"b"), message(b"c")]


async def test_close_sends_the_end_after_what_waits_and_takes_nothing_more(link):
    receiver = receiver_of(link)
    link.room = 0
    link.send([b"last"])
    link.close()
    link.send([b"too late"])
    link.arrived([message(b"unheard")])
    link.room = 9
    link.flush()
    assert link.sent == [message(b"last"), END]
    assert receiver.frames.empty()
    link.arrived([END])
    assert receiver.reason == "closed"


async def test_who_does_not_answer_the_end_is_cut_off(monkeypatch):
    monkeypatch.setattr(links, "CLOSE_SECONDS", 0.01)
    link = Bench()
    link.open(Receiver)
    receiver = receiver_of(link)
    link.close()
    await soon(receiver.lost.wait())
    assert receiver.reason == "closed, unread"


async def test_it_ends_once(link):
    receiver = receiver_of(link)
    link.abort()
    assert not receiver.lost.is_set(), "not before the call returns"
    link.arrived([END])
    link.close()
    for _ in range(3):
        await asyncio.sleep(0)
    assert (receiver.reason, link.released) == ("closed by the other end", 1)


async def test_a_limit_that_grows_counts_for_the_next_frame(link):
    receiver = receiver_of(link)
    receiver.limit_bytes = 5
    receiver.frames_received = lambda frames: setattr(receiver, "limit_bytes", 100)
    link.arrived([message(b"hello", b"x" * 100)])
    assert not receiver.lost.is_set()
    link.arrived([message(b"x" * 101)])
    assert receiver.fault


@pytest.mark.parametrize(
    "parts", [[FRAMES, b"more"], [END, b""], [b"\x02"], [b""], [END + b"x"]], ids=str
)
async def test_what_no_link_sends_is_a_fault(link, parts):
    receiver = receiver_of(link)
    link.arrived(parts)
    assert receiver.fault
    assert "foreign message" in receiver.reason


@pytest.mark.parametrize("lie", [b"\x00", b"\x00\x00\x00\x02x", b"\xff\xff\xff\xff"], ids=str)
async def test_a_length_that_lies_is_a_fault_and_what_came_before_it_counts(link, lie):
    receiver = receiver_of(link)
    link.arrived([message(b"good") + lie])
    assert await soon(receiver.frames.get()) == b"good"
    assert receiver.fault
    assert "malformed message" in receiver.reason
