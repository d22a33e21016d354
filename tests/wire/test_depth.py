"""Depth is told without recursion, through every kind of container, keys included."""

from datetime import datetime

import pytest

from meshcluster.wire.depth import is_deeper


def nested(wrap, levels):
    value = 1
    for _ in range(levels):
        value = wrap(value)
    return value


@pytest.mark.parametrize("wrap", [lambda v: [v], lambda v: (v,), lambda v: {1: v, 2: "leaf"}])
@pytest.mark.parametrize("most", [1, 5, 60])
def test_as_many_as_allowed_are_not_too_deep_and_one_more_is(wrap, most):
    assert not is_deeper(nested(wrap, most), most)
    assert is_deeper(nested(wrap, most + 1), most)


def test_keys_count():
    assert is_deeper({((1,),): 0}, 2)
    assert not is_deeper({((1,),): 0}, 3)


@pytest.mark.parametrize("leaf", [None, 1, "text", b"bytes", 1.5, datetime(2024, 1, 1)])
def test_leaves_have_no_depth(leaf):
    assert not is_deeper(leaf, 0)
    assert not is_deeper([leaf], 1)


def test_depth_beyond_all_recursion_is_told():
    assert is_deeper(nested(lambda v: [v], 100_000), 99_999)
