"""What is kept of what a command writes: the first of it, or half of that and the last."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshcluster.jobs.capture import Capture

PIECES = st.lists(st.binary(min_size=1, max_size=12), max_size=8)


@given(PIECES, st.integers(0, 20))
def test_the_first_bytes_are_kept(pieces, limit):
    capture = Capture(limit)
    for piece in pieces:
        capture.take(piece)
    whole = b"".join(pieces)
    assert (capture.kept, capture.truncated) == (whole[:limit], len(whole) > limit)


@given(PIECES, st.integers(0, 20))
def test_with_a_tail_half_of_them_are_the_last(pieces, limit):
    capture = Capture(limit, tail=True)
    for piece in pieces:
        capture.take(piece)
    whole = b"".join(pieces)
    first = limit - limit // 2
    kept = whole[:first] + whole[max(first, len(whole) - limit // 2) :]
    assert (capture.kept, capture.truncated) == (kept, len(whole) > limit)


@pytest.mark.parametrize("tail", [False, True])
def test_a_piece_that_is_larger_than_all_room_is_cut(tail):
    capture = Capture(10, tail=tail)
    capture.take(b"0123456789abcdef")
    assert capture.kept == (b"01234bcdef" if tail else b"0123456789")
    assert capture.truncated
