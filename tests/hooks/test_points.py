"""The hook points there are: what users may write, what may run inside the member."""

import pytest

from meshcluster.hooks import PASS, POINTS

INTERCEPTORS = {"send", "receive", "service.validate"}
OBSERVERS = {
    "service.discovered", "service.changed", "service.suspect", "service.recovered",
    "service.conflict", "service.lost", "send.lost", "event",
}  # fmt: skip


def test_these_are_the_points():
    assert set(POINTS) == INTERCEPTORS | OBSERVERS | {"query", "guest"}


def test_every_point_is_listed_under_its_own_name():
    assert {name: point.name for name, point in POINTS.items()} == {name: name for name in POINTS}


def test_what_decides_runs_inside_the_member_and_is_a_plain_function():
    assert {name for name, point in POINTS.items() if point.inline} == INTERCEPTORS


def test_only_messages_have_a_channel_and_a_protocol_to_filter_by():
    filtered = {name for name, point in POINTS.items() if point.filtered}
    assert filtered == {name for name, point in POINTS.items() if point.takes == "Message"}


@pytest.mark.parametrize("name", POINTS)
def test_every_point_says_what_its_functions_take_and_give(name):
    assert POINTS[name].takes in {"Message", "Service", "Lost"}
    assert POINTS[name].gives


def test_points_cannot_be_changed():
    with pytest.raises(AttributeError):
        POINTS["send"].inline = False


def test_pass_is_no_value_that_could_be_an_answer():
    assert repr(PASS) == "PASS"
    assert all(PASS != value for value in (None, False, "PASS", 0))
