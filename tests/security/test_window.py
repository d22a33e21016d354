"""A number is taken once, in any order within the window."""

from hypothesis import given
from hypothesis import strategies as some

from meshcluster.security.window import WINDOW, Window


@given(some.lists(some.one_of(some.integers(1, 300), some.integers(1, 2**64 - 1))))
def test_a_number_is_taken_once_and_only_if_it_is_not_too_old(numbers):
    window, taken = Window(), set()
    for number in numbers:
        top = max(taken, default=0)
        expected = number not in taken and number > top - WINDOW
        assert window.is_old(number) == (number <= top - WINDOW)
        assert window.take(number) == expected
        if expected:
            taken.add(number)
