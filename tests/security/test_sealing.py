"""Datagrams: who has the key opens what others sealed; anything else is refused, named."""

import pytest

from meshcluster.errors import DecodeError
from meshcluster.model import Identity
from meshcluster.security.keyring import Keyring
from meshcluster.security.keys import Key
from meshcluster.security.sealing import KEPT_CIPHERS, Seal, UnknownKey
from meshcluster.wire.sealed import SEAL_BYTES, is_sealed, sealed_by

A, B = (Key.of_bytes(bytes([number]) * 32, "c") for number in (1, 2))
ME, OTHER = (Identity(bytes([number]) * 16, number, "n", "h") for number in (1, 2))


def test_what_is_sealed_opens_with_its_sender_and_number():
    sender = Seal(ME)
    for number in (1, 2, 3):
        sealed = sender.seal(A, b"beacon")
        assert is_sealed(sealed)
        assert len(sealed) == SEAL_BYTES + 6
        opened = Seal(OTHER).open(Keyring([B, A]), sealed)
        assert opened == (ME.key, number, A, b"beacon")


def test_nothing_of_what_it_says_can_be_seen():
    assert b"beacon" not in Seal(ME).seal(A, b"beacon")
    assert Seal(ME).seal(A, b"beacon")[31:] != Seal(OTHER).seal(A, b"beacon")[31:]


def test_what_another_key_sealed_is_known_as_that():
    with pytest.raises(UnknownKey):
        Seal(OTHER).open(Keyring([B]), Seal(ME).seal(A, b"x"))


@pytest.mark.parametrize("place", range(SEAL_BYTES + 6))
def test_a_change_anywhere_is_refused(place):
    sealed = bytearray(Seal(ME).seal(A, b"beacon"))
    sealed[place] ^= 1
    with pytest.raises(DecodeError):
        Seal(OTHER).open(Keyring([A]), bytes(sealed))


@pytest.mark.parametrize("size", [*range(0, SEAL_BYTES, 9), SEAL_BYTES - 1])
def test_what_is_cut_off_is_refused(size):
    with pytest.raises(DecodeError):
        Seal(OTHER).open(Keyring([A]), Seal(ME).seal(A, b"beacon")[:size])


def test_the_open_part_says_who_and_by_which_key():
    sealed = sealed_by(Seal(ME).seal(A, b"x"))
    assert sealed == (A.id, ME.id, ME.boot, 1)
    assert sealed_by(b"mc\1plain") is None
    with pytest.raises(DecodeError, match="version"):
        sealed_by(b"ms\2")


def test_ciphers_are_kept_for_those_who_have_the_key_and_not_without_end():
    receiver = Seal(OTHER)
    for number in range(KEPT_CIPHERS + 50):
        sender = Seal(Identity(number.to_bytes(16, "big"), 1, "n", "h"))
        receiver.open(Keyring([A]), sender.seal(A, b"x"))
        forged = bytearray(sender.seal(A, b"x"))
        forged[-1] ^= 1
        forged[8:23] = b"stranger" + number.to_bytes(7, "big")
        with pytest.raises(DecodeError, match="forged"):
            receiver.open(Keyring([A]), bytes(forged))
    assert len(receiver._ciphers) == KEPT_CIPHERS
