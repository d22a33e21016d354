"""``Site``: where a job runs, and what is known of it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from ..errors import ConfigError
from ..live import Live
from ..model import Service
from ..ssh.launching import seconds, words
from ..ssh.server import Server
from .nearest import nearest

SERVER_KEYS = {
    "host": "host", "user": "user", "port": "port", "identity": "identity",
    "ssh_config": "config", "options": "options",
}  # fmt: skip
"""Keys that say how a site is reached, and what a ``Server`` calls them."""
MISSPELT = {
    **dict.fromkeys(("hosts", "hostname", "host_name", "hots", "ansible_host", "ssh_host"), "host"),
    **dict.fromkeys(("usr", "username", "ansible_user", "ssh_user"), "user"),
    **dict.fromkeys(("ansible_port", "ssh_port"), "port"), "role": "roles",
}  # fmt: skip
"""What people write for these who come from elsewhere. As keys of their own they would be taken in
silence, and a site without ``host`` is this machine: no place for what is meant for another.
"""


@dataclass(slots=True)
class Site:
    """Where jobs run: this machine, a host behind ssh, or a member of the mesh. A copy: what is
    done to it changes nothing elsewhere.

    Attributes:
        name: of the site.
        roles: its own name, and then those that it has joined, in that order.
        config: what it was given, with ``name``. These keys mean something here, any others are
            the user's own: ``host``, ``user``, ``port``, ``identity`` (a file), ``ssh_config`` (a
            file) and ``options`` (a list of texts) as a ``Server`` has them, which calls the file
            ``config``; ``ssh``: the client, a program or a list that begins with one, "ssh" by
            default; ``connect_timeout``: seconds, 1 or more; ``cwd``: where commands run; ``env``:
            a dict of texts that they find in their environment; ``sh``: what they are given to
            with ``-c``, "sh" by default; ``passwords``: what sudo is told.
        service: the member of the mesh that it is; None of any other.
        live: the selection that it was found by; None of any other.
    """

    name: str
    roles: tuple[str, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)
    service: Service | None = None
    live: Live | None = field(default=None, repr=False)

    def __getitem__(self, key: str) -> Any:
        try:
            return self.config[key]
        except KeyError:
            text = f"site {self.name!r} has no {key!r}{nearest(key, self.config)}"
            raise KeyError(text) from None

    def __contains__(self, key: object) -> bool:
        return key in self.config

    def get(self, key: str, default: Any = None) -> Any:
        """What the key has; ``default`` where there is no such key."""
        return self.config.get(key, default)

    @property
    def via(self) -> str:
        """How commands come there: "ssh", where there is a host; "mesh", of a member without one;
        or "local".
        """
        if self.config.get("host") is not None:
            return "ssh"
        return "local" if self.service is None else "mesh"

    @property
    def server(self) -> Server:
        """The same as a dispatcher has it.

        Raises:
            ConfigError: a key was changed to something that cannot work.
        """
        if self.via == "mesh":
            return Server(name=self.name, service=self.service)
        return server_of(self.name, self.config)

    @property
    def address(self) -> str:
        """Where it is, for people: ``ada@host:22``, "local", or the member's name."""
        host, user, port = (self.config.get(key) for key in ("host", "user", "port"))
        if host is None:
            return "local" if self.service is None else self.service.name
        shown = f"[{host}]" if port is not None and ":" in host else host
        return (f"{user}@" if user else "") + shown + (f":{port}" if port is not None else "")

    def __repr__(self) -> str:
        more = ",".join(self.roles[1:])
        return f"<Site {self.name} {self.address}{' roles=' if more else ''}{more}>"


def server_of(name: str, config: Mapping[str, Any]) -> Server:
    """The server that a site's keys say.

    Raises:
        ConfigError: they cannot work.
    """
    given = {theirs: config[ours] for ours, theirs in SERVER_KEYS.items() if ours in config}
    if given.get("options") is None:
        given.pop("options", None)
    return Server(name=name, **given)


# --- what is put in -------------------------------------------------------------------------------


def checked(where: str, config: Any, more: Mapping[str, Any]) -> dict[str, Any]:
    """A deep copy of what a site, or a role's members, are given; None of a key that means
    something here is as if nothing was said.

    Raises:
        ConfigError: the text begins with ``where`` and names the key.
    """
    if config is not None and not isinstance(config, Mapping):
        raise ConfigError(f"{where}: config={config!r:.80}: a dict")
    given = {**(config or {}), **more}
    for key, value in given.items():
        if not isinstance(key, str):
            raise ConfigError(f"{where}: {key!r:.80} is no key: a text")
        if (meant := MISSPELT.get(key.lower())) is not None:
            raise ConfigError(f"{where}: {key}= says nothing here; did you mean {meant}=?")
        try:
            if key in SERVER_KEYS:
                server_of("", {key: value})
            elif value is not None and key in _CHECKS:
                _CHECKS[key](key, value)
        except ConfigError as error:
            called = SERVER_KEYS.get(key, key)
            text = str(error).removeprefix(f"{called}=")
            raise ConfigError(f"{where}: {key}={text}") from None
    return copied(where, given)


def copied(where: str, config: dict[str, Any]) -> dict[str, Any]:
    """A deep copy; objects that say ``shared = True`` of themselves stay the same, wherever in it.

    Raises:
        ConfigError: something in it cannot be copied.
    """
    made = {}
    for key, value in config.items():
        try:
            made[key] = copy.deepcopy(value, {id(each): each for each in _shared_in(value)})
        except Exception as error:
            raise ConfigError(
                f"{where}: {key}={value!r:.80} cannot be copied for each site ({error}): an object "
                "with shared = True is kept as it is"
            ) from error
    return made


_PLAIN = (str, bytes, int, float, bool, type(None))
_KEPT = (*_PLAIN, type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)
"""What is not looked into."""


def _shared_in(value: Any) -> list[Any]:
    """The shared objects in a value, however deep; without recursion, each looked at once."""
    found, seen, waiting = [], {id(value)}, [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, _KEPT):
            continue
        if getattr(each, "shared", None) is True:
            found.append(each)
            continue
        inner: list[Any] = []
        if isinstance(each, Mapping):
            inner += [*each.keys(), *each.values()]
        elif isinstance(each, list | tuple | set | frozenset):
            inner += each
        inner += getattr(each, "__dict__", {}).values()
        for kind in type(each).__mro__:
            slots = kind.__dict__.get("__slots__", ())
            for slot in (slots,) if isinstance(slots, str) else slots:
                inner.append(getattr(each, slot, None))
        fresh = [item for item in inner if id(item) not in seen]
        seen.update(map(id, fresh))
        waiting += fresh
    return found


def _program(key: str, value: Any) -> None:
    texts = words(key, (value,) if isinstance(value, str) else value, 1)
    if not texts[0] or any("\0" in text for text in texts):
        raise ConfigError(f"{key}={value!r}: a program, or a list that begins with one")


def _text(key: str, value: Any) -> None:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ConfigError(f"{key}={value!r}: a text")


def _texts_by_name(key: str, value: Any) -> None:
    good = isinstance(value, Mapping) and all(
        isinstance(name, str) and name and "=" not in name
        and isinstance(text, str) and "\0" not in name + text
        for name, text in value.items()
    )  # fmt: skip
    if not good:
        raise ConfigError(f"{key}={value!r}: a dict of texts, such as {{'LANG': 'C'}}")


def _connect_timeout(key: str, value: Any) -> None:
    seconds(key, value, 1.0)


_CHECKS: Mapping[str, Callable[[str, Any], object]] = {
    "ssh": _program, "connect_timeout": _connect_timeout, "cwd": _text, "env": _texts_by_name,
    "sh": _text,
}  # fmt: skip
