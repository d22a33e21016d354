"""What a command that joins nothing seals and opens with: the keys that members here have."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from .checks import GOOD, NOTE, SKIPPED, Check
from .options import Settings

if TYPE_CHECKING:
    from ..security.keyring import Keyring


def keys(settings: Settings, folder: Path | None) -> tuple[Check, Keyring | None]:
    """The keyring of such a member, and what is to be said of it; none without a directory that the
    host's key could lie in. Warns of nothing.

    Raises:
        ConfigError: the secret, or the host's key, cannot be used.
    """
    from ..runtime.keys import host_key
    from ..runtime.realm import key_of
    from ..runtime.secrets import secrets_of
    from ..security.keyring import Keyring
    from ..security.keys import Key

    secrets = secrets_of(settings.joining.get("secret"), os.environ)
    if secrets:
        ring = Keyring([key_of(each, settings.cluster) for each in secrets], is_secret=True)
        ids = ", ".join(key.id.hex() for key in ring.keys)
        return Check("secret", ids, GOOD, "seals all that is said, also beyond this host"), ring
    if folder is None:
        return Check("secret", "-", SKIPPED, "no directory for the host's key"), None
    key = Key.of_bytes(host_key(folder), settings.cluster)
    ring = Keyring([key], required=settings.ttl == 0)
    if settings.ttl == 0:
        return Check("secret", key.id.hex(), GOOD, "the host's key: of your own user here"), ring
    text = f"none at --ttl {settings.ttl}: whoever is on the network can join, read and send"
    advice = "'meshcluster keygen PATH' makes one; --secret-file PATH names it"
    return Check("secret", "-", NOTE, text, advice), ring
