"""Large frames by shared memory: where both ends can, as long as there is room."""

import os
import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from meshcluster.errors import DecodeError
from meshcluster.protocols import memfd
from meshcluster.protocols.ring import LARGE_BYTES, Ring
from meshcluster.wire import notices
from meshcluster.wire.codec import encode_frame
from meshcluster.wire.frames import Event, Events
from meshcluster.wire.split import Split, encode_split

pytestmark = pytest.mark.skipif(not memfd.AVAILABLE, reason="no anonymous memory here")

LIMIT = 1024 * 1024
FRAME = b"x" * LARGE_BYTES


class Pair:
    """Two ends, and what each wrote on the socket by itself."""

    def __init__(self, *, pid=None):
        self.said, self.answered = [], []
        self.one = Ring(pid or os.getpid(), self.said.append)
        self.two = Ring(pid or os.getpid(), self.answered.append)

    def settle(self):
        """What was said arrives."""
        while self.said or self.answered:
            if self.said:
                self.two.take(memoryview(self.said.pop(0)), LIMIT)
            if self.answered:
                self.one.take(memoryview(self.answered.pop(0)), LIMIT)

    def send(self, frame):
        """From one to two; None: by the socket."""
        notice = self.one.place(frame)
        return None if notice is None else self.two.take(memoryview(notice), LIMIT)

    def credit(self):
        self.one.take(memoryview(self.two.credit()), LIMIT)


@pytest.fixture
def pair():
    made = Pair()
    yield made
    made.one.close()
    made.two.close()


@pytest.fixture
def opened(pair):
    """Two ends, one of which has offered memory that the other has."""
    assert pair.send(FRAME) is None
    pair.settle()
    return pair


def test_the_first_goes_by_the_socket_and_offers_memory(pair):
    assert pair.send(FRAME) is None
    assert pair.send(FRAME) is None
    assert [notices.read(said)[0] for said in pair.said] == [notices.OFFER]


def test_from_the_answer_on_frames_lie_in_the_memory(opened):
    assert opened.send(FRAME) == FRAME
    assert opened.one.descriptor() == -1  # nobody else can open it any more


def test_of_a_frame_in_pieces_the_bodies_lie_there(opened):
    frame = Events(1, 0, 0, [Event(0, 1, bytes([n]) * (40_000 + n)) for n in range(1, 5)])
    sent = encode_split(frame)
    assert len(opened.one.place(sent)) < 200
    taken = opened.send(sent)
    assert (type(taken), taken.frame(), len(taken)) == (Split, frame, len(encode_frame(frame)))


def test_each_direction_has_its_own(opened):
    assert opened.two.place(FRAME) is None
    opened.settle()
    notice = opened.two.place(b"back" * 10_000)
    assert opened.one.take(memoryview(notice), LIMIT) == b"back" * 10_000


def test_what_changes_after_it_was_taken_is_not_what_was_taken(opened):
    taken = opened.send(FRAME)
    opened.one._memory.view[:] = bytes(memfd.RING_BYTES)
    assert taken == FRAME


def test_without_credit_the_room_ends_and_with_it_comes_back(opened):
    count = 0
    while opened.send(FRAME) is not None:
        count += 1
    assert count == memfd.RING_BYTES // LARGE_BYTES
    opened.credit()
    assert opened.send(FRAME) == FRAME


def test_credit_is_urgent_when_a_quarter_of_the_room_is_owed(opened):
    for _ in range(memfd.RING_BYTES // 4 // LARGE_BYTES):
        opened.send(FRAME)
    assert not opened.two.credit_urgent
    opened.send(FRAME)
    assert opened.two.credit_urgent
    opened.credit()
    assert not opened.two.credit_urgent


def test_who_cannot_open_it_says_so_once_and_all_goes_by_the_socket():
    nobody = Pair(pid=2**22 + 1)
    for _ in range(3):
        assert nobody.send(FRAME) is None
        nobody.settle()
    assert nobody.one._memory is None
    nobody.one.close()
    nobody.two.close()


@settings(max_examples=50, deadline=None)
@given(some.lists(some.tuples(some.integers(1, LIMIT), some.booleans()), max_size=40))
def test_frames_of_any_size_arrive_as_they_were_or_go_by_the_socket(steps):
    pair = Pair()
    pair.send(FRAME)
    pair.settle()
    for number, (size, credit) in enumerate(steps):
        frame = bytes([number]) * size
        assert pair.send(frame) in (frame, None)
        if credit and pair.two.owed:
            pair.credit()
            assert pair.send(frame) == frame
    pair.one.close()
    pair.two.close()


def end():
    return memoryview(notices.place(100, memfd.RING_BYTES - 99))


HOSTILE = {
    "outside": (end(), "outside of the memory"),
    "far outside": (memoryview(notices.place(100, 2**32 - 1)), "outside of the memory"),
    "oversized": (memoryview(notices.place(LIMIT + 1, 0)), "oversized frame"),
    "empty": (memoryview(notices.place(0, 0)), "oversized frame"),
    "credit for nothing": (memoryview(notices.credit(1)), "credit for what is not held: 1 of 0"),
    "bodies of no frame": (memoryview(notices.place(100, 0, (100,))), "bodies that are not"),
    "a frame of no bodies": (memoryview(notices.place(100, 0, (), b"head")), "bodies that are not"),
    "more bodies than it is long": (
        memoryview(notices.place(100, 0, (60, 60), b"head")),
        "bodies that are not",
    ),
    "an answer to nothing": (memoryview(notices.answer(opened=True)), "an answer to no offer"),
    "a second offer": (memoryview(notices.offer(3, 4096, bytes(16))), "a second offer"),
}


@pytest.mark.parametrize(("notice", "why"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_lie_ends_the_link(opened, notice, why):
    with pytest.raises(DecodeError, match=why):
        opened.two.take(notice, LIMIT)


def test_a_place_where_there_is_no_memory_ends_the_link(pair):
    with pytest.raises(DecodeError, match="outside of the memory"):
        pair.two.take(memoryview(notices.place(100, 0)), LIMIT)


def test_the_same_place_again_and_again_ends_the_link_before_it_costs_memory(opened):
    notice = memoryview(notices.place(LIMIT, 0))
    for _ in range(memfd.RING_BYTES // LIMIT):
        opened.two.take(notice, LIMIT)
    with pytest.raises(DecodeError, match="more frames than the memory holds"):
        opened.two.take(notice, LIMIT)


@settings(max_examples=200, deadline=None)
@given(
    some.integers(0x80, 0x83), some.integers(0, 2**24 - 1), some.binary(min_size=24, max_size=24)
)
def test_any_notice_is_taken_or_refused(kind, number, rest):
    pair = Pair()
    pair.send(FRAME)
    pair.settle()
    notice = struct.pack(">I", kind << 24 | number) + rest
    with suppress(DecodeError):
        size = notices.size_of(memoryview(notice))
        if size <= len(notice):  # or the splitter waits for more
            pair.two.take(memoryview(notice)[:size], LIMIT)
    pair.one.close()
    pair.two.close()


def test_both_let_go_of_everything(opened):
    before = len(os.listdir("/proc/self/fd"))
    opened.one.close()
    opened.two.close()
    opened.one.close()
    assert len(os.listdir("/proc/self/fd")) == before - 2
    assert opened.one.place(FRAME) is None
