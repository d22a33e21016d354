"""Where a mesh's secrets come from: what ``secret=`` was given, a file, the environment.

No error has a secret in its text or in its context, and nothing here is logged.
"""

from __future__ import annotations

import os
import stat
import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ..errors import ConfigError
from ..security.text import is_key, parse_key

FILE_VARIABLE = "MESHCLUSTER_SECRET_FILE"
VARIABLE = "MESHCLUSTER_SECRET"

MOST_SECRETS = 4
"""While one takes the place of another there are two; more than four is a mistake."""

SHORTEST_CHARACTERS = 12
"""Whoever records a datagram can try passphrases at home: short ones are found."""

LONGEST_CHARACTERS = 1024
PATHS = ("/", "./", "~/")
"""What begins so was meant to be a file, and would be a secret that everybody knows."""

FILE_BYTES = 64 * 1024
ADVICE = "'meshcluster keygen' makes a good one"


Secret = str | bytes | Path | Sequence[str | bytes | Path] | None
"""What ``secret=`` takes."""


def secrets_of(given: object, environment: Mapping[str, str]) -> tuple[bytes, ...]:
    """The secrets, in order: the first one sends, all are understood. None: no secret.

    Args:
        given: a passphrase or a generated key as ``str`` or ``bytes`` (UTF-8); a ``Path`` to a
            file with one a line; a sequence of these; None: what the environment says
            (``MESHCLUSTER_SECRET_FILE``, a path, or ``MESHCLUSTER_SECRET``). An empty sequence is
            no secret whatever the environment says.
        environment: the process's.

    Raises:
        ConfigError: it cannot be used, and why; a secret is never in the text.
    """
    if given is None:
        found = tuple(_of_environment(environment))
    elif isinstance(given, str | bytes | Path):
        found = tuple(_each(given, "secret="))
    elif isinstance(given, Sequence):
        found = tuple(
            secret
            for number, each in enumerate(given, 1)
            for secret in _each(each, f"secret=, item {number}")
        )
    else:
        raise _not_usable("secret=", given)
    if len(found) > MOST_SECRETS:
        raise ConfigError(f"secret=: {len(found)} secrets, {MOST_SECRETS} at most")
    if len(set(found)) < len(found):
        raise ConfigError("secret=: the same secret twice")
    return found


def _of_environment(environment: Mapping[str, str]) -> Iterator[bytes]:
    path, text = environment.get(FILE_VARIABLE), environment.get(VARIABLE)
    if path is not None and text is not None:
        raise ConfigError(f"{FILE_VARIABLE} and {VARIABLE} are both set: unset one of them")
    if path is not None:
        if not path:
            raise ConfigError(f"{FILE_VARIABLE} is empty: unset it, or name a file")
        yield from _of_file(Path(path))
    elif text is not None:
        yield _checked(text, VARIABLE)


def _each(given: object, where: str) -> Iterator[bytes]:
    if isinstance(given, Path):
        yield from _of_file(given)
    elif isinstance(given, str):
        yield _checked(given, where)
    elif isinstance(given, bytes):
        yield _checked(_decoded(given, where), where)
    else:
        raise _not_usable(where, given)


def _not_usable(where: str, given: object) -> ConfigError:
    wanted = "a text, bytes, a pathlib.Path or a sequence of these"
    return ConfigError(f"{where}: {wanted}, not {type(given).__name__}")


def _decoded(given: bytes, where: str) -> str:
    text = given.decode(errors="replace")
    if text.encode() != given:
        raise ConfigError(f"{where}: bytes are the text of a secret in UTF-8; {ADVICE}")
    return text


def _checked(text: str, where: str) -> bytes:
    """The secret as bytes. What looks the same is the same, however a keyboard composes letters.

    Raises:
        ConfigError: it is too short or cannot be what was meant.
    """
    if is_key(text.strip()):
        if text != text.strip():
            raise ConfigError(f"{where}: white space around a key: strip() it")
        parse_key(text)
        return text.lower().encode()
    trouble = ""
    if text != text.strip():
        trouble = "it begins or ends with white space: strip() it"
    elif not text:
        trouble = f"it is empty: leave it out, or give one; {ADVICE}"
    elif text.startswith(PATHS):
        trouble = "it looks like the path of a file: give a pathlib.Path"
    elif not text.isprintable():  # a surrogate, a line end
        trouble = f"printable characters only; {ADVICE}"
    elif len(text) < SHORTEST_CHARACTERS:
        trouble = f"{len(text)} characters, at least {SHORTEST_CHARACTERS} are needed; {ADVICE}"
    elif len(text) > LONGEST_CHARACTERS:
        trouble = f"{len(text)} characters, {LONGEST_CHARACTERS} at most"
    if trouble:
        raise ConfigError(f"{where}: {trouble}")
    return unicodedata.normalize("NFC", text).encode()


def _of_file(path: Path) -> Iterator[bytes]:
    """The secrets of a file, one a line; blank lines and those that begin with ``#`` are none."""
    lines = _decoded(_read(path), f"secret file {path}").splitlines()
    found = False
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text and not text.startswith("#"):
            found = True
            yield _checked(text, f"secret file {path}, line {number}")
    if not found:
        raise ConfigError(f"secret file {path}: no secret in it; {ADVICE}")


def _read(path: Path) -> bytes:
    """What is in it; the file that was opened is the one that is looked at.

    Raises:
        ConfigError: it cannot be read, or others can.
    """
    trouble = ""
    try:
        # A pipe without a writer would have us wait for ever.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        trouble = f": is not there; 'meshcluster keygen {path}' makes it"
    except (OSError, ValueError) as error:
        trouble = f": {getattr(error, 'strerror', None) or error}"
    else:
        try:
            trouble = _trouble(os.fstat(handle), path)
            content = b"" if trouble else os.read(handle, FILE_BYTES + 1)
        finally:
            os.close(handle)
        if len(content) > FILE_BYTES:
            trouble = f" is larger than {FILE_BYTES} bytes"
    if trouble:
        raise ConfigError(f"secret file {path}{trouble}")
    return content


def _trouble(found: os.stat_result, path: Path) -> str:
    """Why a file is no place for a secret, or nothing."""
    if not stat.S_ISREG(found.st_mode):
        return " is not a regular file"
    if sys.platform == "win32":
        return ""
    if found.st_uid not in (0, os.geteuid()):
        return f" belongs to user {found.st_uid}: it must be yours or root's"
    # The administrator may hand one to a group: systemd's credentials have such modes.
    group = 0 if found.st_uid == 0 != os.geteuid() else 0o070
    if found.st_mode & (0o037 | group):
        return f" can be used by others (mode {found.st_mode & 0o777:04o}): chmod 600 {path}"
    return ""
