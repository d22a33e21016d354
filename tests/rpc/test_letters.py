"""What travels: a list of common values as bytes of a third of the cost, all others as they are."""

import msgspec
import pytest

from meshcluster import DecodeError
from meshcluster.rpc.letters import short, values_of


@pytest.mark.parametrize(
    "values",
    [
        [1, "add", 0.5, None, True, -(2**63), 2**64 - 1, "\u00e9", ""],
        [0, b"x"], [0, 2**64], [0, -(2**63) - 1], [0, "\ud800"], [0, b"x" * 100_000],
    ],
    ids=lambda each: repr(each)[:40],
)  # fmt: skip
def test_what_is_made_short_is_the_same_again(values):
    again = values_of(short(values))
    assert again == values
    assert list(map(type, again)) == list(map(type, values))


def test_common_values_are_bytes_unless_they_are_long():
    assert type(short([1, "add", 2.5, None, False, b"x"])) is bytes
    assert type(short([1, "x" * 100_000])) is list


@pytest.mark.parametrize("value", [2**64, "\ud800"])
def test_what_no_bytes_can_hold_stays_a_list_that_is_judged_when_it_is_sent(value):
    assert short([1, value]) == [1, value]


@pytest.mark.parametrize(
    "data",
    [
        None, 5, "x", {}, (1, 2), [], b"", b"\xc1", b"\x92\x01", msgspec.msgpack.encode({1: 2}),
        msgspec.msgpack.encode([1, b"x" * 100_000]), b"\x91" * 30_000, b"\x91\x81\x80\x80",
        msgspec.msgpack.encode([]), msgspec.msgpack.encode([msgspec.msgpack.Ext(1, b"x")]),
        msgspec.msgpack.encode([1]) + b"x", b"\xdd\xff\xff\xff\xff", b"\xa4\xff\xff\xff\xff",
    ],
    ids=lambda each: repr(each)[:40],
)  # fmt: skip
def test_all_else_is_refused(data):
    with pytest.raises(DecodeError):
        values_of(data)
