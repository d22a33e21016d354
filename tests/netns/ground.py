"""What namespaces stand on: the right to make them, names of our own, room in the kernel's tables.

Names begin with a prefix and the process's id, so that runs beside each other stay apart and what a
killed run left is known: the next run removes it.
"""

import contextlib
import fcntl
import itertools
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

PREFIX = "mcnet"
NAME = re.compile(rf"{PREFIX}(\d+)n\d+")
TUN = Path("/dev/net/tun")

NEIGHBOURS = {1: 8192, 2: 32768, 3: 65536}
"""Neighbour table limits wanted: all namespaces share one table, of 1024 entries by default."""

LIMITS = [
    (Path(f"/proc/sys/net/{family}/neigh/default/gc_thresh{number}"), wanted)
    for family in ("ipv4", "ipv6")
    for number, wanted in NEIGHBOURS.items()
]
LIMITS_FILE = Path("/run/meshcluster-netns-limits")


class Impossible(Exception):
    """No namespaces here; the text says why."""


class Ground:
    """Runs commands where namespaces may be made: as root, or in a user namespace of our own."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._numbers = itertools.count()
        self.is_root = os.getuid() == 0
        self.enter: list[str] = []
        for tool in ("ip", *(() if self.is_root else ("unshare", "nsenter"))):
            if shutil.which(tool) is None:
                raise Impossible(f"needs the command {tool}")
        if self.is_root:
            sweep()
            self._stack.enter_context(neighbour_limits())
        else:
            self.enter = self._stack.enter_context(user_namespace())
        try:
            self.run("ip", "netns", "add", name := self.name())
            self.run("ip", "netns", "del", name)
        except subprocess.CalledProcessError as error:
            self.close()
            raise Impossible(f"no network namespaces here: {error.stderr.strip()}") from None

    def name(self) -> str:
        """A name that is nobody else's."""
        return f"{PREFIX}{os.getpid()}n{next(self._numbers)}"

    def run(self, *words: str, text: str | None = None) -> str:
        """Runs a command to its end, with a text to read; returns what it printed."""
        command = [*self.enter, *words]
        return subprocess.run(
            command, check=True, capture_output=True, text=True, input=text, timeout=30
        ).stdout

    def close(self) -> None:
        """Removes what it made."""
        self._stack.close()


def sweep() -> None:
    """Removes what killed runs left: namespaces with our prefix whose process is gone."""
    listed = subprocess.run(["ip", "netns"], capture_output=True, text=True, check=False).stdout
    for name in (line.split()[0] for line in listed.splitlines()):
        match = NAME.fullmatch(name)
        if match is None or Path(f"/proc/{match[1]}").exists():
            continue
        pids = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True)
        for pid in pids.stdout.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


@contextlib.contextmanager
def user_namespace() -> Iterator[list[str]]:
    """A user namespace with a /run of its own; gives the words that lead into it."""
    # It waits for the end of its input, so it goes when we do, however that is.
    script = "mount -t tmpfs tmpfs /run && echo ready && read end"
    holder = subprocess.Popen(
        ["unshare", "-Urnm", "sh", "-c", script],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with holder:
        if holder.stdout.readline() != "ready\n":
            raise Impossible(
                f"needs root or user namespaces: {holder.communicate()[1].strip() or 'no reason'}"
            )
        enter = ["nsenter", "-t", str(holder.pid), "-U", "-n", "-m", "--preserve-credentials"]
        yield enter
        holder.communicate("\n")


@contextlib.contextmanager
def neighbour_limits() -> Iterator[None]:
    """Raises the limits; whoever is the last of those that need them restores what was before,
    which a file remembers should all of them be killed. A network namespace has none of its own.
    """
    if not all(path.exists() for path, _ in LIMITS):
        yield
        return
    with open(LIMITS_FILE, "a+") as file:
        if _alone(file):
            file.seek(0)
            if not file.read():
                file.write(" ".join(path.read_text().strip() for path, _ in LIMITS))
                file.flush()
            with contextlib.suppress(OSError):  # read-only: smaller meshes still work
                for path, wanted in reversed(LIMITS):
                    path.write_text(str(max(wanted, int(path.read_text()))))
        fcntl.flock(file, fcntl.LOCK_SH)
        try:
            yield
        finally:
            if _alone(file):
                file.seek(0)
                with contextlib.suppress(OSError):
                    for (path, _), old in zip(LIMITS, file.read().split(), strict=True):
                        path.write_text(old)
                file.truncate(0)


def _alone(file) -> bool:
    """Whether nobody else holds the lock."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
