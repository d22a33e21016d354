"""What a sealed datagram tells in the open."""

import pytest

from meshcluster.errors import DecodeError
from meshcluster.model import member_key
from meshcluster.wire.codec import DATAGRAM_MAGIC
from meshcluster.wire.sealed import (  # fmt: skip
    HEADER,
    KEY_ID,
    MAGIC,
    NUMBER,
    SEAL_BYTES,
    SENDER,
    TAG_BYTES,
    header_of,
    is_sealed,
    sealed_by,
)

ID, BOOT, COUNT = bytes(range(16)), 2**63 + 1, 2**40
DATAGRAM = HEADER.pack(MAGIC, b"kkkk", ID, BOOT, COUNT) + b"x" * TAG_BYTES


def test_it_tells_whose_it_is_by_which_key_and_its_number():
    assert is_sealed(DATAGRAM)
    assert sealed_by(DATAGRAM) == (b"kkkk", ID, BOOT, COUNT)


def test_its_parts_lie_where_they_are_looked_for():
    header = header_of(DATAGRAM)
    assert header == DATAGRAM[: HEADER.size]
    assert header[KEY_ID] == b"kkkk"
    assert header[SENDER] == member_key(ID, BOOT)
    assert int.from_bytes(header[NUMBER], "big") == COUNT


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "foreign datagram"),
        (b"mc\1" + DATAGRAM[3:], "foreign datagram"),
        (b"ms\2" + DATAGRAM[3:], "unknown version"),
        (b"ms", "unknown version"),
        (DATAGRAM[:-1], "malformed seal"),
    ],
)
def test_what_is_none_is_refused(data, reason):
    with pytest.raises(DecodeError, match=reason):
        header_of(data)


def test_a_plain_datagram_was_sealed_by_nobody():
    assert sealed_by(b"mc\1plain") is None


@pytest.mark.parametrize("data", [b"", b"m", DATAGRAM_MAGIC + bytes(80), b"GET / HTTP/1.1"])
def test_what_is_not_sealed_is_told_from_it(data):
    assert not is_sealed(data)
    assert sealed_by(data) is None


def test_what_is_cut_off_or_of_another_version_is_refused_by_reason():
    with pytest.raises(DecodeError, match="malformed seal"):
        sealed_by(MAGIC + bytes(SEAL_BYTES - len(MAGIC) - 1))
    with pytest.raises(DecodeError, match="unknown version of a sealed datagram: 02"):
        sealed_by(MAGIC[:2] + b"\x02" + bytes(80))
