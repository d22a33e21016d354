"""The ways by which tests reach workers that are elsewhere, and what tests see of these: fixtures.

"sshd" is OpenSSH's server, private to the tests; "asyncssh" one in Python; both with the system's
own client. "fake" needs neither of them.
"""

import os
import shlex
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

import meshcluster
from tests.waiting import until

from .chores import SCENARIO
from .sshd import CLIENT, SSHD, Sshd

FOLDER = Path(__file__).parent
FAKE = [sys.executable, "-I", "-S", str(FOLDER / "fake_ssh.py")]


class Way:
    """``ssh`` is what a dispatcher is to start for w1, w2, w3, w4; and for the hosts closed and
    dark, which cannot be reached.
    """

    def __init__(self, ssh, server=None):
        self.ssh, self.server = ssh, server


@pytest.fixture(scope="session", params=["sshd", "fake"])
def way(request, tmp_path_factory):
    """One after the other; ``@pytest.mark.parametrize("way", [...], indirect=True)`` has others."""
    kind = request.param
    if kind == "fake":
        yield Way(FAKE)
        return
    if CLIENT is None:
        pytest.skip("there is no ssh client here")
    if kind == "sshd" and SSHD is None:
        pytest.skip("there is no sshd here (openssh-server)")
    server = Sshd(tmp_path_factory.mktemp(kind), kind)
    try:
        yield Way([CLIENT, "-F", str(server.config)], server)
    finally:
        server.stop()


class Far:
    """The far side of a test: its workers, as the process table has them."""

    def __init__(self, way, folder):
        self.way, self.folder = way, folder
        self._made = []
        self._before = set(psutil.Process().children())

    def server(self, name, **fields):
        """The workers there have ``chores`` at hand, and can be found."""
        mark = f"{SCENARIO}={self.folder}/{name}"
        python = f"env {shlex.quote(mark)} {shlex.quote(sys.executable)}"
        return {"host": name, "python": python, "path": [str(FOLDER)], **fields}

    def dispatcher(self, *names, **settings):
        """With one worker at each of these hosts; closed when the test ends."""
        settings = {"callback": "chores:do", "setup": "chores:begin", **settings}
        servers = {name: self.server(name) for name in names}
        made = meshcluster.Dispatcher(servers, ssh=self.way.ssh, **settings)
        self._made.append(made)
        return made

    def warmed(self, *names, **settings):
        """A dispatcher whose workers are all there."""
        made = self.dispatcher(*names, **settings)
        meeting = self.folder / f"meeting {len(os.listdir(self.folder))}"
        meeting.mkdir()
        for future in [made(["meet", str(meeting), len(names)]) for _ in names]:
            future.result(20)
        return made

    def started(self):
        """All workers that ever began, as (server, pid)."""
        found = self.folder.glob("w[0-9]/*")
        return sorted((file.parent.name, int(file.name)) for file in found)

    def workers(self, name=""):
        """Those that live, at this host or anywhere, and what they have started."""
        mark = f"{self.folder}/{name}"
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(SCENARIO, "").startswith(mark):
                    found.append(process)
            except psutil.Error:  # it has just ended, or is another user's
                continue
        return [process for process in found if process.pid != os.getpid()]

    def worker(self, name):
        """The one that lives there."""
        (found,) = self.workers(name)
        return found

    @property
    def clients(self):
        """The ssh clients of ours, with what they have started."""
        found = set(psutil.Process().children()) - self._before
        for client in list(found):
            try:
                found.update(client.children(recursive=True))
            except psutil.NoSuchProcess:
                continue
        return found

    def ends(self):
        """Closes all that the test has opened. Nothing is left of it, here and there."""
        for each in self._made:
            each.close(timeout=10)
        until(lambda: not self.workers() and not self.clients)

    def give_up(self):
        """Whatever there is, ends."""
        for each in self._made:
            each.close(drain=False)
        for process in [*self.workers(), *self.clients]:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                pass


@pytest.fixture
def far(way, tmp_path):
    """The hosts w1 to w4 with Python, and nothing else."""
    far = Far(way, tmp_path)
    try:
        yield far
        far.ends()
    finally:
        far.give_up()


@pytest.fixture
def took(record_property):
    """`with took("what", seconds):` notes how long it took, which is less than so many seconds."""

    @contextmanager
    def took(what, at_most):
        began = time.monotonic()
        yield
        seconds = time.monotonic() - began
        record_property(what, f"{seconds:.3f} s")
        assert seconds < at_most

    return took


def lives(process):
    """It has not ended. (Whose parent has, may be a zombie until somebody else takes note.)"""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
