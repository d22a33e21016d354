"""A secret made into keys: one for each purpose, bound to the cluster's name and the wire version.

HKDF-SHA256 (RFC 5869) divides them; a passphrase goes through scrypt (RFC 7914) first, so that
guessing one costs a tenth of a second and 32 MiB each time.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from functools import lru_cache

KEY_BYTES = 32
KEY_ID_BYTES = 4

SCRYPT_N = 2**15
SCRYPT_R = 8
SCRYPT_P = 1
"""The parameters that RFC 7914 calls interactive, twice as dear: 32 MiB."""

_LABEL = b"meshcluster/1/"


@dataclass(frozen=True, slots=True)
class Key:
    """What one secret gives in one cluster. Its ``id`` (4 bytes) is no secret: it stands on
    everything that is sealed, so that a receiver with several keys knows which to try.
    """

    id: bytes
    link: bytes = field(repr=False)
    """The pre-shared key of the handshake."""
    datagram: bytes = field(repr=False)
    """What the keys of senders are derived from."""
    name: bytes = field(repr=False)
    """What opaque names are made with."""

    @classmethod
    def of_secret(cls, secret: bytes, cluster: str) -> Key:
        """Of a passphrase: about a tenth of a second."""
        return cls.of_bytes(_stretched(secret, cluster), cluster)

    @classmethod
    def of_bytes(cls, material: bytes, cluster: str) -> Key:
        """Of 32 random bytes."""
        prk = extract(_LABEL + cluster.encode(), material)
        return cls(
            expand(prk, b"id")[:KEY_ID_BYTES], expand(prk, b"link"), expand(prk, b"datagram"),
            expand(prk, b"name"),
        )  # fmt: skip

    def opaque_name(self, what: bytes) -> str:
        """A name that tells nothing to who has not the key: 32 hexadecimal digits."""
        return hmac.digest(self.name, what, "sha256")[:16].hex()

    def __repr__(self) -> str:
        return f"Key({self.id.hex()})"


@lru_cache(maxsize=8)
def _stretched(secret: bytes, cluster: str) -> bytes:
    """Remembered, so that who joins again with the same passphrase does not wait again."""
    return hashlib.scrypt(
        secret, salt=_LABEL + cluster.encode(), n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P,
        maxmem=64 * 1024 * 1024, dklen=KEY_BYTES,
    )  # fmt: skip


def extract(salt: bytes, material: bytes) -> bytes:
    """HKDF-Extract of RFC 5869 with SHA-256."""
    return hmac.digest(salt, material, "sha256")


def expand(prk: bytes, info: bytes) -> bytes:
    """HKDF-Expand of RFC 5869 with SHA-256: the first 32 bytes, which is one block."""
    return hmac.digest(prk, info + b"\x01", "sha256")
