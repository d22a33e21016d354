"""A worker's first moments at a host where nothing is installed: it comes by standard input.

The caller's command line reads this file and runs it. It reads the rest: a line with a number, and
so many bytes of JSON with the source of every module that is sent along.
"""

import importlib
import importlib.abc
import importlib.util
import json
import sys
from typing import Any


class Sources(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Finds modules among those sent. They come before what is installed here."""

    def __init__(self, sources: "dict[str, tuple[bool, str]]") -> None:
        self._sources = sources

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """The module of this name, where it was sent."""
        if name not in self._sources:
            return None
        origin = "<sent>/{}.py".format(name.replace(".", "/"))
        return importlib.util.spec_from_loader(
            name, self, origin=origin, is_package=self._sources[name][0]
        )

    def get_source(self, name: str) -> str:
        """Its text; tracebacks show lines of it."""
        return self._sources[name][1]

    def is_package(self, name: str) -> bool:
        """Whether it has modules of its own."""
        return self._sources[name][0]

    def get_code(self, name: str) -> Any:
        """Compiled."""
        origin = "<sent>/{}.py".format(name.replace(".", "/"))
        return self.source_to_code(self.get_source(name), origin)


def boot() -> None:
    """Works as it is told."""
    if sys.version_info < (3, 8):
        raise SystemExit(
            f"meshcluster worker: Python {sys.version.split()[0]}; it takes 3.8 or later"
        )
    stream = sys.stdin.buffer
    told = json.loads(stream.read(int(stream.readline())).decode())
    sys.meta_path.insert(0, Sources(told["sources"]))
    for path in reversed(told["path"]):
        sys.path.insert(0, path)
    worker = importlib.import_module(told["package"] + ".worker")
    serializer: Any = None
    if told["pickle"]:
        serializer = importlib.import_module(told["package"] + ".pickling").Pickle()
    callback = worker.find(told["callback"]) if told["callback"] else None
    setup = worker.find(told["setup"]) if told["setup"] else None
    worker.work(callback, serializer=serializer, setup=setup)
    worker.leave()
