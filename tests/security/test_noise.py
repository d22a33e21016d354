"""The handshake gives what the published test vectors say, and nothing to who has not the key."""

import pytest

from meshcluster.errors import DecodeError
from meshcluster.security.noise import Handshake

# Noise_NNpsk0_25519_AESGCM_SHA256 of vectors/cacophony.txt, haskell-cryptography/cacophony 36c1e5c.
PROLOGUE = bytes.fromhex("4a6f686e2047616c74")
PSK = bytes.fromhex("54686973206973206d7920417573747269616e20706572737065637469766521")
NEAR = bytes.fromhex("893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a")
FAR = bytes.fromhex("bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b")
MESSAGES = [
    (b"Ludwig von Mises",
     "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944"
     "7c37a89fc17813788d30df2d59501d6066f5f8aecc3406bbd9829f2d24a531b1"),
    (b"Murray Rothbard",
     "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843"
     "2f29d79368ef9de4e1ae7a362fb05bf0ad668e026bf5714554497b3a720461"),
    (b"F. A. Hayek", "7c01e898a6201f36aecee532e29cd0b7f8ffa29d3366ad0dce39a6"),
    (b"Carl Menger", "a9ff535aace3db6a1da1a7fb00fe2de2622bb373abad9fb42c00e0"),
    (b"Jean-Baptiste Say",
     "6cfc49a3e65472edc2d0152abe5ce950170a8a47c959f30bd48b5f0aacf29adbfd"),
    (b"Eugen B\xf6hm von Bawerk",
     "9bc86e6d974ed21ba04604a94aa68de21677eb409ead070c0cd569b069ee19ba142aa4c1a9"),
]  # fmt: skip


def ends(*, psk=PSK, prologue=PROLOGUE):
    """Both ends; what is given is the far one's."""
    return (
        Handshake(PSK, PROLOGUE, NEAR, initiator=True),
        Handshake(psk, prologue, FAR, initiator=False),
    )


def test_the_published_vectors():
    near, far = ends()
    (first, sealed), (second, answered), *transported = MESSAGES
    assert near.write(first).hex() == sealed
    assert far.read(bytes.fromhex(sealed)) == first
    assert far.write(second).hex() == answered
    assert near.read(bytes.fromhex(answered)) == second
    both = near.records(), far.records()
    for number, (plain, expected) in enumerate(transported):
        sender, receiver = both if number % 2 == 0 else both[::-1]
        assert sender.seal(plain).hex() == expected
        assert receiver.open(bytes.fromhex(expected)) == plain


@pytest.mark.parametrize("other", [{"psk": bytes(32)}, {"prologue": b"another cluster"}])
def test_who_has_another_key_or_prologue_is_not_understood(other):
    near, far = ends(**other)
    with pytest.raises(DecodeError, match="another secret"):
        far.read(near.write())


@pytest.mark.parametrize("place", range(0, 50, 7))
def test_a_changed_message_is_refused_by_either_end(place):
    near, far = ends()
    message = bytearray(near.write(b"hi"))
    message[place] ^= 4
    with pytest.raises(DecodeError):
        far.read(bytes(message))
    near, far = ends()
    far.read(near.write(b"hi"))
    answer = bytearray(far.write(b"hi"))
    answer[place] ^= 4
    with pytest.raises(DecodeError):
        near.read(bytes(answer))


@pytest.mark.parametrize("size", [0, 1, 32, 47])
def test_a_message_that_is_cut_off_is_refused(size):
    _, far = ends()
    with pytest.raises(DecodeError, match="malformed"):
        far.read(bytes(size))


def test_a_point_that_gives_no_secret_is_refused():
    """All zeros: X25519 with it gives zeros, whatever the other key is (RFC 7748, 6.1)."""
    near, far = ends()
    far.read(near.write())
    answer = Handshake(PSK, PROLOGUE, FAR, initiator=False)
    answer._mix_public(bytes(32))
    with pytest.raises(DecodeError, match="malformed"):
        near.read(bytes(32) + bytes(16))


def test_a_message_of_an_earlier_handshake_leads_nowhere():
    """A replayed first message gets an answer; without its ephemeral key nobody can go on."""
    near, far = ends()
    recorded = near.write()
    far.read(recorded)
    again = Handshake(PSK, PROLOGUE, bytes(range(32)), initiator=False)
    again.read(recorded)
    again.write()
    with pytest.raises(DecodeError, match="forged"):
        again.records().open(far.records().seal(b"of the earlier one"))
