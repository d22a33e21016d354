"""The command ``meshcluster join`` on a host: the facts that it tells, line by line."""

import json
import sys
from typing import Any

from .host import Host


class Command:
    """A member on the LAN by the real command; it answers each question with the question."""

    def __init__(self, host: Host, name: str, *options: str) -> None:
        words = ["join", "--ttl", "1", "--name", name, "--json", "--exec", "cat", *options]
        self.name = name
        self._process = host.start(sys.executable, "-m", "meshcluster", *words)
        self._facts: list[dict[str, Any]] = []

    def fact(self, what: str, **wanted: Any) -> dict[str, Any]:
        """The first fact of that kind which says so, as soon as it is told."""
        for fact in self._told():
            if fact["what"] == what and wanted.items() <= fact.items():
                return fact
        raise AssertionError(f"{self.name} has ended; it told {self._facts}")

    def sees(self, *names: str) -> None:
        """Waits until it has discovered all of these."""
        for name in names:
            self.fact("discovered", name=name)

    def _told(self):
        yield from self._facts
        for line in self._process.popen.stdout:
            self._facts.append(json.loads(line))
            yield self._facts[-1]
