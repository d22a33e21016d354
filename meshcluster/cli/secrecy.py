"""What ``meshcluster doctor`` says of keys: which one is in use, and who uses another one.

A key is told by its id alone, which stands on all that it seals.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .checks import BROKEN, GOOD, NOTE, Check
from .hearing import Heard, understood
from .options import Settings

if TYPE_CHECKING:
    from ..security.keyring import Keyring

MAKE = "'meshcluster keygen FILE' makes a secret; give it to all by --secret-file or"
NONE = "without a secret whoever is on the network can join, read and send"


def secrecy(settings: Settings, folder: Path | None) -> tuple[Check, Keyring]:
    """By what a member would seal; its keys. ``folder``: where members meet, if there is a good
    one. Nothing is made there.
    """
    from ..errors import ConfigError
    from ..runtime.realm import key_of
    from ..runtime.secrets import FILE_VARIABLE, secrets_of
    from ..security.keyring import Keyring

    given = settings.joining.get("secret")
    try:
        secrets = secrets_of(given, os.environ)
        keyring = Keyring([key_of(each, settings.cluster) for each in secrets], is_secret=True)
    except ConfigError as error:
        return Check("secret", "secret", BROKEN, str(error)), Keyring()
    if not secrets:
        return _host_key(settings, folder)
    ids = [each.id.hex() for each in keyring.keys]
    more = f", {', '.join(ids[1:])} understood as well" if ids[1:] else ""
    where = str(given or os.environ.get(FILE_VARIABLE, "of the environment"))
    return Check("secret", where, GOOD, f"key {ids[0]} seals{more}"), keyring


def _host_key(settings: Settings, folder: Path | None) -> tuple[Check, Keyring]:
    """No secret: the key of this user, or group, on this host."""
    from ..errors import ConfigError
    from ..runtime.keys import KEY_NAME, found_key
    from ..runtime.secrets import FILE_VARIABLE
    from ..security.keyring import Keyring
    from ..security.keys import Key

    is_open = settings.ttl > 0
    advice = f"{MAKE} {FILE_VARIABLE}" if is_open else ""
    subject, state = ("none", NOTE) if is_open else ("host key", GOOD)
    if folder is None:
        return Check("secret", subject, state, NONE if is_open else "see above", advice), Keyring()
    try:
        found = found_key(folder)
    except ConfigError as error:
        return Check("secret", str(folder / KEY_NAME), BROKEN, str(error)), Keyring()
    keys = [] if found is None else [Key.of_bytes(found, settings.cluster)]
    if is_open:
        text = NONE
    elif keys:
        text = f"key {keys[0].id.hex()} seals, for {_whom(settings)} on this host alone"
    else:
        text = f"the first member to join makes one, for {_whom(settings)} on this host alone"
    return Check("secret", subject, state, text, advice), Keyring(keys, required=not is_open)


def _whom(settings: Settings) -> str:
    return "our user" if settings.group is None else f"group {settings.group}"


def other_keys(heard: Sequence[Heard], keyring: Keyring) -> list[Check]:
    """Who was heard and is not understood by our members: those with another key, or none."""
    from ..errors import DecodeError
    from ..wire.sealed import sealed_by

    places: dict[str, set[str]] = {}
    for each in heard:
        try:
            seal = sealed_by(each.data)
        except DecodeError:
            continue
        if seal is not None:
            places.setdefault(f"seal with key {seal.key_id.hex()}", set()).add(each.address)
        elif understood(each.data) is not None:
            places.setdefault("do not seal", set()).add(each.address)
    if keyring.is_secret:
        advice = "give them our secret, if they belong to us"
    else:
        advice = "they are another user's, or have a secret: --secret-file names it"
    checks = []
    for what, addresses in sorted(places.items()):
        shown = ", ".join(sorted(addresses)[:5])
        text = f"members at {shown} {what}: they and ours do not hear each other"
        checks.append(Check("heard", "other secret", NOTE, text, advice))
    return checks
