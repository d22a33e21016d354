"""Sites from files: TOML of our own, and the hosts of ssh's configuration.

[sites.web1]
roles = ["app", "web"]
host = "web1.example"

[defaults.app]
user = "deploy"
"""

from __future__ import annotations

import glob
import logging
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from ..errors import ConfigError
from .nearest import nearest
from .selector import Selector, is_name, names_of
from .site import checked
from .sites import Sites

TABLES = ("sites", "defaults")
SSH_CONFIG = "~/.ssh/config"
MAX_DEPTH = 16
"""Files that include one another."""
MAX_FILES = 1024

_LOG = logging.getLogger("meshcluster.jobs")
Path = str | os.PathLike[str]
_LINE = re.compile(r"\s*(\w+)(?:\s*=\s*|\s+)(.*?)\s*")
_WORD = re.compile(r'"([^"]*)"|([^\s"]+)')
_ROLES = re.compile(r"\s*#\s*roles\s*:\s*(.*?)\s*", re.IGNORECASE)


def load(path: Path) -> Sites:
    """The sites of a TOML file: a table ``[sites.NAME]`` for each, with ``roles`` (a text, or a
    list) and any keys of ``Site.config``; ``[defaults.ROLE]`` has keys as ``Sites.defaults``.

    Raises:
        ConfigError: something in it cannot work; the text names file, table and key.
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        try:
            document = tomllib.load(file)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ConfigError(f"{os.fspath(path)}: {error}") from error
    sites = Sites()
    for table, name, config in _tables(os.fspath(path), document):
        where = f"{os.fspath(path)}: [{table}.{name}]"
        try:
            names_of("the name", name)
            roles = names_of("roles", config.pop("roles", ())) if table == "sites" else ()
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from None
        checked(where, config, {})
        if table == "sites":
            sites.add(name, roles, config)
        else:
            sites.defaults(name, config)
    return sites


def _tables(path: str, document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for table, members in document.items():
        if table not in TABLES:
            raise ConfigError(
                f"{path}: [{table}] is no table of sites: [sites.NAME] and [defaults.ROLE] are"
                f"{nearest(table, TABLES)}"
            )
        for name, config in members.items() if isinstance(members, dict) else [("", members)]:
            if not isinstance(config, dict):
                example = f"[{table}.{'NAME' if table == 'sites' else 'ROLE'}]"
                raise ConfigError(f"{path}: [{table}]: {name}={config!r:.80}: tables {example}")
            yield table, name, config


def from_ssh_config(path: Path = SSH_CONFIG, hosts: Any = "*", roles: Any = ()) -> Sites:
    """The hosts that ssh's configuration names: a site for each name after ``Host`` that is no
    pattern, reached by that name, so that ssh itself finds all that is said of it.

    ``Include`` is followed as ssh does (from ``~/.ssh``; within a ``Host`` only for its hosts, but
    not within ``Match``, which ssh decides when it connects). A comment ``# roles: app, web`` in a
    host's block gives roles to its hosts.

    Args:
        path: of the file. One other than the default is given to ssh too.
        hosts: which of the names: words as a ``Selector`` has them.
        roles: for all of them.

    Raises:
        ConfigError: a name cannot be a role's; or too many files include one another.
        OSError: the file cannot be read.
    """
    wanted = Selector(hosts)
    file, default = os.path.expanduser(path), os.path.expanduser(SSH_CONFIG)
    more = {} if os.path.abspath(file) == os.path.abspath(default) else {"ssh_config": file}
    reader = _Reader()
    reader.read(file, (), 0)
    sites = Sites()
    for alias, joined in reader.found.items():
        if wanted.matches((alias,)):
            sites.add(alias, [roles, list(joined)], {"host": alias, **more})
    return sites


class _Reader:
    """Reads a file, and those that it includes."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, None]] = {}
        """Each name's roles."""
        self._files = 0

    def read(self, path: str, outer: tuple[list[str], ...], depth: int) -> None:
        """``outer``: the patterns of each ``Host`` in which the file is included."""
        self._files += 1
        if depth > MAX_DEPTH or self._files > MAX_FILES:
            raise ConfigError(
                f"{path}: at most {MAX_FILES} files include one another, {MAX_DEPTH} deep"
            )
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
        patterns: list[str] | None = ["*"]
        here: list[str] = []
        for number, line in enumerate(lines, 1):
            if (said := _ROLES.fullmatch(line)) is not None:
                self._join(f"{path}:{number}", here, said[1])
                continue
            keyword, words = _words(line)
            if keyword == "host":
                patterns, here = words, [word for word in words if self._names(word, words, outer)]
                for alias in here:
                    self.found.setdefault(alias, {})
            elif keyword == "match":
                patterns, here = (["*"] if words == ["all"] else None), []
            elif keyword == "include" and patterns is not None:
                for included in _files(words):
                    self.read(included, (*outer, patterns), depth + 1)

    def _names(self, word: str, words: list[str], outer: tuple[list[str], ...]) -> bool:
        """Whether a word of a ``Host`` line is a host's name that holds there."""
        if word.startswith("!") or "*" in word or "?" in word:
            return False
        if not is_name(word):
            _LOG.warning("%r of ssh's configuration can be no site's name: left out", word)
            return False
        return all(_match(word, patterns) for patterns in (*outer, words))

    def _join(self, where: str, here: list[str], said: str) -> None:
        try:
            roles = names_of("roles", [word for word in re.split(r"[,\s]+", said) if word])
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from None
        for alias in here:
            self.found[alias].update(dict.fromkeys(roles))


def _words(line: str) -> tuple[str, list[str]]:
    """The keyword of a line, in small letters, and what follows it."""
    found = _LINE.fullmatch(line)
    if found is None:
        return "", []
    words: list[str] = []
    for quoted, bare in _WORD.findall(found[2]):
        if bare.startswith("#"):
            break
        words.append(quoted or bare)
    return found[1].lower(), words


def _match(host: str, patterns: list[str]) -> bool:
    """Whether ssh means a host by the words of a ``Host`` line. (They have no ``[abc]``.)"""
    plain = [pattern.replace("[", "[[]") for pattern in patterns]
    fits = [pattern for pattern in plain if fnmatchcase(host, pattern.removeprefix("!"))]
    return bool(fits) and not any(pattern.startswith("!") for pattern in fits)


def _files(words: list[str]) -> Iterator[str]:
    """The files that ``Include`` means; those that are not there are none."""
    for word in words:
        pattern = os.path.join(os.path.expanduser("~/.ssh"), os.path.expanduser(word))
        yield from (path for path in sorted(glob.glob(pattern)) if os.path.isfile(path))
