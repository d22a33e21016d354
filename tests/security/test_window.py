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


def test_what_came_before_a_new_number_is_of_any_age():
    window = Window()
    assert window.take(5)
    assert not window.begun
    window.begin(100)
    assert window.begun
    assert not any(window.take(number) for number in range(1, 101))
    assert window.take(101)
    window.begin(90)  # one that was overtaken
    assert not window.take(101)


def test_a_number_is_recent_for_a_second():
    window = Window()
    assert window.is_recent(1, 0.0)
    window.take(1)
    assert window.is_recent(1, 0.5)
    assert not window.is_recent(1, 1.5)
    assert window.is_recent(2, 1.5)
