"""Who gives way where there is no room: the oldest of those who crowd."""

import pytest

from meshcluster.node.crowds import Crowd


def crowd(*members):
    made = Crowd()
    for key, source in members:
        made.add(key, source)
    return made


def test_the_oldest_of_the_most_crowded_source_gives_way():
    made = crowd((1, "a"), (2, "b"), (3, "b"), (4, "c"))
    assert made.gives_way() == 2


def test_where_all_are_alike_it_is_the_oldest_source():
    assert crowd((1, "a"), (2, "b")).gives_way() == 1


def test_a_flood_puts_out_its_own():
    made = crowd(("real", "r"))
    for number in range(1000):
        if len(made) >= 10:
            made.remove(made.gives_way())
        made.add(number, "flood")
    assert "real" in made
    assert len(made) == 10


def test_whoever_is_out_is_forgotten_and_may_come_again():
    made = crowd((1, "a"), (2, "a"))
    made.remove(1)
    made.remove(1)
    made.add(1, "b")
    made.add(1, "c")
    assert (len(made), made.gives_way()) == (2, 2)
    made.remove(1)
    made.remove(2)
    assert len(made) == 0
    with pytest.raises(ValueError, match="empty"):
        made.gives_way()
