"""Frames on a link open in order, unchanged, once; keys are replaced in time."""

import pytest

from meshcluster.errors import DecodeError
from meshcluster.security import records
from meshcluster.security.records import Records


@pytest.fixture
def both():
    return Records(b"a" * 32, b"b" * 32), Records(b"b" * 32, b"a" * 32)


def test_what_is_sealed_opens_at_the_other_end(both):
    near, far = both
    for frame in (b"", b"x", bytes(100_000)):
        assert far.open(near.seal(frame)) == frame
        assert near.open(memoryview(far.seal(frame))) == frame


def test_a_record_is_sixteen_bytes_longer(both):
    assert len(both[0].seal(b"frame")) == 5 + 16


@pytest.mark.parametrize("what", ["left out", "doubled", "changed", "turned back"])
def test_what_was_tampered_with_does_not_open(both, what):
    near, far = both
    first, second = near.seal(b"first"), near.seal(b"second")
    if what == "left out":
        bad = second
    elif what == "doubled":
        assert far.open(first) == b"first"
        bad = first
    elif what == "changed":
        bad = first[:-1] + bytes([first[-1] ^ 1])
    else:
        bad, far = first, near
    with pytest.raises(DecodeError, match="forged"):
        far.open(bad)


def test_keys_are_replaced_after_so_many_frames(both, monkeypatch):
    monkeypatch.setattr(records, "REKEY_FRAMES", 4)
    near, far = both
    keys = set()
    for number in range(13):
        assert far.open(near.seal(b"%d" % number)) == b"%d" % number
        keys.add(near._out.key)
    assert len(keys) == 4
    assert near._out.key == far._in.key
