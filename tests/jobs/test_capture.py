"""The first bytes are kept, and with ``tail`` the last as well."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshcluster.jobs.capture import CAPTURE_BYTES, Capture


def captured(pieces, *args, **settings):
    capture = Capture(*args, **settings)
    for piece in pieces:
        capture.take(piece)
    return capture.kept, capture.truncated


@pytest.mark.parametrize(
    ("limit", "kept", "truncated"),
    [(100, b"hello, world!\n", False), (14, b"hello, world!\n", False), (5, b"hello", True),
     (0, b"", True)],
)  # fmt: skip
def test_the_first_are_kept_and_whether_there_were_more(limit, kept, truncated):
    assert captured([b"hello, ", b"world!\n"], limit) == (kept, truncated)


def test_by_default_64_kib():
    assert CAPTURE_BYTES == 65_536
    assert captured([b"x" * 70_000]) == (b"x" * 65_536, True)
    assert captured([b"x" * 65_536]) == (b"x" * 65_536, False)


def test_nothing_written_is_nothing_truncated():
    assert captured([], 0) == captured([b""], 0, tail=True) == (b"", False)


@given(
    st.lists(st.binary(max_size=9), max_size=9), st.integers(0, 30), st.booleans()
)  # fmt: skip
def test_what_is_kept_does_not_depend_on_the_pieces(pieces, limit, tail):
    whole = b"".join(pieces)
    last = limit // 2 if tail else 0
    fits = len(whole) <= limit
    expected = whole if fits else whole[: limit - last] + whole[len(whole) - last :]
    assert captured(pieces, limit, tail=tail) == (expected, not fits)


def test_little_is_held_however_much_is_written():
    capture = Capture(100, tail=True)
    for _ in range(1000):
        capture.take(b"x" * 999)
    held = len(capture._head) + len(capture._tail)
    assert held <= 200
