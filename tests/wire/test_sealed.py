"""What a sealed datagram tells in the open."""

import pytest

from meshcluster.errors import DecodeError
from meshcluster.wire.codec import DATAGRAM_MAGIC
from meshcluster.wire.sealed import HEADER, MAGIC, SEAL_BYTES, TAG_BYTES, is_sealed, sealed_by


def test_whose_it_is_by_which_key_and_its_number():
    data = HEADER.pack(MAGIC, b"keyi", bytes(range(16)), 7, 2**40) + bytes(TAG_BYTES)
    assert sealed_by(data) == (b"keyi", bytes(range(16)), 7, 2**40)
    assert len(data) == SEAL_BYTES == 55


@pytest.mark.parametrize("data", [b"", b"m", DATAGRAM_MAGIC + bytes(80), b"GET / HTTP/1.1"])
def test_what_is_not_sealed_is_told_from_it(data):
    assert not is_sealed(data)
    assert sealed_by(data) is None


def test_what_is_cut_off_or_of_another_version_is_refused_by_reason():
    with pytest.raises(DecodeError, match="malformed seal"):
        sealed_by(MAGIC + bytes(SEAL_BYTES - len(MAGIC) - 1))
    with pytest.raises(DecodeError, match="unknown version of a sealed datagram: 02"):
        sealed_by(MAGIC[:2] + b"\x02" + bytes(80))
