"""Where one measurement of what a member costs happens, and the programs at work there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..process import Process, Stage, free_port
from .told import Told


class Place(Stage):
    """One mesh, in which all programs are told ``common`` and something of their own."""

    def __init__(self, environment: Mapping[str, str] = os.environ, **common: Any) -> None:
        super().__init__()
        self._environment = environment
        self._common = {"folder": self.folder, "port": free_port(), **common}

    def start(self, role: str, **told: Any) -> Process:
        """Starts a program; it says when it is ready."""
        part = Told(role=role, **self._common | told)
        return self.add(Process("benchmarks.costs", part.kind, part, self._environment))
