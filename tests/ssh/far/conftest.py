"""A worker in a process of its own, which each test tells frames by hand."""

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from meshcluster.ssh.far import framing
from meshcluster.ssh.far.framing import Splitter
from meshcluster.ssh.far.serializer import Serializer
from meshcluster.ssh.server import Server
from meshcluster.ssh.shipping import shipment

SECONDS = 30
ENDS = (framing.DONE, framing.RAISED, framing.CANCELLED, framing.UNBEGUN)
OLDER = ("3.8", "3.9", "3.10")


def older_python(version):
    """An interpreter of this version, where there is one."""
    places = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    return str(places[0]) if places else shutil.which(f"python{version}")


@pytest.fixture(
    params=["this", OLDER[0], *(pytest.param(each, marks=pytest.mark.long) for each in OLDER[1:])]
)
def python(request):
    """The interpreter of these tests, and each older one that workers may have."""
    if request.param == "this":
        return sys.executable
    return older_python(request.param) or pytest.skip(f"there is no Python {request.param} here")


class Far:
    """A worker's process, and what it says."""

    def __init__(self, argv, first, **options):
        pipe = subprocess.PIPE
        self.popen = subprocess.Popen(
            argv, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True, **options
        )
        self.serializer = Serializer()
        self.frames = queue.SimpleQueue()
        self.printed = {}
        """By task and stream, what came."""
        self._stderr = b""
        self._threads = [threading.Thread(target=each) for each in (self._hear, self._listen)]
        for thread in self._threads:
            thread.start()
        if first:
            self.write(first)

    def _hear(self):
        splitter, noise = Splitter(), b""
        try:
            while data := self.popen.stdout.read1(1 << 16):
                if noise is not None:
                    noise += data
                    start = noise.find(framing.HELLO + b" ")
                    data, noise = (b"", noise) if start < 0 else (noise[start:], None)
                for frame in splitter.feed(data):
                    self.frames.put(frame)
        finally:
            self.frames.put(None)

    def _listen(self):
        while data := self.popen.stderr.read1(1 << 16):
            self._stderr += data

    def write(self, data):
        self.popen.stdin.write(data)
        self.popen.stdin.flush()

    def tell(self, kind, number=0, body=b""):
        self.write(framing.frame(kind, number, body))

    def run(self, number, function, *args, **named):
        self.tell(framing.RUN, number, self.serializer.dumps((function, args, named)))

    def call(self, number, value):
        self.tell(framing.CALL, number, self.serializer.dumps(value))

    def hear(self):
        """The next frame that is nothing printed; None at the end."""
        while True:
            frame = self.frames.get(timeout=SECONDS)
            if frame is None or frame.kind not in (framing.OUT, framing.ERR):
                return frame
            place = frame.number, frame.kind.decode()
            self.printed[place] = self.printed.get(place, b"") + frame.body

    def hello(self):
        frame = self.hear()
        assert frame is not None, self.end()
        assert (frame.kind, frame.number) == (framing.HELLO, framing.PROTOCOL)
        return json.loads(frame.body)

    def heard(self, kind, number):
        """The body of the next frame, which is of this kind."""
        frame = self.hear()
        assert frame is not None, self.end()
        assert (frame.kind, frame.number) == (kind, number), frame
        return frame.body

    def result(self, number):
        return self.serializer.loads(self.heard(framing.DONE, number))

    def raised(self, number):
        return self.serializer.loads(self.heard(framing.RAISED, number))

    def await_line(self, number):
        """Waits until the task has printed a whole line; returns all of it so far."""
        while not self.printed.get((number, "out"), b"").endswith(b"\n"):
            frame = self.frames.get(timeout=SECONDS)
            assert frame is not None, self.end()
            assert frame.kind == framing.OUT, frame
            place = frame.number, "out"
            self.printed[place] = self.printed.get(place, b"") + frame.body
        return self.printed[number, "out"].decode()

    def close(self):
        """No more input for it."""
        self.popen.stdin.close()

    def end(self):
        """Waits for its end; its status, and what it wrote to the real standard error."""
        status = self.popen.wait(SECONDS)
        for thread in self._threads:
            thread.join(SECONDS)
        return status, self._stderr.decode()

    def stop(self):
        """Ends it and what it started."""
        try:
            os.killpg(self.popen.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.popen.wait(SECONDS)
        for thread in self._threads:
            thread.join(SECONDS)
        self.popen.stdout.close()
        self.popen.stderr.close()
        try:
            self.popen.stdin.close()
        except BrokenPipeError:
            pass


@pytest.fixture
def opened():
    """Starts any program as a worker; ends it after the test."""
    with ExitStack() as stack:

        def opened(argv, first=b"", **options):
            far = Far(argv, first, **options)
            stack.callback(far.stop)
            return far

        yield opened


@pytest.fixture
def sent(opened, python, tmp_path, monkeypatch):
    """``sent(source, callback="deeds:name")``: a worker that is sent there, and finds the module
    "deeds" of this source among what is sent.
    """
    monkeypatch.syspath_prepend(tmp_path)

    def sent(source="", *, quiet=False, **told):
        (tmp_path / "deeds.py").write_text(textwrap.dedent(source))
        first = shipment(["deeds"], **told)
        far = opened(Server(python=python).argv(("ssh",), ()), first)
        if not quiet:
            far.hello()
        return far

    return sent


def is_alive(pid):
    """Whether there is such a process that is not merely waiting to be taken notice of."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@pytest.fixture
def goes():
    """Waits until a process has gone, for some seconds."""

    def goes(pid):
        deadline = time.monotonic() + SECONDS
        while is_alive(pid):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    return goes
