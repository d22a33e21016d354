"""Our dispatcher beside others that have work done behind ssh, each at its best."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from .. import against, table
from ..entrants import (
    DISPATCHED,
    EXECNET,
    EXECNET_BATCHES,
    FABRIC,
    PARALLEL_SSH,
    Entrant,
)
from ..process import Crew
from ..settings import Settings
from ..task import SSH
from . import beside

if TYPE_CHECKING:
    from tests.ssh.sshd import Sshd

ONE, EACH, BATCHES = (Entrant(name, SSH) for name in DISPATCHED)
PEERS = (EXECNET, FABRIC, PARALLEL_SSH)
WORKERS = 4
TIMES = {EXECNET: 1.0, FABRIC: 10.0, PARALLEL_SSH: 10.0}
"""How many times better ours is to be: one task at a time, and many, an item each."""

BATCHES_TIMES = {EXECNET_BATCHES: 1.0}
"""The same of ours that is handed 100 items a task."""

SETTINGS = "SetEnv SHLVL=2 BENCHMARKS=1\nCompression no\n"
"""A bash that thinks it is inside another one reads no ~/.bashrc, whatever an account has there:
pyenv's line alone takes a command 100 ms. And execnet's client insists on compressing."""

READY_SECONDS = 20.0

API = (
    "Ours is the public API with its defaults, a worker a host, started before anything is "
    'counted: `submit`: `dispatcher.submit("math:sqrt", x).result()`; `map`: '
    '`dispatcher.map("math:sqrt", items)`; `map, 100 a task`: the same with `chunksize=100`. '
)
WORK = (
    "The square roots of numbers, by one worker, one after the other, or by four with many under "
    "way. Counted are results that have come to the Python code of who asked, which are looked at "
    "afterwards: each is right, and none came twice. One private OpenSSH server on loopback with "
    "its defaults, but that it reads no start files of a shell and does not compress; it is all "
    "four hosts. "
)
SECURITY = "All that is sent goes through ssh: encrypted, for everybody."
HOW = {
    EXECNET: "a gateway a host, with the ssh client, and at its other end a loop that computes; "
    "results by a callback of the channel; with four, 64 items under way at each",
    EXECNET_BATCHES: "the same with lists of 100 items, 4 of them under way at each",
    FABRIC: "a `Connection` a host that stays open, `run` of an awk that computes (Python would "
    "take ten times as long to start), `hide=True, in_stream=False`; `TCP_NODELAY` set at its "
    "socket, and its runner looking each millisecond whether one command has ended: without these "
    "it is ten times slower; with four, four threads for each",
    PARALLEL_SSH: "an `SSHClient` of libssh a host, whose session stays open, `run_command` of the "
    "same awk, its output read, `TCP_NODELAY` set at its socket; with four, four greenlets for "
    "each (`ParallelSSHClient` waits for the slowest host each time and was five times slower)",
}
"""What is done to see each at its best."""


class Unusable(Exception):
    """There can be no ssh server here; the text says why."""


def run(settings: Settings) -> Iterator[table.Table]:
    """How each is used; then the tables, each as soon as it is finished; or why there are none."""
    compared = API + beside.COMPARED.format(usual=against.face(str(ONE)))
    compared += f" In the other table it is that of `{against.face(str(EACH))}`."
    remarks = [compared, WORK + SECURITY]
    try:
        with serving() as server:
            yield beside.how(settings, "ssh", [*remarks, f"With {client_version()}."], HOW)
            yield _one(settings, server)
            yield _many(settings, server)
    except Unusable as error:
        yield beside.how(settings, "ssh", [*remarks, f"Left out: {error}."], HOW)


def _one(settings: Settings, server: Sshd) -> table.Table:
    plan = beside.plan(
        settings, "ssh-one", "short tasks one after the other, one worker", "/s",
        ours=[ONE], names=PEERS, wishes=beside.wishes(TIMES, ONE),
    )  # fmt: skip
    return _measured(plan, settings, server, 1)


def _many(settings: Settings, server: Sshd) -> table.Table:
    plan = beside.plan(
        settings, "ssh-many", "many short tasks, four workers", "/s",
        ours=[EACH, BATCHES], names=[EXECNET, EXECNET_BATCHES, FABRIC, PARALLEL_SSH],
        wishes=beside.wishes(TIMES, EACH) | beside.wishes(BATCHES_TIMES, BATCHES),
    )  # fmt: skip
    return _measured(plan, settings, server, WORKERS)


def _measured(plan: table.Plan, settings: Settings, server: Sshd, workers: int) -> table.Table:
    def measure(entrant: Entrant) -> table.Figure:
        return table.Figure(rate(entrant, server, settings, workers))

    return table.run(plan, settings.repeats, measure)


def rate(entrant: Entrant, server: Sshd, settings: Settings, workers: int) -> float:
    """Results a second of so many workers."""
    with Crew(
        entrant.member, entrant.way, seconds=settings.seconds, uvloop=settings.uvloop,
        ssh=os.fspath(server.folder), port=server.port,
    ) as crew:  # fmt: skip
        return crew.start("work", count=workers).hear()["rate"]


# --- the server -------------------------------------------------------------------------------


@contextmanager
def serving() -> Iterator[Sshd]:
    """A server that the client gets into.

    Raises:
        Unusable: there is none.
    """
    if why := lacking():
        raise Unusable(why)
    from tests.ssh.sshd import Sshd

    with TemporaryDirectory(prefix="mcb-") as folder:
        try:
            server = Sshd(Path(folder), "sshd")
        except AssertionError as error:
            raise Unusable(f"the server did not start: {_last_line(str(error))}") from None
        try:
            _set(server)
            yield server
        finally:
            server.stop()


def lacking() -> str:
    """What is not installed; "" if all is."""
    from tests.ssh import sshd

    found = {"ssh": sshd.CLIENT, "ssh-keygen": shutil.which("ssh-keygen"), "sshd": sshd.SSHD}
    absent = [name for name, path in found.items() if path is None]
    return f"{' and '.join(absent)} not installed" if absent else ""


def client_version() -> str:
    """As the client says it."""
    return subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=False).stderr.strip()


def _set(server: Sshd) -> None:
    """Adds ``SETTINGS``, and waits until they are in force."""
    settings = server.folder / "sshd_config"
    settings.write_text(SETTINGS + settings.read_text("utf-8"), "utf-8")  # the first word counts
    server.process.send_signal(signal.SIGHUP)
    until = time.monotonic() + READY_SECONDS
    while True:
        told = subprocess.run(
            ["ssh", "-F", server.config, "w1", "echo $BENCHMARKS"], capture_output=True, text=True,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        if told.stdout.strip() == "1":
            return
        if time.monotonic() > until:
            why = _last_line(told.stderr or server.log())
            raise Unusable(f"the client does not get into the server: {why}")
        time.sleep(0.05)


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no word of why"])[-1]
