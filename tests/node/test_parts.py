"""Large messages in parts; what a sender lies in them is refused before anything is allocated."""

import tracemalloc

import pytest
from msgspec.structs import replace

from meshcluster.errors import DecodeError
from meshcluster.node.parts import PART_BYTES, Arriving, Cut, is_asked
from meshcluster.wire.frames import Answer, Event, Note, Part, Question, Request

MESSAGES = [
    Event(3, 1, b""), Note("box", 3, 1, b""), Question(1, 3, 1, b""),
    Request(1, "box", 3, 1, b""), Answer(1, 0, 3, 1, b""),
]  # fmt: skip


def of_size(message, size):
    return replace(message, body=bytes(size))


def parts_of(message):
    cut, parts = Cut(message), []
    while not cut.over:
        parts.append(cut.part(len(parts) + 1, 0, 0))
    return parts


def arriving(limit=10 * PART_BYTES):
    return Arriving(limit)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("size", [1, PART_BYTES, PART_BYTES + 1, 10 * PART_BYTES])
def test_any_message_is_put_together_as_it_was(message, size):
    message, end = of_size(message, size), arriving()
    parts = parts_of(message)
    assert [end.add(part, 70_000) for part in parts[:-1]] == [None] * (len(parts) - 1)
    assert end.add(parts[-1], 70_000) == (message, 70_000 * len(parts))


def test_only_events_and_notes_keep_their_order():
    assert [is_asked(each) for each in MESSAGES] == [False, False, True, True, True]


def test_one_that_is_told_and_one_that_is_asked_may_come_one_among_the_other():
    end, told, asked = arriving(), of_size(MESSAGES[0], 150_000), of_size(MESSAGES[2], 150_000)
    both = zip(parts_of(told), parts_of(asked), strict=True)
    whole = [end.add(part, 1) for pair in both for part in pair]
    assert [each[0] for each in whole if each] == [told, asked]


def first(left=10, data=b"x", asked=False, begins=MESSAGES[0]):
    return Part(1, 0, 0, asked, begins, left, data)


def later(left=9, data=b"x", asked=False):
    return Part(2, 0, 0, asked, None, left, data)


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ([later()], "a part of no message"),
        ([first(), later(asked=True)], "a part of no message"),
        ([first(), first()], "begins before the last message has ended"),
        ([first(), later(left=8)], "does not follow"),
        ([first(), later(left=10)], "does not follow"),
        ([first(left=1), later(left=0, data=b"xx")], "does not follow"),
        ([first(left=1), later(left=-1, data=b"xx")], "does not follow"),
        ([first(data=b"")], "an empty part"),
        ([first(), later(left=10, data=b"")], "an empty part"),
        ([first(left=-1)], "an oversized message"),
        ([first(left=10 * PART_BYTES)], "an oversized message"),
        ([first(left=2**70)], "an oversized message"),
        ([first(asked=True)], "begins no message"),
        ([first(begins=MESSAGES[2])], "begins no message"),
        ([first(begins=Event(0, 1, b"body"))], "begins no message"),
    ],
)  # fmt: skip
def test_a_part_that_cannot_be_is_refused(parts, why):
    end = arriving()
    for part in parts[:-1]:
        assert end.add(part, 1) is None
    with pytest.raises(DecodeError, match=why):
        end.add(parts[-1], 1)


def test_a_declared_length_allocates_nothing():
    tracemalloc.start()
    end = Arriving(2**40)
    end.add(first(left=2**39), 1)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held <= peak < 100_000
