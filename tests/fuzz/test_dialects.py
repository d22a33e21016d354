"""Parts are found where they are, and what is malformed is no trouble."""

import msgspec
import pytest

from .dialects import DATAGRAM, FRAMED, MESSAGEPACK, TXT, WORDS, items


def parts(dialect, data):
    return [data[begin:end] for begin, end in dialect.parts(data)]


def test_every_item_of_messagepack_is_found_outer_ones_first():
    data = msgspec.msgpack.encode([1, {"a": b"x" * 300}, None, [2.5]])
    found = parts(MESSAGEPACK, data)
    decoded = [msgspec.msgpack.decode(each) for each in found]
    assert decoded == [
        [1, {"a": b"x" * 300}, None, [2.5]], 1, {"a": b"x" * 300}, "a", b"x" * 300, None, [2.5],
        2.5,
    ]  # fmt: skip
    assert parts(DATAGRAM, b"mc\1" + data) == found


@pytest.mark.parametrize(
    "data", [b"", b"\xdd\xff\xff\xff\xff", b"\x91" * 5000, b"\xc6\xff\xff\xff\xff", b"\xc1"]
)
def test_what_is_cut_off_or_endless_ends_the_search(data):
    assert len(items(data)) <= 400


def test_frames_and_their_lengths_entries_and_their_texts_words():
    assert parts(FRAMED, b"\0\0\0\2ab\0\0\0\0") == [
        b"\0\0\0\2ab",
        b"\0\0\0\2",
        b"\0\0\0\0",
        b"\0\0\0\0",
    ]
    assert parts(TXT, b"\3v=1\1x") == [b"\3v=1", b"v=1", b"\1x", b"x"]
    assert parts(WORDS, b"10.0:80") == [b"10", b".", b"0", b":", b"80"]


@pytest.mark.parametrize("way", range(12))
def test_what_is_wrapped_is_well_formed(way):
    msgspec.msgpack.decode(MESSAGEPACK.wrap(b"\1", way))
