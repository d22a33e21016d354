"""``Server``: where workers run, and the command line that starts one there."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from ..errors import ConfigError
from ..model import Service

BOOT = "import sys;r=sys.stdin.buffer;exec(r.read(int(r.readline())));boot()"
"""Has the worker's source read from standard input. Without a character that any shell, cmd.exe
included, sees something in between double quotes.
"""
_WORD = re.compile(
    r"(?:(.+)@)?(?:\[([^][]+)\]|([^][:@]+)|([0-9A-Fa-f.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f.:]*(?:%\w+)?))"
    r"(?::([0-9]{1,5}))?"
)


@dataclass(frozen=True, slots=True)
class Server:
    """Where workers run.

    Attributes:
        name: what it is called in attempts and log lines; by default its host.
        host: as the ssh client is given it, so a name of ``~/.ssh/config`` too. None: workers are
            processes of this machine.
        user, port, identity, config: ``-l``, ``-p``, ``-i`` and ``-F`` of ssh.
        options: each is given to ssh with ``-o``; they come before ours and so override them.
        command: the worker to start: words for the remote shell, or here a list of arguments. None:
            a worker is sent there, which needs nothing but Python.
        python: the Python that it needs.
        path: directories of that machine where the worker looks for modules first.
        slots: so many workers run there at once.
        service: a member of the mesh instead of a host: what it exposes is called.
    """

    name: str = ""
    host: str | None = None
    user: str | None = None
    port: int | None = None
    identity: str | None = None
    config: str | None = None
    options: Sequence[str] = ()
    command: str | Sequence[str] | None = None
    python: str = "python3"
    path: Sequence[str] = ()
    slots: int = 1
    service: Service | None = None

    def __post_init__(self) -> None:
        for name in ("identity", "config"):
            if isinstance(path := getattr(self, name), os.PathLike):
                object.__setattr__(self, name, os.fspath(path))
        for name in ("name", "host", "user", "identity", "config", "python"):
            text = getattr(self, name)
            if not _is_text(text) and (text is not None or name in ("name", "python")):
                raise ConfigError(f"{name}={text!r}: a text")
        if not self.python:
            raise ConfigError("python='': a program")
        if self.host is not None and (not self.host or self.host[0] == "-"):
            raise ConfigError(f"host={self.host!r}: a host's name or address")
        if self.user is not None and (not self.user or self.user[0] == "-" or "\0" in self.user):
            raise ConfigError(f"user={self.user!r}: a name")
        if type(self.slots) is not int or self.slots < 1:
            raise ConfigError(f"slots={self.slots!r}: a number of 1 or more")
        if self.port is not None and not (type(self.port) is int and 0 < self.port < 65536):
            raise ConfigError(f"port={self.port!r}: a number from 1 to 65535")
        for name in ("options", "path"):
            words = getattr(self, name)
            if not _are_texts(words):
                raise ConfigError(f"{name}={words!r}: a list of texts")
            object.__setattr__(self, name, tuple(words))
        if self.command is not None:
            object.__setattr__(self, "command", _command(self.command))
        if not self.name:
            user = f"{self.user}@" if self.user else ""
            object.__setattr__(self, "name", f"{user}{self.host}" if self.host else "local")

    def argv(self, ssh: Sequence[str], timing: Sequence[str]) -> tuple[str, ...]:
        """The program that starts a worker, and its arguments.

        ``ssh`` is the client and what it is always given, ``timing`` our own options for it.
        """
        if self.host is None:
            if self.command is None:
                python = sys.executable if self.python == "python3" else self.python
                return python, "-c", BOOT
            if isinstance(self.command, str):
                return "/bin/sh", "-c", self.command
            return tuple(self.command)
        command = self.command
        if command is None:
            command = f'{self.python} -c "{BOOT}"'
        elif not isinstance(command, str):
            import shlex

            command = shlex.join(command)
        return self.client(ssh, timing, command)

    def client(self, ssh: Sequence[str], timing: Sequence[str], command: str) -> tuple[str, ...]:
        """The ssh client's command line for any command there."""
        words = [*ssh, "-T"]
        for flag, value in (
            ("-F", self.config), ("-l", self.user), ("-p", self.port), ("-i", self.identity),
        ):  # fmt: skip
            if value is not None:
                words += (flag, str(value))
        for option in (*self.options, *timing):
            words += ("-o", option)
        return (*words, "--", str(self.host), command)


def _is_text(text: Any) -> bool:
    return isinstance(text, str) and "\0" not in text


def _are_texts(words: Any) -> bool:
    return isinstance(words, Sequence) and not _is_text(words) and all(map(_is_text, words))


def _command(command: str | Sequence[str]) -> str | tuple[str, ...]:
    words = (command,) if isinstance(command, str) else command
    if not isinstance(words, Sequence) or not all(isinstance(word, str) for word in words):
        raise ConfigError(f"command={command!r}: a text, or a list of texts")
    if not words or not words[0] or any("\0" in word for word in words):
        raise ConfigError(f"command={command!r}: there is no such program")
    return command if isinstance(command, str) else tuple(command)


def parse(word: str) -> Server:
    """The server that ``[USER@]HOST[:PORT]`` means; an IPv6 address with a port is in brackets.

    Raises:
        ConfigError: it means none.
    """
    found = _WORD.fullmatch(word)
    if found is None:
        raise ConfigError(f"{word!r} is no server: [USER@]HOST[:PORT]")
    user, bracketed, host, address, port = found.groups()
    return Server(
        name=word, host=bracketed or host or address, user=user, port=int(port) if port else None
    )


def servers_of(servers: Any, defaults: Mapping[str, Any]) -> list[Server]:
    """What a user named: words, mappings or ``Server``s, in a list or by name. ``defaults`` are
    for those that are no ``Server`` already.

    Raises:
        ConfigError: one of them is none of these; or two have one name.
    """
    if isinstance(servers, str | Server):
        servers = [servers]
    if isinstance(servers, Mapping) and _is_one(servers):
        servers = [servers]
    if isinstance(servers, Mapping):
        pairs = list(servers.items())
    elif isinstance(servers, Iterable):
        pairs = [(None, each) for each in servers]
    else:
        raise ConfigError(f"servers={servers!r:.80}: hosts, Servers or cluster.live(...)")
    found = [_server(name, each, defaults) for name, each in pairs]
    if not found:
        raise ConfigError("servers=[]: there is none")
    names = [server.name for server in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two servers are called {name!r}: one with slots=2, or name= each")
    return found


def _is_one(servers: Mapping[Any, Any]) -> bool:
    """Whether a dict has the fields of one server, not several by name."""
    known = {field.name for field in fields(Server)}
    nested = any(isinstance(value, Mapping | Server) for value in servers.values())
    return bool(servers) and not nested and set(servers) <= known


def _server(name: str | None, each: Any, defaults: Mapping[str, Any]) -> Server:
    if isinstance(each, Server):
        given = [key for key, value in defaults.items() if value is not None]
        if given:
            raise ConfigError(f"{given[0]}=: the Server {each.name!r} says that itself")
        if each.service is not None:
            raise ConfigError(f"{each.name!r}: members are servers by cluster.live(...) alone")
        return each if name is None else replace(each, name=name)
    defaults = {key: value for key, value in defaults.items() if value is not None}
    if isinstance(each, str):
        return replace(parse(each), name=name or each, **defaults)
    if isinstance(each, Mapping):
        known = {field.name for field in fields(Server)}
        unknown = sorted(map(str, set(each) - known))
        if unknown:
            raise ConfigError(
                f"server {name or dict(each)!r}: unknown {', '.join(unknown)}; "
                f"there are {', '.join(sorted(known))}"
            )
        return Server(**{**defaults, **({"name": name} if name else {}), **each})
    raise ConfigError(f"{each!r:.80} is no server: [USER@]HOST[:PORT], a dict or a Server")
