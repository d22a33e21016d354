"""The handshake of a link: ``Noise_NNpsk0_25519_AESGCM_SHA256`` of the Noise Protocol Framework,
revision 34 (noiseprotocol.org/noise.html).

Both ends prove that they have the pre-shared key, and draw keys for this link alone (X25519): who
learns the secret later cannot read what went over it. Each handshake message may carry a few bytes.
"""

from __future__ import annotations

import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..errors import DecodeError
from .records import Records

PROTOCOL = b"Noise_NNpsk0_25519_AESGCM_SHA256"
PUBLIC_BYTES = 32
TAG_BYTES = 16


class _Symmetric:
    """The SymmetricState of the specification: a chaining key, a hash of all so far, a cipher."""

    def __init__(self, prologue: bytes) -> None:
        self.chain = self.hash = PROTOCOL  # 32 bytes long, so not hashed
        self._aead: AESGCM
        self._number = 0
        self.mix_hash(prologue)

    def mix_hash(self, data: bytes) -> None:
        self.hash = hashlib.sha256(self.hash + data).digest()

    def mix_key(self, material: bytes) -> None:
        self.chain, key = _derived(self.chain, material, 2)
        self._aead, self._number = AESGCM(key), 0

    def mix_key_and_hash(self, material: bytes) -> None:
        self.chain, mixed, key = _derived(self.chain, material, 3)
        self.mix_hash(mixed)
        self._aead, self._number = AESGCM(key), 0

    def encrypt(self, plain: bytes) -> bytes:
        sealed = self._aead.encrypt(self._nonce(), plain, self.hash)
        self.mix_hash(sealed)
        return sealed

    def decrypt(self, sealed: bytes) -> bytes:
        try:
            plain = self._aead.decrypt(self._nonce(), sealed, self.hash)
        except InvalidTag:
            raise DecodeError("link of another secret") from None
        self.mix_hash(sealed)
        return plain

    def _nonce(self) -> bytes:
        self._number += 1
        return (self._number - 1).to_bytes(12, "big")


class Handshake:
    """One end of a handshake, of two messages: ``write`` and ``read`` in turn, then ``records``.

    ``ephemeral`` is 32 random bytes, never used twice. The prologue is what both ends must agree
    on.

    Raises:
        DecodeError: from ``read``: malformed, or the other end has another key or prologue.
    """

    def __init__(self, psk: bytes, prologue: bytes, ephemeral: bytes, *, initiator: bool) -> None:
        self._symmetric = _Symmetric(prologue)
        self._symmetric.mix_key_and_hash(psk)
        self._ephemeral = X25519PrivateKey.from_private_bytes(ephemeral)
        self._remote: bytes | None = None
        self._initiator = initiator

    def write(self, payload: bytes = b"") -> bytes:
        """Our message: an ephemeral public key and the payload, sealed."""
        public = self._ephemeral.public_key().public_bytes_raw()
        self._mix_public(public)
        if not self._initiator:
            self._mix_shared()
        return public + self._symmetric.encrypt(payload)

    def read(self, message: bytes) -> bytes:
        """Takes the other end's message; returns its payload."""
        if len(message) < PUBLIC_BYTES + TAG_BYTES:
            raise DecodeError("malformed handshake")
        self._remote = message[:PUBLIC_BYTES]
        self._mix_public(self._remote)
        if self._initiator:
            self._mix_shared()
        return self._symmetric.decrypt(message[PUBLIC_BYTES:])

    def records(self) -> Records:
        """What seals and opens everything that follows."""
        ours, theirs = _derived(self._symmetric.chain, b"", 2)
        return Records(ours, theirs) if self._initiator else Records(theirs, ours)

    def _mix_public(self, public: bytes) -> None:
        self._symmetric.mix_hash(public)
        self._symmetric.mix_key(public)  # as every "e" does where there is a pre-shared key

    def _mix_shared(self) -> None:
        assert self._remote is not None
        try:
            shared = self._ephemeral.exchange(X25519PublicKey.from_public_bytes(self._remote))
        except ValueError:  # a point of small order: no secret would come of it
            raise DecodeError("malformed handshake") from None
        self._symmetric.mix_key(shared)


def _derived(chain: bytes, material: bytes, count: int) -> list[bytes]:
    """The HKDF of the specification (4.3)."""
    temporary = hmac.digest(chain, material, "sha256")
    outputs, last = [], b""
    for number in range(1, count + 1):
        last = hmac.digest(temporary, last + bytes([number]), "sha256")
        outputs.append(last)
    return outputs
