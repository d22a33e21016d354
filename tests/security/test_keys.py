"""Keys come from secrets as the standards say, and differ by cluster and purpose."""

import pytest

from meshcluster.security.keys import Key, expand, extract


def test_hkdf_gives_what_rfc_5869_says():
    prk = extract(bytes.fromhex("000102030405060708090a0b0c"), b"\x0b" * 22)
    assert prk.hex() == "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"
    okm = expand(prk, bytes.fromhex("f0f1f2f3f4f5f6f7f8f9"))
    assert okm.hex() == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"


def test_the_same_secret_gives_the_same_key():
    assert Key.of_secret(b"correct horse", "a") == Key.of_secret(b"correct horse", "a")
    assert Key.of_bytes(bytes(32), "a") == Key.of_bytes(bytes(32), "a")


@pytest.mark.parametrize(
    "other",
    [Key.of_bytes(b"\1" * 32, "a"), Key.of_bytes(bytes(32), "b")],
    ids=["a", "b"],
)
def test_another_secret_or_cluster_gives_another_key(other):
    key = Key.of_bytes(bytes(32), "a")
    both = (key, other)
    assert len({each.id for each in both}) == len({each.link for each in both}) == 2
    assert len({each.datagram for each in both}) == 2


def test_a_key_shows_nothing_but_its_id():
    key = Key.of_bytes(b"\7" * 32, "a")
    assert repr(key) == f"Key({key.id.hex()})"
