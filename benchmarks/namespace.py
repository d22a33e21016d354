"""A fresh network namespace that has loopback and nothing else, for the length of one run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from .process import ROOT

INSIDE = "MESHCLUSTER_BENCHMARKS_NAMESPACE"
"""Set in the run inside."""


def obstacle() -> str:
    """Why there can be none here; empty when there can."""
    if sys.platform != "linux":
        return "network namespaces are a thing of Linux"
    if os.geteuid() != 0:
        return "needs root"
    if shutil.which("ip") is None:
        return "needs the program ip of iproute2"
    return ""


def is_inside() -> bool:
    """Whether this run is the one inside."""
    return INSIDE in os.environ


def run_inside(arguments: Sequence[str]) -> int:
    """Runs ``python -m benchmarks`` in a namespace and removes that again."""
    name = f"meshcluster-benchmarks-{os.getpid()}"
    _ip("netns", "add", name)
    try:
        _ip("-n", name, "link", "set", "lo", "up", "multicast", "on")
        command = [sys.executable, "-m", "benchmarks", *arguments]
        outer = ["ip", "netns", "exec", name, *command]
        environment = os.environ | {INSIDE: name}
        return subprocess.run(outer, cwd=ROOT, env=environment, check=False).returncode
    finally:
        _ip("netns", "delete", name)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
