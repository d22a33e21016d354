"""Who has the key reads and is answered; who has not is refused."""

import importlib.util

import pytest

pytestmark = pytest.mark.process

HAS_CIPHER = importlib.util.find_spec("cryptography") is not None
MEMBERS_WITH_THE_KEY = [
    "bob hears {'the code': 1234}",
    "bob answers when? at noon",
]


def check(said):
    assert all(line in said for line in MEMBERS_WITH_THE_KEY)
    assert "I am alice" not in said
    assert "eve is answered {} " in said


@pytest.mark.skipif(not HAS_CIPHER, reason="needs the package cryptography")
def test_it_is_encrypted(shell):
    said = shell("examples/sealed_channel.py").end()
    assert said.startswith("encrypted")
    assert "eve cannot read it" in said
    check(said)


def test_without_a_cipher_it_is_signed_and_says_so(shell):
    said = shell("examples/sealed_channel.py", "--sign").end()
    assert said.startswith("signed, NOT encrypted")
    assert "eve can read it" in said
    check(said)
