"""Programs that others wrote: where they are, and running them for as long as they are needed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_connection


def program(name: str) -> str | None:
    """Its path: beside our Python, where a package may have put it, or the system's."""
    return shutil.which(Path(sys.executable).parent / name) or shutil.which(name)


@contextmanager
def running(name: str, *arguments: str, port: int) -> Iterator[None]:
    """Runs a program from when it accepts connections at its port until the end.

    Raises:
        ChildProcessError: it ended before that.
    """
    path = program(name)
    assert path is not None, f"{name} is not installed"
    command = [path, *arguments]
    if setpriv := shutil.which("setpriv"):  # it shall not outlive a member that is killed
        command = [setpriv, "--pdeathsig", "KILL", *command]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not _is_listening(port):
            if process.poll() is not None:
                raise ChildProcessError(f"{name} ended with {process.returncode}")
            time.sleep(0.01)
        yield
    finally:
        process.kill()
        process.wait()


def _is_listening(port: int) -> bool:
    try:
        create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
