"""What must not be mirrored: nobody means to empty a home directory, or all of a machine."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Sequence

from ..errors import TransferFailed
from .origin import EMPTY, FULL, Origin


def targets(sources: Sequence[Origin], kinds: Sequence[str], dest: str) -> list[str]:
    """The directories of which something may be deleted, and ``dest``."""
    whole = [each for each, kind in zip(sources, kinds, strict=True) if kind in (EMPTY, FULL)]
    return [dest, *(posixpath.join(dest, each.name) for each in whole if not each.contents)]


def refuse_empty(sources: Sequence[Origin], kinds: Sequence[str], site: str) -> None:
    """Mirrors nothing that is empty: more likely it is the wrong one.

    Raises:
        TransferFailed: a source is empty, or cannot be read.
    """
    for source, kind in zip(sources, kinds, strict=True):
        if kind == EMPTY:
            raise TransferFailed(
                f"{site}: {source.path!r} has nothing in it, or may not be read: a mirror of it "
                "would delete everything; if that is meant, delete it by a command"
            )


def refuse_places(
    places: Iterable[str], homes: Iterable[str], start: str, found: Iterable[str], site: str
) -> None:
    """Mirrors nothing to the root, to the home directory, or to what that is in.

    Args:
        places: where to, as a path says it: relative ones start at ``start``, "~/" at the first
            of ``homes``.
        found: where that truly is, so far as it is there.

    Raises:
        TransferFailed: it would.
    """
    homes = [posixpath.normpath(home) for home in homes if home]
    for place in (*places, *found):
        if not place:
            continue
        if homes and (place == "~" or place.startswith("~/")):
            place = homes[0] + place[1:]
        whole = "/" + posixpath.normpath(posixpath.join(start, place)).lstrip("/")
        inside = whole.rstrip("/") + "/"
        if whole == "/" or any(f"{home}/".startswith(inside) for home in homes):
            raise TransferFailed(
                f"{site}: no mirror to {whole!r}, which is the root or the home directory, or has "
                "it inside: name a directory of its own, or leave out mirror=True"
            )


def refuse_places_here(places: Sequence[str]) -> None:
    """The same of this machine."""
    home = os.path.expanduser("~")
    truly = [os.path.realpath(each).replace(os.sep, "/") for each in (home, *places)]
    homes = (home.replace(os.sep, "/"), truly[0])
    refuse_places(places, homes, os.getcwd().replace(os.sep, "/"), truly[1:], "here")
