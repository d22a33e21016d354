"""``Origin``: one source of a transfer, and what paths mean at either end."""

from __future__ import annotations

import os
import posixpath
import shlex
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from .selector import flatten

MISSING, FILE, EMPTY, FULL = "missing", "file", "empty", "full"
"""What there is at a path: nothing; something that is no directory; a directory."""
_INSIDE = ("", ".", "..")


@dataclass(frozen=True, slots=True)
class Origin:
    """One source of a transfer.

    Attributes:
        path: of a file or directory, without "/" at its end.
        contents: only what is in the directory is meant, as its path ended with "/".
    """

    path: str
    contents: bool

    @property
    def name(self) -> str:
        """What it is called where it is brought; "" of the contents of a directory."""
        return "" if self.contents else posixpath.basename(self.path)

    @property
    def folder(self) -> str:
        """The directory that it is in; the directory itself, where its contents are meant."""
        return self.path if self.contents else posixpath.dirname(self.path) or "."


def origin(path: str) -> Origin:
    """The source that a path says."""
    contents = path.endswith("/") or posixpath.basename(path) in _INSIDE
    return Origin(path.rstrip("/") or "/", contents)


def texts(what: str, paths: str | Path | Sequence[str | Path]) -> list[str]:
    """Paths, single or in nested lists, as texts.

    Raises:
        ConfigError: there is none, or something else.
    """
    found = [text(what, each) for each in flatten(what, paths)]
    if not found or "" in found:
        raise ConfigError(f"{what}={paths!r:.80}: a path, or a list of paths")
    return found


def text(what: str, path: Any) -> str:
    """A path as a text; "" is the directory that paths start at.

    Raises:
        ConfigError: it is none.
    """
    if isinstance(path, os.PathLike):
        path = os.fspath(path)
    if not isinstance(path, str) or "\0" in path:
        raise ConfigError(f"{what}={path!r:.80}: a path")
    return path


# --- here -----------------------------------------------------------------------------------------


def here(path: str) -> str:
    """A path of this machine; "~/" is the home directory. None begins with "-", nor looks like a
    host's.
    """
    path = path.replace(os.sep, "/")
    if path == "~" or path.startswith("~/"):
        return os.path.expanduser("~").replace(os.sep, "/") + path[1:]
    return path if os.path.isabs(path) else f"./{path}"


def kind_here(source: Origin) -> str:
    """What there is."""
    try:
        mode = (os.stat if source.contents else os.lstat)(source.path).st_mode
        if not stat.S_ISDIR(mode):
            return MISSING if source.contents else FILE
        return FULL if os.listdir(source.path) else EMPTY
    except (FileNotFoundError, NotADirectoryError):
        return MISSING
    except PermissionError:
        return EMPTY


# --- there ----------------------------------------------------------------------------------------


def there(path: str, cwd: str | None) -> str:
    """A path of a site: relative ones start at its ``cwd``, or where its commands start."""
    if path == "~" or path.startswith("~/"):
        return path
    path = posixpath.join(cwd or "", path)
    return path if path.startswith(("/", "~/")) or path == "~" else f"./{path}"


def shell_word(path: str) -> str:
    """The same for ``sh``; "~/" is the home directory there."""
    if path == "~":
        return '"$HOME"'
    if path.startswith("~/"):
        return f'"$HOME"/{shlex.quote(path[2:])}' if path[2:] else '"$HOME"/'
    return shlex.quote(path)
