"""Values on their way: plain ones as they are, users' own types made plain and made anew."""

import enum
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshcluster import ConfigError, DecodeError, EncodeError
from meshcluster.rpc.values import TAG, Values

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Angle:
    def __init__(self, degrees):
        self.degrees = degrees

    def __eq__(self, other):
        return type(other) is Angle and other.degrees == self.degrees

    def __hash__(self):
        return hash(self.degrees)


class Line:
    def __init__(self, *angles):
        self.angles = angles


class Struct(msgspec.Struct):
    name: str
    blob: bytes = b"\xff"


@dataclass
class Point:
    x: int
    when: datetime = NOW
    inner: Struct = field(default_factory=lambda: Struct("s"))


@dataclass
class Corner:
    angle: Angle


class Colour(enum.Enum):
    RED = "red"


def made():
    values = Values()
    values.register(Angle, lambda angle: angle.degrees, Angle, "Angle")
    values.register(Line, lambda line: list(line.angles), lambda plain: Line(*plain), "Line")
    return values


plain = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=3), st.binary(max_size=3),
        st.just(NOW),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.one_of(st.text(max_size=2), st.integers(0, 3)), inner, max_size=3),
    ),
    max_leaves=8,
)  # fmt: skip


@given(plain)
def test_what_is_plain_is_sent_as_the_very_same_object(value):
    assert Values().pack(value) is value


def angles(values):
    return st.recursive(
        st.integers(0, 360).map(Angle) | st.integers(0, 9),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.lists(inner, max_size=3).map(tuple),
            st.dictionaries(st.text(max_size=2), inner, max_size=3),
        ),
        max_leaves=8,
    )


@given(angles(None))
def test_registered_types_are_made_anew_wherever_they_are(value):
    assert made().unpack(made().pack(value)) == value


def test_registered_types_may_hold_each_other_and_be_keys_and_in_sets():
    values = made()
    line = values.unpack(values.pack({"line": [Line(Angle(1), Angle(2))]}))["line"][0]
    assert (type(line), line.angles) == (Line, (Angle(1), Angle(2)))
    assert values.unpack(values.pack({(1, "x"): Angle(3)})) == {(1, "x"): Angle(3)}


def test_dataclasses_structs_and_enums_become_what_their_annotation_makes_again():
    packed = Values().pack([Point(1), Colour.RED, Decimal("1.5")])
    assert packed == [
        {"x": 1, "when": NOW, "inner": {"name": "s", "blob": b"\xff"}}, "red", "1.5",
    ]  # fmt: skip


def test_a_registered_type_inside_a_dataclass_is_made_anew():
    values = made()
    assert values.unpack(values.pack(Corner(Angle(5)))) == {"angle": Angle(5)}


@pytest.mark.parametrize(
    "value", [object(), [object()], {"a": (object(),)}, Corner(object()), len, {1, object()}],
    ids=["alone", "in a list", "in a dict", "in a dataclass", "a function", "in a set"],
)  # fmt: skip
def test_what_cannot_be_sent_is_refused_and_named(value):
    with pytest.raises(EncodeError, match=r"a (object|builtin_function_or_method) cannot be sent"):
        Values().pack(value)


def holding_itself():
    value = []
    value.append(value)
    by_key = {}
    by_key["self"] = [by_key]
    corner = Corner(None)
    corner.angle = corner
    return [value, by_key, corner, (value,)]


def deep(levels, value=1):
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("value", [*holding_itself(), deep(100), deep(5000, Angle(1))])
def test_what_holds_itself_or_is_too_deep_is_refused(value):
    with pytest.raises(EncodeError, match="nested too deeply, or holds itself"):
        made().pack(value)


def test_a_type_whose_plain_value_is_of_that_type_is_refused():
    values = Values()
    values.register(Angle, lambda angle: angle, Angle, "Angle")
    with pytest.raises(EncodeError, match="nested too deeply, or holds itself"):
        values.pack(Angle(1))


def test_fifty_levels_are_not_too_deep():
    values = made()
    assert values.unpack(values.pack(deep(50, Angle(1)))) == deep(50, Angle(1))


def test_the_key_that_stands_for_types_is_refused():
    with pytest.raises(EncodeError, match="is ours"):
        made().pack([{TAG: ["Angle", 1]}])


# --- made anew -------------------------------------------------------------------------------


def test_a_type_that_is_not_registered_there_is_refused_and_named():
    with pytest.raises(DecodeError, match=r"'Angle'.*register"):
        Values().unpack(made().pack([Angle(1)]))


def test_what_a_decoder_raises_refuses_the_value():
    values = Values()
    values.register(Angle, lambda angle: angle.degrees, lambda plain: 1 / 0, "Angle")
    with pytest.raises(DecodeError, match="a Angle cannot be made anew: division by zero"):
        values.unpack(made().pack({"a": Angle(1)}))


@pytest.mark.parametrize("tagged", [1, [], ["Angle"], ["Angle", 1, 2], [["Angle"], 1], None, "An"])
def test_nonsense_in_place_of_a_type_is_refused(tagged):
    with pytest.raises(DecodeError):
        made().unpack([{TAG: tagged}])


# --- registering -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [int, str, bytes, list, dict, tuple, set, datetime, type(None), 5])
def test_what_travels_anyway_is_not_registered(kind):
    with pytest.raises(ConfigError, match="a class of your own"):
        Values().register(kind, str, kind, "x")


def test_encoder_and_decoder_are_functions():
    with pytest.raises(ConfigError, match="must be functions"):
        Values().register(Angle, None, Angle, "Angle")


def test_a_name_is_one_types_and_a_type_may_be_registered_anew():
    values = made()
    with pytest.raises(ConfigError, match=r"'Angle' is .* already: name="):
        values.register(Line, list, Line, "Angle")
    values.register(Angle, lambda angle: str(angle.degrees), lambda s: Angle(int(s) * 2), "Angle")
    assert values.unpack(values.pack(Angle(1))) == Angle(2)


def test_of_subclasses_of_a_registered_type_nothing_is_known():
    class Right(Angle): ...

    with pytest.raises(EncodeError, match="a Right cannot be sent"):
        made().pack(Right(90))
