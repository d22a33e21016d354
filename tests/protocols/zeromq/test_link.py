"""What both ends of a link keep: whole messages, in order, one end."""

import asyncio

import pytest

from meshcluster.protocols.zeromq import link as links
from meshcluster.protocols.zeromq.link import END, FRAMES, ZeromqLink

from .conftest import Receiver, soon


class Bench(ZeromqLink):
    """A link whose connection has as much room as the test gives it."""

    def __init__(self):
        super().__init__(remote="", local=True)
        self.room, self.sent, self.released = 100, [], 0

    def _transmit(self, parts):
        if len(self.sent) >= self.room:
            return False
        self.sent.append(parts)
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
    assert link.sent == [(FRAMES, b"a", b"")]


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
    assert link.sent == [(FRAMES, b"a"), (FRAMES, b"b"), (FRAMES, b"c")]


async def test_close_sends_the_end_after_what_waits_and_takes_nothing_more(link):
    receiver = receiver_of(link)
    link.room = 0
    link.send([b"last"])
    link.close()
    link.send([b"too late"])
    link.arrived([FRAMES, b"unheard"])
    link.room = 9
    link.flush()
    assert link.sent == [(FRAMES, b"last"), (END,)]
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
    link.arrived([FRAMES, b"hello", b"x" * 100])
    assert not receiver.lost.is_set()
    link.arrived([FRAMES, b"x" * 101])
    assert receiver.fault
