"""Frames in pieces are the frames that they would be in one."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as some

from meshcluster.errors import DecodeError
from meshcluster.wire.codec import encode_frame
from meshcluster.wire.frames import (
    Ack,
    AckedEvent,
    Answer,
    Batch,
    Event,
    Events,
    Note,
    Part,
    Question,
    Request,
)
from meshcluster.wire.split import (
    HEAD_BYTES,
    MOST_BODIES,
    SPLIT_BYTES,
    Split,
    decode_any,
    encode_split,
)

LARGE = b"L" * (SPLIT_BYTES + 1)
MESSAGES = [
    Event(1, 2, LARGE), Question(7, 1, 2, LARGE), Answer(7, 0, 1, 2, LARGE),
    Note("box", 1, 2, LARGE), Request(7, "box", 1, 2, LARGE), AckedEvent(7, 1, 2, LARGE),
]  # fmt: skip
SMALL = Event(1, 2, b"small")
FRAMES = [
    Events(5, 3, 999, [MESSAGES[0]]),
    Events(5, 3, 999, [SMALL, MESSAGES[0], SMALL, Event(1, 2, LARGE * 3), SMALL]),
    Batch(5, 3, 999, [SMALL, *MESSAGES]),
    *(Batch(5, 3, 999, [message]) for message in MESSAGES),
    Part(5, 3, 999, True, None, 10, LARGE),
    Part(5, 3, 999, True, Request(7, "ü" * 64, 1, 2, b""), 10, LARGE),
]


@pytest.mark.parametrize("frame", FRAMES, ids=repr)
def test_the_pieces_say_what_the_whole_does(frame):
    split = encode_split(frame)
    assert type(split) is Split
    assert len(split.head) < HEAD_BYTES
    assert bytes(split) == encode_frame(frame)
    assert len(split) == len(bytes(split))
    assert decode_any(split) == decode_any(bytes(split)) == frame


def test_the_body_is_not_copied():
    assert encode_split(FRAMES[0]).bodies[0] is LARGE


@pytest.mark.parametrize("size", [0x100, 0xFFFF, 0x10000, 200_000])
def test_a_body_of_any_size_has_its_place(size):
    frame = Events(5, 3, 999, [Event(1, 2, bytes(size))])
    split = Split(encode_frame(Events(5, 3, 999, [Event(1, 2, b"")])), [bytes(size)])
    assert (bytes(split), len(split)) == (encode_frame(frame), len(encode_frame(frame)))
    assert split.frame() == frame


@pytest.mark.parametrize(
    "frame",
    [
        Events(5, 3, 999, [SMALL]),
        Events(5, 3, 999, [Event(1, 2, b""), Event(1, 2, LARGE)]),
        Batch(5, 3, 999, [*[Note("b" * 200, 1, 2, b"small")] * 100, MESSAGES[1]]),
        Events(5, 3, 999, [MESSAGES[0]] * (MOST_BODIES + 1)),
        Part(5, 3, 999, True, None, 0, b"small"),
    ],
    ids=["small", "one is empty", "a long head", "many", "the end"],
)
def test_others_are_in_one_piece(frame):
    assert encode_split(frame) == encode_frame(frame)


@pytest.mark.parametrize(
    "frame",
    [
        Ack(1, 2), Events(5, 3, 999, []), Events(5, 3, 999, [Event(1, 2, b"has one")]),
        Part(5, 3, 999, True, None, 0, b"has one"), Batch(5, 3, 999, [Event(1, 2, b"has one")]),
    ],
    ids=repr,
)  # fmt: skip
def test_a_body_that_belongs_to_nothing_is_refused(frame):
    with pytest.raises(DecodeError, match="a body that belongs to nothing"):
        Split(encode_frame(frame), [LARGE]).frame()


def test_so_is_a_place_for_a_body_that_did_not_come():
    frame = Events(5, 3, 999, [Event(1, 2, b"")] * 2)
    with pytest.raises(DecodeError, match="a body is missing"):
        Split(encode_frame(frame), [LARGE]).frame()


@given(some.binary(min_size=1, max_size=40))
def test_any_head_is_taken_or_refused(head):
    with suppress(DecodeError):
        Split(head, [b"body"]).frame()
