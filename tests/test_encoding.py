"""Any value as bytes and back: what a mesh sends, without a mesh."""

from dataclasses import dataclass
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as some

from meshcluster.encoding import dumps, loads
from meshcluster.errors import DecodeError, EncodeError

leaves = (
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text()
    | some.binary()
)  # fmt: skip
values = some.recursive(
    leaves, lambda inner: some.lists(inner) | some.tuples(inner) | some.dictionaries(leaves, inner)
)


@dataclass
class Point:
    x: int


@given(values)
def test_a_value_comes_back_exactly_as_it_was(value):
    data = dumps(value)
    assert type(data) is bytes
    assert repr(loads(data)) == repr(value)


def test_what_python_has_beside_json_comes_back_too():
    value = {1: (b"\0", {2, 3}, datetime(2026, 1, 2), 1 << 100), (1, "a"): "ä"}
    assert loads(dumps(value)) == value


def test_a_dataclass_comes_as_the_dict_of_its_fields():
    assert loads(dumps(Point(1))) == {"x": 1}


@pytest.mark.parametrize("value", [object(), [print], {"a": {"b": 1j}}])
def test_what_would_not_come_back_is_refused_and_its_place_named(value):
    with pytest.raises(EncodeError):
        dumps(value)
    if type(value) is dict:
        with pytest.raises(EncodeError, match=r"b"):
            dumps(value)


def test_no_bytes_are_no_value():
    with pytest.raises(DecodeError, match="no bytes, no value"):
        loads(b"")


@given(some.binary(max_size=60))
def test_bytes_of_strangers_are_a_value_or_refused(data):
    try:
        loads(data)
    except DecodeError:
        pass
