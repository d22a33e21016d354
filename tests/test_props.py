"""A member's own props: read like a dict, each change checked and announced."""

import pytest

from meshcluster.errors import ConfigError
from meshcluster.props import Props


class Member:
    """Has props, and notes each announcement of them."""

    def __init__(self, **props):
        self.said = props
        self.announced = []
        self.props = Props(lambda: self.said, self.change)

    def change(self, change):
        self.said = change(self.said)
        self.announced.append(self.said)


def test_props_read_like_a_dict():
    props = Member(rack=3, free=True).props
    assert (props["rack"], props.get("rack"), props.get("row"), len(props)) == (3, 3, None, 2)
    assert list(props) == ["rack", "free"]
    assert "free" in props
    assert props == {"rack": 3, "free": True}
    assert repr(props) == "{'rack': 3, 'free': True}"
    with pytest.raises(KeyError):
        props["row"]


def test_props_are_as_they_are_now():
    member = Member(rack=3)
    props = member.props
    member.said = {"row": 1}
    assert dict(props) == {"row": 1}


def test_setting_one_announces_it_with_the_others():
    member = Member(rack=3)
    member.props["row"] = [1, {"seat": None}]
    assert member.announced == [{"rack": 3, "row": [1, {"seat": None}]}]


def test_several_are_set_at_once():
    member = Member(rack=3)
    member.props.update({"row": 1}, rack=4)
    member.props.update([("seat", b"x")])
    assert member.announced == [{"rack": 4, "row": 1}, {"rack": 4, "row": 1, "seat": b"x"}]


def test_one_is_taken_away_and_one_that_is_not_there_is_an_error():
    member = Member(rack=3, row=1)
    del member.props["rack"]
    with pytest.raises(KeyError):
        del member.props["seat"]
    assert member.props.pop("seat", None) is None
    assert member.announced == [{"row": 1}]


def test_all_are_set_anew_or_taken_away():
    member = Member(rack=3)
    member.props.replace({"row": 1})
    member.props.clear()
    assert member.announced == [{"row": 1}, {}]


def test_a_change_does_not_touch_what_was_announced_before():
    member = Member(rack=3)
    before = member.said
    member.props["rack"] = 4
    assert before == {"rack": 3}


@pytest.mark.parametrize(
    "value", [(1, 2), {1}, object(), 2**64, -(2**63) - 1, "\ud800", [[{1: 2}]]]
)
def test_a_value_that_cannot_travel_plainly_is_refused_and_nothing_changes(value):
    member = Member(rack=3)
    for change in (
        lambda: member.props.__setitem__("row", value),
        lambda: member.props.update(row=value),
        lambda: member.props.replace({"row": value}),
    ):
        with pytest.raises(ConfigError, match="plain values"):
            change()
    assert member.announced == []


@pytest.mark.parametrize("key", [1, None, b"x", "\udfff"])
def test_a_key_is_a_text(key):
    member = Member()
    with pytest.raises(ConfigError):
        member.props[key] = 1
    assert member.announced == []
