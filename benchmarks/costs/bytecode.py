"""Processes that find their modules compiled, as those of an installed package do.

Where ``PYTHONDONTWRITEBYTECODE`` is set, or a checkout is new, each process compiles what it
imports: that takes a quarter of a second, and memory that stays its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from ..process import ROOT

JOIN = "import meshcluster as m; m.join(cluster='benchmarks', port={port}, mdns={mdns}).leave()"
"""A program that imports all that a member does."""


def joining(port: int, *, mdns: bool) -> list[str]:
    """The command of a process that joins a mesh and leaves it."""
    return [sys.executable, "-c", JOIN.format(port=port, mdns=mdns)]


@contextmanager
def kept() -> Iterator[None]:
    """Lets our programs keep what they compile until the end of a run, if they may not for good:
    each start of a member would take a quarter of a second more, and there are hundreds.
    """
    told = os.environ.get("PYTHONDONTWRITEBYTECODE")
    if not told or "PYTHONPYCACHEPREFIX" in os.environ:
        yield
        return
    folder = tempfile.mkdtemp(prefix="mcc-", dir="/tmp" if os.name == "posix" else None)
    os.environ["PYTHONPYCACHEPREFIX"] = folder
    del os.environ["PYTHONDONTWRITEBYTECODE"]
    try:
        yield
    finally:
        del os.environ["PYTHONPYCACHEPREFIX"]
        os.environ["PYTHONDONTWRITEBYTECODE"] = told
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def compiled(port: int) -> Iterator[dict[str, str]]:
    """The environment of such processes. A first one has joined once, with everything."""
    folder = tempfile.mkdtemp(prefix="mcc-", dir="/tmp" if os.name == "posix" else None)
    path = os.pathsep.join([os.fspath(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {
        "MESHCLUSTER_RUNTIME_DIR": folder,
        "PYTHONPATH": path.rstrip(os.pathsep),
        "PYTHONPYCACHEPREFIX": os.path.join(folder, "bytecode"),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        subprocess.run(joining(port, mdns=True), check=True, env=environment)
        yield environment
    finally:
        shutil.rmtree(folder, ignore_errors=True)
