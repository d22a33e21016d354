"""What is read from a file is what it must be, or the error says where it is not."""

import math

import pytest

from meshcluster.errors import ConfigError
from meshcluster.jobs.reading import Reading


def reading(value):
    return Reading({"key": value}, "runs[2]")


@pytest.mark.parametrize(
    ("read", "value"),
    [
        ("text", ""),
        ("whole", 0),
        ("seconds", 1.5),
        ("seconds_or_none", None),
        ("flag", False),
        ("status_or_none", -9),
        ("status_or_none", None),
    ],
)
def test_what_is_right_is_given_as_it_is(read, value):
    assert getattr(reading(value), read)("key") == value


def test_lists_are_read_item_by_item():
    assert reading(["a", "b"]).texts("key") == ("a", "b")
    assert [each.text("n") for each in reading([{"n": "x"}, {"n": "y"}]).mappings("key")] == [
        "x",
        "y",
    ]


@pytest.mark.parametrize(
    ("read", "value"),
    [
        ("text", 1),
        ("text", None),
        ("texts", "abc"),
        ("texts", ["a", 1]),
        ("whole", True),
        ("whole", -1),
        ("whole", 1.0),
        ("seconds", True),
        ("seconds", "1"),
        ("seconds", -0.1),
        ("seconds", math.nan),
        ("seconds", math.inf),
        ("seconds", 10**400),
        ("seconds_or_none", "x"),
        ("status_or_none", True),
        ("status_or_none", "0"),
        ("flag", 1),
    ],
)
def test_what_is_not_is_named_with_its_place(read, value):
    with pytest.raises(ConfigError, match=r"^runs\[2\]\.key=.+: it must be "):
        getattr(reading(value), read)("key")


def test_one_of_several_words():
    assert reading("ok").one_of("key", ("ok", "failed")) == "ok"
    for value in ("fine", ["ok"], None):
        with pytest.raises(ConfigError, match="it must be one of ok, failed"):
            reading(value).one_of("key", ("ok", "failed"))


@pytest.mark.parametrize("read", ["text", "texts", "whole", "seconds", "seconds_or_none", "flag"])
def test_what_is_missing_is_said_to_be(read):
    with pytest.raises(ConfigError, match=r"^key is missing: it must be .+"):
        getattr(Reading({}, ""), read)("key")


def test_what_is_no_mapping_is_named_with_its_number():
    with pytest.raises(ConfigError, match=r"^runs\[2\]\.key\[1\] must be a mapping, not 7$"):
        list(reading([{}, 7]).mappings("key"))
    with pytest.raises(ConfigError, match=r"^a report must be a mapping, not \[\]$"):
        Reading([], "")


def test_of_a_large_value_only_the_beginning_is_shown():
    with pytest.raises(ConfigError) as caught:
        reading("x" * 100_000).whole("key")
    assert len(str(caught.value)) < 200
