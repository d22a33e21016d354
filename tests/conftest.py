"""What every test gets: nothing may outlive it, and it meets nobody by accident.

Warnings are errors by `filterwarnings` in pyproject.toml.
"""

import asyncio
import contextlib
import faulthandler
import gc
import itertools
import json
import os
import queue
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import settings

GRACE_SECONDS = 2.0
TEARDOWN_SECONDS = 60.0
SHELL_SECONDS = 20.0
FIRST_PORT, PORTS = 20_000, 10_000  # below the range that systems give out by themselves

try:  # its first loop opens a pipe for the whole process, which no test leaves behind
    import uvloop
except ImportError:
    pass
else:
    uvloop.new_event_loop().close()

# Terminals are as wide as each test says, whatever the one is that the tests run at.
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)

# The same values in every run, whatever the machine; `--hypothesis-profile=random` tries others.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("random", derandomize=False, deadline=None, print_blob=True)
settings.load_profile("fixed")

# What takes longest begins first: where files are spread over processes, none works on alone at
# the end (with --no-loadscope-reorder, in pyproject.toml).
LONGEST = [
    "tests/simulation/test_thousand.py",
    "tests/simulation/test_large.py",
    "tests/netns/test_slow_members.py",
    "tests/fuzz/test_targets.py",
    "tests/netns/test_crashes.py",
    "tests/embedding/test_fork.py",
    "tests/netns/test_healing.py",
    "tests/netns/test_doctor.py",
]

_failed = pytest.StashKey[bool]()
_numbers = itertools.count()


def pytest_collection_modifyitems(items):
    places = {file: place for place, file in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(LONGEST)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        item.stash[_failed] = True
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown():
    """The time limit of a test that has overrun it is used up: where its teardown hangs, too, the
    process is ended, and xdist names the test.
    """
    faulthandler.dump_traceback_later(TEARDOWN_SECONDS, exit=True)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


def pytest_terminal_summary(terminalreporter):
    """True times: what tests recorded by `record_property`."""
    passed = terminalreporter.getreports("passed")
    told = [(report.location[2], *each) for report in passed for each in report.user_properties]
    if told:
        terminalreporter.section("true times and counts")
    for test, what, value in told:
        terminalreporter.line(f"{test}: {what}: {value}")


@pytest.fixture(autouse=True)
def nothing_left(request) -> Iterator[None]:
    """No thread and no open file or socket survives a test."""
    before = _held()
    yield
    # A failed test's traceback keeps its objects alive: one failure is enough.
    if not request.node.stash.get(_failed, False) and (left := _left_since(before)):
        pytest.fail(f"left behind: {', '.join(left)}", pytrace=False)


def _left_since(before: Counter[str]) -> list[str]:
    """Names what is held now and was not before; garbage and what is just closing do not count."""
    deadline = time.monotonic() + GRACE_SECONDS
    while left := sorted((_held() - before).elements()):
        if time.monotonic() > deadline:
            break
        gc.collect()
        time.sleep(0.01)
    return left


def _held() -> Counter[str]:
    return Counter([f"thread {thread.name}" for thread in threading.enumerate()] + _open_files())


def _open_files() -> list[str]:
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        return []
    targets = []
    for name in os.listdir(folder):
        try:
            targets.append(os.readlink(folder / name))
        except OSError:  # the listing's own descriptor, closed by now
            continue
    return targets


@pytest.fixture(autouse=True)
def no_task_left(request, nothing_left) -> None:
    """Looks for tasks from inside the test's own loop, so it is there for async tests only."""
    if pytest_asyncio.is_async_test(request.node):
        request.getfixturevalue("_no_task_left")


@pytest.fixture
async def _no_task_left(request) -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    for _ in range(10):  # cancelled tasks need a few turns of the loop to end
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    if left and not request.node.stash.get(_failed, False):
        pytest.fail(f"left behind: {sorted(map(repr, left))}", pytrace=False)


@pytest.fixture(autouse=True)
def runtime_dir(nothing_left) -> Iterator[Path]:
    """A folder of its own for host keys and sockets; short, for socket paths have a limit."""
    base = None if sys.platform == "win32" else "/tmp"
    folder = tempfile.mkdtemp(prefix="mc-", dir=base)
    old = os.environ.get("MESHCLUSTER_RUNTIME_DIR")
    os.environ["MESHCLUSTER_RUNTIME_DIR"] = folder
    yield Path(folder)
    if old is None:
        del os.environ["MESHCLUSTER_RUNTIME_DIR"]
    else:
        os.environ["MESHCLUSTER_RUNTIME_DIR"] = old
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def beacon_port() -> int:
    """A UDP port that no other test of this or another run uses now."""
    while True:
        port = FIRST_PORT + (os.getpid() * 97 + next(_numbers)) % PORTS
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
        return port


class Talker:
    """A script in a process of its own; it tells JSON lines and is told lines."""

    def __init__(self, script, arguments):
        command = [sys.executable, "-c", script, *map(str, arguments)]
        pipe = subprocess.PIPE
        self.popen = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        self.said: queue.Queue[object] = queue.Queue()
        self.log: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(self.popen.stdout, self._say)),
            threading.Thread(target=self._read, args=(self.popen.stderr, self.log.append)),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream, take):
        with stream:
            for line in stream:
                take(line)

    def _say(self, line):
        self.said.put(json.loads(line))

    def hear(self, seconds=30):
        """What it tells next."""
        try:
            return self.said.get(timeout=seconds)
        except queue.Empty:
            pytest.fail(f"the process said nothing for {seconds} s; its log:\n{''.join(self.log)}")

    def say(self, line=""):
        self.popen.stdin.write(line + "\n")
        self.popen.stdin.flush()

    def ends(self, status=0):
        """Waits for its end, which is as expected and says nothing on stderr."""
        found = self.popen.wait(20)
        for reader in self._readers:
            reader.join(20)
        assert (found, "".join(self.log)) == (status, "")

    def stop(self):
        self.popen.kill()
        self.popen.stdin.close()
        self.popen.wait()
        for reader in self._readers:
            reader.join()


class Shell:
    """A program run as a reader runs it in a shell of its own: at a terminal of 80 columns, without
    colours.

    `python` and `meshcluster` are those of this installation.
    """

    def __init__(self, command, folder):
        self._terminal, end = os.openpty()
        path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
        self._process = subprocess.Popen(
            list(map(str, command)),
            cwd=folder,
            env={**os.environ, "PATH": path, "NO_COLOR": "1", "COLUMNS": "80"},
            stdin=subprocess.DEVNULL,
            stdout=end,
            stderr=end,
            process_group=0,
        )
        os.close(end)
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._said: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with open(self._terminal, encoding="utf-8", errors="replace") as terminal:
            try:
                for line in terminal:
                    self._lines.put(line.rstrip("\n"))
            except OSError:  # what a terminal says when nobody writes to it any more
                pass
        self._lines.put(None)

    def wait_for(self, *wanted: str) -> None:
        """Until there was a line as each one wanted, in any order; ... stands for anything."""
        patterns = [re.compile(".*".join(map(re.escape, each.split("...")))) for each in wanted]
        deadline = time.monotonic() + SHELL_SECONDS
        while patterns:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                lacks = ", ".join(each.pattern for each in patterns)
                pytest.fail(f"no line {lacks} after:\n{self.output}", pytrace=False)
            self._said.append(line)
            found = next((each for each in patterns if each.fullmatch(line)), None)
            if found is not None:
                patterns.remove(found)

    @property
    def output(self) -> str:
        """The lines that were read so far."""
        return "\n".join(self._said)

    def signal(self, number: int) -> None:
        """Sends a signal; SIGINT is what Ctrl-C does. All that runs in this shell gets it."""
        if self.running:
            os.killpg(self._process.pid, number)

    def wait(self) -> int:
        """Waits for its end; returns its exit code."""
        self._process.wait(SHELL_SECONDS)
        self.close()
        return self._process.returncode

    def end(self, *codes: int) -> str:
        """Waits for its end, with one of these exit codes, else 0; returns all it printed."""
        assert self.wait() in (codes or (0,)), self.output
        assert "Traceback" not in self.output, self.output
        return self.output

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        """Ends it whatever it does."""
        self.signal(signal.SIGKILL)
        self._process.wait()
        self._reader.join()
        while not self._lines.empty():
            line = self._lines.get()
            if line is not None:
                self._said.append(line)


@pytest.fixture
def own_mesh(runtime_dir, beacon_port, monkeypatch) -> None:
    """For programs that name no port: they meet nobody else on this host."""
    monkeypatch.setenv("MESHCLUSTER_PORT", str(beacon_port))


@pytest.fixture
def talk():
    """`talk(script, "argument")` starts a script; what still runs at the end is killed."""
    with contextlib.ExitStack() as stack:

        def talk(script, *arguments) -> Talker:
            talker = Talker(script, arguments)
            stack.callback(talker.stop)
            return talker

        yield talk


class Insider:
    """A process of our user that is no member: it knows the host key of one mesh."""

    def __init__(self, cluster):
        from meshcluster.model import Identity
        from meshcluster.runtime.host import runtime_dir
        from meshcluster.runtime.keys import host_key
        from meshcluster.security.keyring import Keyring
        from meshcluster.security.keys import Key
        from meshcluster.security.sealing import Seal

        self.cluster = cluster
        self.keyring = Keyring([Key.of_bytes(host_key(runtime_dir()), cluster)])
        self._seal = Seal(Identity(os.urandom(16), 1, "insider", "host"))

    def seal(self, data):
        """A datagram as members take it."""
        return self._seal.seal(self.keyring.first, data)

    def open(self, data):
        """What is in a datagram of theirs."""
        return self._seal.open(self.keyring, data).data

    def entrance(self):
        """The beginning of a link that it dials; see meshcluster/node/entrance.py."""
        from meshcluster.node.entrance import Entrances

        entrances = Entrances(self.keyring, self.cluster, random.Random())
        return entrances.dialled(None, same_user=False)


@pytest.fixture
def insider(runtime_dir) -> Insider:
    """Speaks as members with `ttl=0` do, who hear nothing else."""
    return Insider("default")


BECOME = """
import json, os, sys

def become(uid, gid=54321, groups=()):
    os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)

def tell(value):
    print(json.dumps(value), flush=True)

"""


@pytest.fixture
def stranger(talk):
    """As `talk`, for a script that calls `become(uid, gid, groups)` to be another user; before
    that it imports what it needs, for the interpreter may be root's alone. `tell(value)` tells.
    """
    if not hasattr(os, "getuid") or os.getuid() != 0:
        pytest.skip("needs root to be another user")
    return lambda script, *arguments: talk(BECOME + script, *arguments)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """`install("package", "meshcluster.protocols", "echo", "package:Handler", code)`: a package
    with an entry point, as pip would leave it; `code` is its module, where it has one.
    """
    monkeypatch.syspath_prepend(tmp_path)

    def install(package: str, group: str, name: str, target: str, code: str | None = None) -> None:
        if code is not None:
            monkeypatch.delitem(sys.modules, package, raising=False)
            (tmp_path / f"{package}.py").write_text(code)
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {target}\n")

    return install


@pytest.fixture
def shell(own_mesh):
    """`shell("examples/x.py", "word")` starts a Python program from the project's root;
    `program=` is another one that gets these arguments.
    """
    opened: list[Shell] = []

    def start(*arguments, program=sys.executable, folder=Path(__file__).parents[1]) -> Shell:
        opened.append(Shell([program, *arguments], folder))
        return opened[-1]

    yield start
    for each in opened:
        each.close()
