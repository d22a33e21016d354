"""A ring of keys: the first seals, all open, and one that is used cannot be taken away."""

import pytest

from meshcluster.errors import ConfigError
from meshcluster.security.keyring import Keyring
from meshcluster.security.keys import Key

A, B, C, D, E = (Key.of_bytes(bytes([number]) * 32, "c") for number in range(5))


def test_a_secret_is_changed_in_three_steps():
    ring = Keyring([A])
    ring.add(B)
    assert ring.first is A
    assert ring.find(B.id) is B
    ring.use(B.id)
    assert ring.first is B
    ring.remove(A.id)
    assert ring.keys == (B,)
    assert ring.find(A.id) is None


def test_adding_a_key_twice_is_one_key():
    ring = Keyring([A])
    ring.add(A)
    assert ring.keys == (A,)


def test_the_key_that_seals_is_not_removed():
    with pytest.raises(ConfigError, match="in use"):
        Keyring([A, B]).remove(A.id)


@pytest.mark.parametrize("change", [Keyring.use, Keyring.remove])
def test_a_key_that_is_not_there_is_named_with_those_that_are(change):
    with pytest.raises(ConfigError, match=f"{B.id.hex()} is not .* are: {A.id.hex()}"):
        change(Keyring([A]), B.id)


def test_four_keys_are_the_most():
    ring = Keyring([A, B, C, D])
    with pytest.raises(ConfigError, match="4 keys"):
        ring.add(E)


def test_without_keys_nothing_is_required():
    assert not Keyring().required
    assert Keyring().first is None
    assert Keyring([A]).required
    assert not Keyring([A], required=False).required
