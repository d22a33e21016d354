"""Members that are forked as they are wanted from one process (``crowded.py``)."""

import json
import queue
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .host import Host
from .sights import Sight, Sights

CROWDED = Path(__file__).with_name("crowded.py")
PATIENCE_SECONDS = 40.0


class Forks:
    """A nursery (``crowd.py``) of ours."""

    def __init__(self, hosts: Sequence[Host]) -> None:
        self.sights = Sights()
        self._hosts = len(hosts)
        self._replies: queue.Queue[Any] = queue.Queue()
        self._joined: queue.Queue[Sight] = queue.Queue()
        places = [[host.name, str(host.runtime_dir)] for host in hosts]
        command = [sys.executable, str(CROWDED), json.dumps(places)]
        self._process = hosts[0].start(*command)
        self._process.ready()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.popen.stdout:
            sight = Sight(*json.loads(line))
            if sight.what == "reply":
                self._replies.put(sight.value)
            elif sight.what in ("joined", "broke"):
                self._joined.put(sight)
            else:
                self.sights.add(sight)

    def start(self, numbers: Sequence[int], options: dict[str, Any]) -> list[tuple[int, int, str]]:
        """See ``crowd.py``."""
        for number in numbers:
            self._tell([number % self._hosts, f"m{number}", options])
        started = []
        for _ in numbers:
            sight = self._joined.get(timeout=PATIENCE_SECONDS)
            assert sight.what == "joined", sight
            started.append((int(sight.name[1:]), sight.process, sight.id))
        return started

    def ask(self, process: int, expression: str) -> Any:
        """The value of an expression (``joined.py``)."""
        self._tell([process, expression])
        return self._replies.get(timeout=PATIENCE_SECONDS)

    def _tell(self, order: list[Any]) -> None:
        self._process.popen.stdin.write(json.dumps(order) + "\n")
        self._process.popen.stdin.flush()

    def close(self) -> None:
        """They leave; after a while they are killed, with the process that forked them."""
        self._process.release()
        killer = threading.Timer(20, self._process.popen.kill)
        killer.start()
        self._reader.join()
        killer.cancel()
        killer.join()
        self._process.end()
