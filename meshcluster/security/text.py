"""Keys as text: what ``meshcluster keygen`` writes and a person copies.

``mc1_``, then 32 random bytes and a checksum of them in base32. The checksum makes a slip of the
hand an error here: a secret that is merely wrong meets silence, for nobody answers it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os

from ..errors import ConfigError

PREFIX = "mc1_"
KEY_BYTES = 32
CHECK_BYTES = 4
TEXT_CHARACTERS = 58
"""Those after the prefix: 36 bytes, five bits a character."""

_PADDING = "=" * 6


def new_key() -> str:
    """A key of 32 random bytes, as text: 62 characters of ``a-z2-7_``, beginning with ``mc1_``."""
    return text_of(os.urandom(KEY_BYTES))


def text_of(key: bytes) -> str:
    """How 32 bytes are written."""
    return PREFIX + base64.b32encode(key + _check(key)).decode().rstrip("=").lower()


def is_key(text: str) -> bool:
    """Whether it is meant to be a generated key: it begins as one."""
    return text.startswith(PREFIX)


def parse_key(text: str) -> bytes:
    """The 32 bytes of a generated key. Letters may be large or small.

    Raises:
        ConfigError: it is none, or was not copied exactly; the key is not in the text.
    """
    trouble = _trouble(text)
    if trouble:
        raise ConfigError(
            f"a secret that begins with {PREFIX} is a generated key, and {trouble}: copy it again "
            "('meshcluster keygen' makes a new one)"
        )
    return _decoded(text)[:KEY_BYTES]


def _trouble(text: str) -> str:
    """What is wrong with it, or nothing. Apart, so that no error has the key in its context."""
    count = len(text) - len(PREFIX)
    if not is_key(text):
        return "this one does not begin so"
    if count != TEXT_CHARACTERS:
        return f"this one has {count} characters after that, not {TEXT_CHARACTERS}"
    try:
        found = _decoded(text)
    except (binascii.Error, ValueError):
        return "this one has characters other than a-z and 2-7"
    if found[KEY_BYTES:] != _check(found[:KEY_BYTES]) or text_of(found[:KEY_BYTES]) != text.lower():
        return "a character of this one is wrong"
    return ""


def _decoded(text: str) -> bytes:
    return base64.b32decode(text[len(PREFIX) :].upper() + _PADDING)


def _check(key: bytes) -> bytes:
    return hashlib.sha256(PREFIX.encode() + key).digest()[:CHECK_BYTES]
