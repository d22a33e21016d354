"""Neighbours by the order of keys; everybody in turn, in an order of one's own."""

from random import Random

import pytest

from meshcluster.node.ring import Ring


def key(number: int) -> bytes:
    return bytes([number]) * 24


@pytest.fixture
def ring():
    ring = Ring(key(5), Random(1))
    for number in (1, 9, 3, 7):
        ring.add(key(number))
    return ring


def test_the_next_neighbours_are_those_above_us_and_then_from_the_start(ring):
    assert list(ring.next(1)) == [key(7)]
    assert list(ring.next(3)) == [key(7), key(9), key(1)]


def test_nobody_is_a_neighbour_twice(ring):
    assert sorted(ring.next(9)) == [key(1), key(3), key(7), key(9)]


def test_a_neighbour_that_is_gone_has_its_place_taken(ring):
    ring.remove(key(7))
    ring.remove(key(7))
    assert list(ring.next(1)) == [key(9)]


def test_who_is_added_twice_is_there_once(ring):
    ring.add(key(7))
    assert list(ring.next(2)) == [key(7), key(9)]


def test_everybody_has_a_turn_before_anybody_has_another(ring):
    turns = [each for _ in range(8) for each in ring.turn(1)]
    assert sorted(turns[:4]) == sorted(turns[4:]) == [key(1), key(3), key(7), key(9)]


def test_a_turn_of_nobody_is_empty():
    assert Ring(key(1), Random(1)).turn(3) == []


@pytest.mark.parametrize("count", [1, 3, 9])
def test_some_others_are_never_the_one_in_question(ring, count):
    for _ in range(20):
        chosen = ring.some(count, without=key(3))
        assert len(chosen) == len(set(chosen)) == min(count, 3)
        assert key(3) not in chosen


def test_a_sweep_goes_around_whoever_comes_and_goes(ring):
    assert ring.sweep(3) == [key(7), key(9), key(1)]
    ring.remove(key(1))
    ring.add(key(2))
    assert ring.sweep(3) == [key(2), key(3), key(7)]
    assert sorted(ring.sweep(9)) == [key(2), key(3), key(7), key(9)]


def test_a_sweep_of_nobody_is_empty():
    assert Ring(key(1), Random(1)).sweep(3) == []
