"""Frames come out as they went in, however they are cut; what is no frame is refused at once."""

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshcluster.ssh.far.framing import (
    BODY_BYTES,
    DONE,
    HELLO,
    LINE_BYTES,
    PING,
    RUN,
    Frame,
    FramingError,
    Splitter,
    frame,
)

FRAMES = [
    Frame(RUN, 1, b"body", 0),
    Frame(PING, 0, b"", 0),
    Frame(DONE, 2**53, b"with\nlines\n and run 1 5\n", 1234),
    Frame(HELLO, 1, b"{}", 0),
    Frame(b"unknown", 7, bytes(range(256)), 0),
]
STREAM = b"".join(frame(*each) for each in FRAMES)


def split(*chunks, body_bytes=BODY_BYTES):
    splitter = Splitter(body_bytes)
    return [each for chunk in chunks for each in splitter.feed(chunk)]


def test_a_frame_is_a_line_and_so_many_bytes():
    assert frame(RUN, 5, b"body") == b"run 5 4\nbody"
    assert frame(PING) == b"ping 0 0\n"
    assert frame(DONE, 5, b"x", 37) == b"done 5 1 37\nx"


def test_many_frames_at_once():
    assert split(STREAM) == FRAMES


def test_cut_at_every_byte():
    for at in range(len(STREAM) + 1):
        assert split(STREAM[:at], STREAM[at:]) == FRAMES


def test_byte_by_byte_each_frame_is_there_with_its_last():
    splitter, ends, at = Splitter(), [], 0
    for each in FRAMES:
        at += len(frame(*each))
        ends.append(at)
    there = [at + 1 for at in range(len(STREAM)) if list(splitter.feed(STREAM[at : at + 1]))]
    assert there == ends


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_cut_anywhere(places):
    cuts = [0, *sorted(places), len(STREAM)]
    assert split(*(STREAM[a:b] for a, b in itertools.pairwise(cuts))) == FRAMES


@given(st.lists(st.tuples(st.sampled_from([RUN, DONE]), st.integers(0, 10**12), st.binary())))
def test_any_frames(told):
    frames = [Frame(*each, 0) for each in told]
    assert split(b"".join(frame(*each) for each in frames)) == frames


def test_what_is_no_whole_frame_is_kept():
    splitter = Splitter()
    assert [each.number for each in splitter.feed(b"ping 1 0\nrun 2 11\nhalf")] == [1]
    assert splitter.rest == b"run 2 11\nhalf"
    assert list(splitter.feed(b" of it")) == []
    assert list(splitter.feed(b"!")) == [Frame(RUN, 2, b"half of it!", 0)]
    assert splitter.rest == b""


@pytest.mark.parametrize(
    "line",
    [
        b"run 1",
        b"run 1 2 3 4",
        b"run",
        b"",
        b"run  1 2",
        b" run 1 2",
        b"run 1 2 ",
        b"run -1 2",
        b"run +1 2",
        b"run 1 -2",
        b"run 1 +2",
        b"run 1 2\r",
        b"run 1 0x10",
        b"run 1 1_0",
        b"run 1 1e3",
        b"run 1\t2",
        "run 1 \u0663".encode(),
        "run 1 \u00b2".encode("latin-1"),
        b"run 1 2 -3",
        b"Traceback (most recent call last):",
    ],
)
def test_other_lines_are_refused(line):
    with pytest.raises(FramingError, match="no frame"):
        split(line + b"\n" + b"x" * 100)


def test_what_came_before_is_told_before_it_is_refused():
    frames = Splitter().feed(b"ping 1 0\nnonsense\n")
    assert next(frames).number == 1
    with pytest.raises(FramingError):
        next(frames)


def test_a_line_that_is_too_long_is_refused_before_it_ends():
    line = b"run 1 " + b"0" * (LINE_BYTES - 8) + b"1"
    assert split(line + b"\nx") == [Frame(RUN, 1, b"x", 0)]
    with pytest.raises(FramingError, match="no frame"):
        split(b"0".join([line[:6], line[6:]]) + b"\nx")
    with pytest.raises(FramingError, match="no frame"):
        split(*[b"x"] * LINE_BYTES)
    assert split(*[b"x"] * (LINE_BYTES - 1)) == []


def test_a_length_that_is_too_large_is_refused_before_its_bytes_come():
    assert split(b"run 1 100\n" + b"x" * 100, body_bytes=100)
    with pytest.raises(FramingError, match="101 bytes at once, of 100 allowed"):
        split(b"run 1 101\n", body_bytes=100)
    with pytest.raises(FramingError, match="allowed"):
        split(b"run 1 " + b"9" * 50 + b"\n")


def test_a_large_body_in_small_pieces_takes_no_longer_than_its_bytes():
    """16 MiB in pieces of 256 bytes: copied anew with each, it were 500 GB."""
    size, piece = 1 << 24, 1 << 8
    splitter, began = Splitter(), time.monotonic()
    assert list(splitter.feed(b"done 1 %d\n" % size)) == []
    got = [each for _ in range(size // piece) for each in splitter.feed(b"x" * piece)]
    assert [len(each.body) for each in got] == [size]
    assert time.monotonic() - began < 10


def test_many_small_frames_take_no_longer_than_their_bytes():
    count, began = 200_000, time.monotonic()
    data = frame(PING) * count
    assert len(split(data)) == count
    assert len(split(*(data[at : at + 1000] for at in range(0, len(data), 1000)))) == count
    assert time.monotonic() - began < 20
