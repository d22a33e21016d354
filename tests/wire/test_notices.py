"""What links tell each other beside frames: notices are told from lengths, and of known sizes."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from meshcluster.config import FRAME_BYTES
from meshcluster.errors import DecodeError
from meshcluster.wire import notices
from meshcluster.wire.sealed import TAG_BYTES
from meshcluster.wire.split import HEAD_BYTES, MOST_BODIES

numbers = some.integers(0, notices.NUMBER_LIMIT - 1)
words = some.integers(0, 2**32 - 1)
tokens = some.binary(min_size=notices.TOKEN_BYTES, max_size=notices.TOKEN_BYTES)


def test_no_frame_is_so_long_that_its_length_is_a_notice():
    assert FRAME_BYTES + TAG_BYTES < notices.NUMBER_LIMIT < notices.MARK


@given(
    numbers, words, some.lists(words, max_size=MOST_BODIES).map(tuple),
    some.binary(max_size=HEAD_BYTES),
)  # fmt: skip
def test_a_place_says_how_long_and_where_and_of_what_frame(length, offset, lengths, head):
    notice = notices.place(length, offset, lengths, head)
    assert notices.read(notice) == (notices.PLACE, length)
    assert notices.read_place(notice) == (offset, lengths, head)
    assert notices.size_of(memoryview(notice + b"more")) == len(notice)


@given(numbers)
def test_credit_says_how_many(count):
    assert notices.read(notices.credit(count)) == (notices.CREDIT, count)


@pytest.mark.parametrize("opened", [True, False])
def test_an_answer_says_whether(opened):
    assert notices.read(notices.answer(opened=opened)) == (notices.ANSWER, opened)


@given(words, words, tokens)
def test_an_offer_says_where_how_much_and_what_it_begins_with(descriptor, size, token):
    notice = notices.offer(descriptor, size, token)
    assert notices.read(notice)[0] == notices.OFFER
    assert notices.read_offer(notice) == (descriptor, size, token)


@pytest.mark.parametrize(
    "notice",
    [
        notices.place(70_000, 5), notices.place(70_000, 5, (30_000, 40_000), b"head"),
        notices.credit(9), notices.answer(opened=True), notices.offer(7, 4096, bytes(16)),
    ],
)  # fmt: skip
def test_the_first_bytes_tell_the_size_or_that_they_are_too_few(notice):
    assert int.from_bytes(notice[:4], "big") >= notices.MARK
    for count in range(4, len(notice)):
        assert notices.size_of(memoryview(notice)[:count]) > count
    assert notices.size_of(memoryview(notice)) == len(notice)


def test_other_kinds_are_refused():
    with pytest.raises(DecodeError, match="unknown notice: 255"):
        notices.size_of(memoryview(bytes([255]) * 4))


def test_a_head_is_short():
    with pytest.raises(DecodeError, match="oversized notice: 16385 bytes and 1 bodies"):
        notices.size_of(memoryview(notices.place(70_000, 5, (70_000,), bytes(HEAD_BYTES + 1))))


def test_bodies_are_few():
    with pytest.raises(DecodeError, match="oversized notice: 1 bytes and 65 bodies"):
        notices.size_of(memoryview(notices.place(70_000, 5, [1] * (MOST_BODIES + 1), b"h")))
