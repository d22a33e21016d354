"""The host key: what members of one user on one host know and nobody else does.

It lies in the runtime directory, whose path depends on the user alone. Whoever can read it belongs
to us; so it may be read by the directory's user, or its group, and by nobody else.

What runs for long outlives files in /tmp: systems remove there what nobody used for ten days. A
member that runs uses the key now and then and puts it back when it is gone (``kept_key``), or
those who come later would have another one and meet nobody.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ..claims import is_shared
from ..errors import ConfigError

KEY_NAME = "host-key"
KEY_BYTES = 32

TRIES = 3
"""A key that is gone again whenever it was made is somebody's doing."""


def host_key(directory: Path) -> bytes:
    """The 32 bytes of a runtime directory, made by whoever comes first.

    Raises:
        ConfigError: it cannot be made or read, or others can; the text has the next step.
    """
    return _held(directory, lambda: os.urandom(KEY_BYTES))


def kept_key(directory: Path, key: bytes) -> bytes:
    """Uses the key of a directory, so that nobody cleans it away; puts ``key`` there when it is
    gone. Returns what is there: another one, if others were quicker.

    Raises:
        ConfigError: as ``host_key``.
    """
    found = _held(directory, lambda: key)
    with suppress(OSError):  # a group's key may be somebody else's; that we read it is use as well
        os.utime(directory / KEY_NAME)
    return found


def _held(directory: Path, make: Callable[[], bytes]) -> bytes:
    path = directory / KEY_NAME
    for _ in range(TRIES):
        key = _read(path)
        if key is not None:
            return key
        _put(path, make())
    raise ConfigError(f"host key {path} is removed by somebody as soon as it is made")


def _put(path: Path, key: bytes) -> None:
    """Puts it there complete, or leaves what somebody else has put there."""
    name = ""
    try:
        handle, name = tempfile.mkstemp(prefix=f"{KEY_NAME}.", dir=path.parent)  # mode 0600
        with open(handle, "wb") as file:
            if is_shared(path.parent):
                os.fchmod(handle, 0o640)
            file.write(key)
            file.flush()
            os.fsync(handle)  # or a crash of the machine leaves an empty one
        with suppress(FileExistsError):
            os.link(name, path)
    except OSError as error:
        raise ConfigError(
            f"host key {path} cannot be made ({error.strerror or error}): see to it, or set "
            "MESHCLUSTER_RUNTIME_DIR to a directory of your own"
        ) from error
    finally:
        if name:
            os.unlink(name)


def _read(path: Path) -> bytes | None:
    """The key; None where there is none.

    Raises:
        ConfigError: what is there is no key, or no secret.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        handle = os.open(path, flags | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        return None
    except OSError as error:
        text = f"host key {path} cannot be read ({error.strerror or error})"
        raise ConfigError(f"{text}: {_removal(path)}") from error
    try:
        trouble = _trouble(os.fstat(handle), path.parent)
        key = b"" if trouble else os.read(handle, KEY_BYTES + 1)
    finally:
        os.close(handle)
    if not trouble and len(key) != KEY_BYTES:
        trouble = f"is damaged: {KEY_BYTES} bytes are expected"
    if trouble:
        raise ConfigError(f"host key {path} {trouble}; {_removal(path)}")
    return key


def _trouble(found: os.stat_result, directory: Path) -> str:
    """Why it is no secret, or nothing. ``directory`` was looked at by whoever chose it."""
    if not stat.S_ISREG(found.st_mode):
        return "is not a regular file"
    if sys.platform == "win32":
        return ""
    around = directory.stat()
    if is_shared(directory):
        if found.st_gid != around.st_gid:
            return f"belongs to group {found.st_gid}"
        return "is open to others" if found.st_mode & 0o007 else ""
    if found.st_uid != around.st_uid:
        return f"belongs to user {found.st_uid}"
    return "is open to others" if found.st_mode & 0o077 else ""


def _removal(path: Path) -> str:
    return f"end the members that use it, then remove it (rm -r {path}): the next to join makes one"
