"""What other packages offer under a name: the entry points of a group, beside our own table."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING

from .errors import PluginError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Place = tuple[str, int]
"""A directory of ``sys.path``, and when something was installed there last."""

_INFO = (".dist-info", "egg-info")
"""How the names of the directories end where packages say what they offer."""


@lru_cache(maxsize=16)
def _points(group: str, places: tuple[Place, ...]) -> tuple[EntryPoint, ...]:
    """Read anew only after a change: it takes longer than all else of a join."""
    if not _is_named(group, places):
        return ()
    from importlib.metadata import entry_points  # brings forty modules

    return tuple(entry_points(group=group))


def _is_named(group: str, places: tuple[Place, ...]) -> bool:
    """Whether a package that is installed may offer something to the group. Most programs have
    none that does, and need not import and run what reads all that packages say.
    """
    others = [finder for finder in sys.meta_path if finder is not PathFinder]
    if any(hasattr(finder, "find_distributions") for finder in others):
        return True  # who knows where it looks
    for directory, _ in places:
        try:
            with os.scandir(directory or ".") as entries:
                names = [each.path for each in entries if each.name.lower().endswith(_INFO)]
        except OSError:  # an archive
            return True
        for name in names:
            with suppress(OSError), open(os.path.join(name, "entry_points.txt"), "rb") as file:
                if group.encode() in file.read():
                    return True
    return False


def _places() -> tuple[Place, ...]:
    found = []
    for directory in sys.path:
        with suppress(OSError):
            found.append((directory, os.stat(directory or ".").st_mtime_ns))
    return tuple(found)


class Plugins:
    """Those of one ``group``, as they are installed at this moment. ``kind`` is what one of them
    is called in errors; ``built_in`` is our own table, from name to ``module:attribute``.
    """

    def __init__(self, kind: str, group: str, built_in: Mapping[str, str]) -> None:
        self._kind = kind
        self._built_in = built_in
        self._claims: dict[str, list[EntryPoint]] = {}
        for point in _points(group, _places()):
            self._claims.setdefault(point.name, []).append(point)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name there is here, ours first."""
        return (*self._built_in, *sorted(self._claims.keys() - self._built_in.keys()))

    @property
    def others(self) -> tuple[str, ...]:
        """The names that other packages offer."""
        return tuple(sorted(self._claims.keys() - self._built_in.keys()))

    def target(self, name: str) -> str:
        """Where what is called so is: ``module:attribute``.

        Raises:
            PluginError: nobody offers it (the text says what there is), or two do.
        """
        claims = self._claims.get(name, [])
        own = self._built_in.get(name)
        if own is not None and not claims:
            return own
        if own is None and len(claims) == 1:
            return claims[0].value
        if not claims:
            there = ", ".join(self.names) or "none"
            raise PluginError(f"no {self._kind} {name!r} here: there are {there}")
        who = [] if own is None else [f"meshcluster itself ({own})"]
        who += sorted(f"{_package(point)} ({point.value})" for point in claims)
        advice = "uninstall one" if own is None else f"uninstall {_package(claims[0])}"
        raise PluginError(f"{self._kind} {name!r} is claimed by {' and '.join(who)}: {advice}")

    def load(self, name: str) -> object:
        """What is called so; its module is imported now.

        Raises:
            PluginError: as ``target``; or its import failed, whatever it raised.
        """
        target = self.target(name)
        module, _, attribute = target.partition(":")
        try:
            found: object = getattr(importlib.import_module(module), attribute)
            return found
        except Exception as error:  # a third party's module may raise anything
            text = f"{self._kind} {name!r} ({target}) cannot be loaded: {_told(error)}"
            raise PluginError(text) from error


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.module


def _told(error: Exception) -> str:
    if isinstance(error, ImportError | AttributeError):
        return str(error)
    return f"{type(error).__name__}: {error}"
