"""What goes over a link after its handshake: each frame sealed, in order, by a key a direction.

A frame that is changed, left out, doubled or out of order does not open. After 2^20 frames the
key is replaced by one that it gives (Noise, 11.3), so that none is used for too much.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..errors import DecodeError

REKEY_FRAMES = 2**20
"""Far below what AES-GCM allows one key: 2^24 records of full size (RFC 8446, 5.5)."""

_LAST_NONCE = bytes(4) + b"\xff" * 8


class _Direction:
    __slots__ = ("aead", "key", "number")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.aead = AESGCM(key)
        self.number = 0

    def nonce(self) -> bytes:
        """Of the next frame."""
        number = self.number
        if number and not number % REKEY_FRAMES:
            self.key = self.aead.encrypt(_LAST_NONCE, bytes(32), None)[:32]
            self.aead = AESGCM(self.key)
        self.number = number + 1
        return number.to_bytes(12, "big")


class Records:
    """Both directions of one link. Frames are sealed in the order in which they are sent."""

    __slots__ = ("_in", "_out")

    def __init__(self, key_out: bytes, key_in: bytes) -> None:
        self._out = _Direction(key_out)
        self._in = _Direction(key_in)

    def seal(self, frame: bytes) -> bytes:
        """A frame as it goes over the link."""
        nonce = self._out.nonce()
        return self._out.aead.encrypt(nonce, frame, None)

    def open(self, record: bytes | bytearray | memoryview) -> bytes:
        """What was sealed.

        Raises:
            DecodeError: it is not what the other end sent next.
        """
        nonce = self._in.nonce()
        try:
            return self._in.aead.decrypt(nonce, record, None)
        except InvalidTag:
            raise DecodeError("forged frame") from None
