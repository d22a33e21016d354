"""Datagrams, sealed: whoever has the key can open them, nobody else can read or make one.

A sealed datagram is a header (magic and version, the key's id, the sender's id and run, a number)
and the AES-GCM of what it carries, 55 bytes more in all. Every run of a member has a key of its
own, derived from the shared one (HKDF), so that numbers serve as nonces and are never used twice.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..errors import DecodeError
from ..model import Identity, member_key
from ..wire.sealed import HEADER, MAGIC, sealed_by
from .keyring import Keyring
from .keys import Key, expand

KEPT_CIPHERS = 256
"""Senders whose cipher is kept (2.5 KB each); others' are made anew for each datagram (5 us)."""


class Opened(NamedTuple):
    """What was in a sealed datagram: whose it is (id and boot), with which number and key."""

    sender: bytes
    number: int
    key: Key
    data: bytes


class UnknownKey(DecodeError):
    """It may be good, but it is for those who have another secret."""


class Seal:
    """Seals for one run of a member, and opens what others have sealed."""

    def __init__(self, identity: Identity) -> None:
        self._me = identity
        self._number = 0
        self._ciphers: OrderedDict[tuple[bytes, bytes], AESGCM] = OrderedDict()

    def seal(self, key: Key, data: bytes) -> bytes:
        """A datagram of ours, sealed."""
        self._number += 1
        header = HEADER.pack(MAGIC, key.id, self._me.id, self._me.boot, self._number)
        cipher = self._cipher(key, self._me.key)
        return header + cipher.encrypt(_nonce(self._number), data, header)

    def open(self, keyring: Keyring, data: bytes) -> Opened:
        """What is in a sealed datagram.

        Raises:
            DecodeError: the text up to its colon is the reason under which it is counted.
        """
        sealed = sealed_by(data)
        if sealed is None:
            raise DecodeError("foreign datagram")
        key = keyring.find(sealed.key_id)
        if key is None:
            raise UnknownKey("sealed with a key that is not ours")
        sender = member_key(sealed.id, sealed.boot)
        kept = self._ciphers.get((key.id, sender))
        cipher = kept or _cipher_of(key, sender)
        try:
            opened = cipher.decrypt(_nonce(sealed.number), data[HEADER.size :], data[: HEADER.size])
        except InvalidTag:
            raise DecodeError("forged") from None
        if kept is None:  # and only now: what is forged must not push others out
            self._keep(key, sender, cipher)
        return Opened(sender, sealed.number, key, opened)

    def _cipher(self, key: Key, sender: bytes) -> AESGCM:
        cipher = self._ciphers.get((key.id, sender))
        if cipher is None:
            cipher = _cipher_of(key, sender)
            self._keep(key, sender, cipher)
        return cipher

    def _keep(self, key: Key, sender: bytes, cipher: AESGCM) -> None:
        self._ciphers[key.id, sender] = cipher
        if len(self._ciphers) > KEPT_CIPHERS:
            self._ciphers.popitem(last=False)


def _cipher_of(key: Key, sender: bytes) -> AESGCM:
    """Every run of a member has its own key, so that it alone counts the nonces."""
    return AESGCM(expand(key.datagram, sender))


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")
