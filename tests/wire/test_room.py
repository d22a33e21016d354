"""Who has which bytes of a ring: no byte is given twice, and all come back."""

from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from meshcluster.errors import DecodeError
from meshcluster.wire.room import Room

SIZE = 100


def test_places_follow_one_another():
    room = Room(SIZE)
    assert [room.take(30), room.take(30), room.take(30)] == [0, 30, 60]


def test_a_place_is_in_one_piece():
    room = Room(SIZE)
    for _ in range(3):
        room.take(30)
    room.give_back(2)
    assert room.take(30) == 0  # the ten at the end are left out


def test_what_does_not_fit_gets_no_place():
    room = Room(SIZE)
    assert room.take(SIZE + 1) is None
    room.take(60)
    assert room.take(41) is None
    assert room.take(40) == 60
    assert room.take(1) is None


def test_a_ring_that_is_full_to_the_byte_is_not_an_empty_one():
    room = Room(SIZE)
    room.take(50)
    room.take(50)
    room.give_back(1)
    assert room.take(50) == 0
    assert room.take(1) is None


def test_when_all_came_back_it_begins_at_the_front():
    room = Room(SIZE)
    room.take(10)
    room.give_back(1)
    assert room.take(10) == 0


@pytest.mark.parametrize("count", [0, 2, 2**24 - 1])
def test_more_than_is_held_cannot_come_back(count):
    room = Room(SIZE)
    room.take(10)
    with pytest.raises(DecodeError, match=f"credit for what is not held: {count} of 1"):
        room.give_back(count)


@settings(max_examples=300)
@given(some.lists(some.tuples(some.integers(1, SIZE + 5), some.integers(0, 3))))
def test_no_byte_is_given_twice_and_room_is_found_once_all_came_back(steps):
    room, held = Room(SIZE), deque()
    for length, back in steps:
        offset = room.take(length)
        if offset is not None:
            assert 0 <= offset <= offset + length <= SIZE
            assert all(offset + length <= a or b <= offset for a, b in held)
            held.append((offset, offset + length))
        else:
            assert held or length > SIZE
        if back := min(back, len(held)):
            room.give_back(back)
            for _ in range(back):
                held.popleft()
        assert len(room) == len(held)
