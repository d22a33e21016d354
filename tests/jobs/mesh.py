"""A member that runs commands, and one that has them run, for tests of commands by the mesh."""

import os
import queue
import threading
import time

from meshcluster import Cluster, Shell, Site

WAIT_SECONDS = 20.0

MEMBER = """
import json, logging, sys
from meshcluster import Cluster, allow_commands

logging.basicConfig(level=logging.DEBUG)
logging.getLogger("asyncio").setLevel(logging.WARNING)
cluster = Cluster()
allow_commands(cluster)
with cluster.join(["app"], port=int(sys.argv[1]), name="app"):
    print(json.dumps("joined"), flush=True)
    sys.stdin.readline()
"""
"""In a process of its own, until it is told a line. Its log has everything."""

CALLER = """
import sys
from meshcluster import Cluster, Shell, Site

with Cluster().join(port=int(sys.argv[1]), name="caller") as cluster:
    (app,) = cluster.wait_for_exposed("commands.run")
    Shell(Site("app", service=app, live=cluster.live())).run(sys.argv[2])
"""


def site(cluster: Cluster, name: str = "app") -> Site:
    """A member that runs commands, once it is seen."""
    (service,) = cluster.wait_for_exposed("commands.run")
    assert service.name == name
    return Site(name, service=service, live=cluster.live())


class Written:
    """What a command writes, as it comes."""

    def __init__(self) -> None:
        self._data: queue.Queue[bytes] = queue.Queue()

    def write(self, data: bytes) -> None:
        self._data.put(data)

    def pid(self) -> int:
        """What ``echo $$`` writes."""
        data = b""
        while not data.endswith(b"\n"):
            data += self._data.get(timeout=WAIT_SECONDS)
        return int(data)


class Under:
    """A command that runs on a thread: what it writes, and how it ended."""

    def __init__(self, shell: Shell, command: str, **options) -> None:
        self._outcome: queue.Queue[object] = queue.Queue()
        self._thread = threading.Thread(target=self._run, args=(shell, command), kwargs=options)
        self._thread.start()

    def _run(self, shell: Shell, command: str, **options) -> None:
        try:
            self._outcome.put(shell.run(command, **options))
        except Exception as error:
            self._outcome.put(error)

    def outcome(self, seconds: float = WAIT_SECONDS) -> object:
        """Its result, or what it raised."""
        try:
            return self._outcome.get(timeout=seconds)
        finally:
            self._thread.join(WAIT_SECONDS)


def wait_until_gone(pid: int, seconds: float) -> None:
    """Until there is no such process."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.005)
    raise AssertionError(f"process {pid} is there after {seconds} s")
