"""``Launch``: how workers are started, what they are sent, and who of them is refused."""

from __future__ import annotations

import importlib.util
import logging
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ..config import check_timeout
from ..errors import ConfigError
from .far.serializer import Serializer
from .process import Hello
from .server import Server
from .shipping import shipment

KEEP_ALIVE_COUNT = 3
_LOG = logging.getLogger("meshcluster.ssh")


class LogLine(NamedTuple):
    """A line that a task printed.

    Attributes:
        server: whose worker.
        task: the task's number, as ``future.number``; 0 where none ran.
        stream: "stdout" or "stderr".
        text: without the end of the line.
    """

    server: str
    task: int
    stream: str
    text: str


class Launch(NamedTuple):
    """How workers are started, and heard."""

    ssh: tuple[str, ...]
    options: tuple[str, ...]
    shipment: Callable[[Any], bytes]
    """What a server's worker reads first."""
    serializer: Any
    body_bytes: int
    on_log: Callable[[LogLine], object]
    check: Callable[[Hello], str]
    """Why such a worker cannot be used; "" if it can."""


def log(line: LogLine) -> None:
    """The usual ``on_log``: hands lines to the logger "meshcluster.ssh"."""
    _LOG.info("%s, task %d, %s: %s", *line)


def seconds(name: str, value: Any, least: float = 0.0) -> float:
    """A setting that is a duration.

    Raises:
        ConfigError: it is none.
    """
    try:
        if check_timeout(value) >= least:
            return float(value)
    except ConfigError:
        pass
    raise ConfigError(f"{name}={value!r}: seconds, {least:g} or more")


def words(name: str, value: Any, least: int = 0) -> tuple[str, ...]:
    """A setting that is several texts.

    Raises:
        ConfigError: it is something else, such as one text alone; or fewer than ``least``.
    """
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        texts = tuple(value)
        if len(texts) >= least and all(isinstance(text, str) for text in texts):
            return texts
    raise ConfigError(f"{name}={value!r}: a list of texts")


def client_options(connect_timeout: float, keep_alive: float) -> tuple[str, ...]:
    """What ssh is given with ``-o``: it never asks anybody, and notices when the network is gone.

    A worker is no place for the forwardings, the terminal and the command that the user's
    configuration has for logins.
    """
    connect_timeout = seconds("connect_timeout", connect_timeout, 1.0)
    keep_alive = seconds("keep_alive", keep_alive, 1.0)
    return (
        "BatchMode=yes", f"ConnectTimeout={connect_timeout:.0f}",
        f"ServerAliveInterval={keep_alive:.0f}", f"ServerAliveCountMax={KEEP_ALIVE_COUNT}",
        "ClearAllForwardings=yes", "RemoteCommand=none", "ControlMaster=no",
    )  # fmt: skip


def refuse_with_members(**given: Any) -> None:
    """What is for workers that are started has no meaning for members.

    Raises:
        ConfigError: one of these was given.
    """
    for name, value in given.items():
        if value:
            raise ConfigError(f"{name}=: members of the mesh run what they expose, nothing is sent")


class Sent:
    """What a worker is sent that nothing is installed for. Read once, for all that have one path.

    Raises:
        ConfigError: a module is not to be found here.
    """

    def __init__(
        self, modules: tuple[str, ...], callback: str | None, setup: str | None, pickle: bool
    ) -> None:
        self._modules = modules
        self._named = {"callback": callback, "setup": setup}
        self._pickle = pickle
        self._lock = threading.Lock()
        self._made: dict[tuple[str, ...], bytes] = {}
        for name, value in self._named.items():
            if value is not None and not (isinstance(value, str) and ":" in value):
                raise ConfigError(f'{name}={value!r}: "module:function"')
        self.to(Server())

    def to(self, server: Server) -> bytes:
        """The bytes for a worker there."""
        path = tuple(server.path)
        with self._lock:
            if path not in self._made:
                self._made[path] = shipment(
                    self._modules, path=path, pickle=self._pickle, **self._named
                )
            return self._made[path]


def pickler() -> Any:
    """The serializer of ``unsafe_pickle=True``.

    Raises:
        ConfigError: cloudpickle is not installed here. (At the workers it need not be.)
    """
    if importlib.util.find_spec("cloudpickle") is None:
        raise ConfigError("unsafe_pickle=True needs cloudpickle: pip install 'meshcluster[pickle]'")
    from .far.pickling import Pickle

    return Pickle()


class Check:
    """Refuses workers that would not understand us, or we them."""

    def __init__(self, serializer: Any) -> None:
        self._serializer = serializer
        self._warned: set[str] = set()

    def __call__(self, hello: Hello) -> str:
        """Why a worker cannot be used; "" if it can."""
        ours = self._serializer.name
        if hello.serializer != ours:
            theirs = hello.serializer or "nothing"
            return f"it speaks {theirs!r}, not {ours!r}: give both one serializer="
        here = f"{sys.version_info[0]}.{sys.version_info[1]}"
        there = ".".join(hello.python.split(".")[:2])
        if ours == "pickle" and here != there:
            return f"Python {there} there and {here} here: what is pickled needs the same at both"
        missing = set(getattr(self._serializer, "types", ())) - set(hello.types)
        if hello.types and missing - self._warned:
            self._warned |= missing
            names = ", ".join(sorted(missing))
            text = "a worker at %s does not know the types %s: setup= can register them there"
            _LOG.warning(text, hello.host, names)
        return ""


def usual(serializer: Any, unsafe_pickle: bool) -> Any:
    """The serializer that a user has asked for.

    Raises:
        ConfigError: two were.
    """
    missing = [name for name in ("name", "dumps", "loads") if not hasattr(serializer, name)]
    if serializer is not None and missing:
        raise ConfigError(f"serializer={serializer!r:.80}: it has no {', '.join(missing)}")
    if serializer is None:
        return pickler() if unsafe_pickle else Serializer()
    if unsafe_pickle:
        raise ConfigError("serializer= or unsafe_pickle=True, not both")
    return serializer
