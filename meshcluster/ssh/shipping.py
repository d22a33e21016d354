"""What is sent to a host where nothing is installed: the worker's source, and users' modules."""

from __future__ import annotations

import importlib.resources
import importlib.util
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import ConfigError

PACKAGE = "meshcluster_worker"
"""What ``meshcluster.ssh.far`` is called there: another meshcluster may be installed."""
OURS = ("framing", "library", "listening", "output", "pickling", "serializer", "worker")

Sources = dict[str, tuple[bool, str]]
"""Modules by their names: whether they are packages, and their text."""


def shipment(
    modules: Iterable[str] = (), *, callback: str | None = None, setup: str | None = None,
    path: Sequence[str] = (), pickle: bool = False,
) -> bytes:  # fmt: skip
    """The bytes that a worker at its start reads; ``modules`` with all that is inside them.

    Raises:
        ConfigError: a module is not to be found here, or has no source.
    """
    far = importlib.resources.files("meshcluster.ssh.far")
    sources: Sources = {PACKAGE: (True, far.joinpath("__init__.py").read_text("utf-8"))}
    for name in OURS:
        sources[f"{PACKAGE}.{name}"] = (False, far.joinpath(f"{name}.py").read_text("utf-8"))
    for name in (*modules, *(["cloudpickle"] if pickle else [])):
        sources.update(sources_of(name))
    told = json.dumps(
        {"package": PACKAGE, "sources": sources, "path": list(path), "pickle": pickle,
         "callback": callback, "setup": setup}
    ).encode()  # fmt: skip
    boot = far.joinpath("boot.py").read_bytes()
    return b"%d\n%s%d\n%s" % (len(boot), boot, len(told), told)


def sources_of(name: str) -> Sources:
    """A module's text, and those of all modules in it where it is a package; and of the packages
    it is in.

    Raises:
        ConfigError: there is no such module here, or none in Python.
    """
    sources: Sources = {}
    parent, dot, _ = name.rpartition(".")
    if dot:
        sources.update({each: text for each, text in sources_of(parent).items() if each == parent})
    try:
        spec = importlib.util.find_spec(name)
    except Exception as error:  # to find what is in a package that is imported
        raise ConfigError(f"modules: {name!r} cannot be found: {error}") from error
    if spec is None:
        raise ConfigError(f"modules: there is no module {name!r} in {sys.path}")
    if not (spec.origin or "").endswith(".py"):
        raise ConfigError(f"modules: {name!r} is not one file of Python: it cannot be sent")
    origin = Path(str(spec.origin))
    inside = spec.submodule_search_locations
    sources[name] = (inside is not None, _text(origin, name))
    for place in inside or ():
        for file in sorted(Path(place).rglob("*.py")):
            words = [name, *file.relative_to(place).with_suffix("").parts]
            is_package = words[-1] == "__init__"
            key = ".".join(words[:-1] if is_package else words)
            sources[key] = (is_package, _text(file, name))
    return sources


def _text(file: Path, name: str) -> str:
    """As Python reads it, which looks for the encoding in the first lines."""
    try:
        return importlib.util.decode_source(file.read_bytes())
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        raise ConfigError(f"modules: {name!r}: {file} cannot be read: {error}") from error
