"""A small library on mailboxes: locks between processes. One member serves them, all may use them.

    shell 1: python examples/locks.py serve
    shell 2: python examples/locks.py hold printer 5
    shell 3: python examples/locks.py hold printer 1      (waits for shell 2; kill that)

It uses public names only, and no `event` or `query` hook of its user's program sees it.
"""

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import meshcluster

RUN_FOREVER = True

BOX = "example.locks"


class LockServer:
    """Serves locks to all members, first come, first served. Who dies loses its locks."""

    def __init__(self, cluster: meshcluster.Cluster) -> None:
        self._queues: dict[str, deque[tuple[bytes, meshcluster.Letter]]] = {}
        """By lock: who holds it, then who waits for it."""
        self._lock = threading.Lock()  # letters come in the cluster's loop, hooks on a thread
        cluster.mailbox(BOX, self._receive, offer="server")
        cluster.hook("service.lost")(self._lost)

    def _receive(self, letter: meshcluster.Letter) -> object:
        """Runs in the cluster's loop, so it never waits. What it raises the asker gets."""
        what, name, token = letter.read(tuple[str, str, bytes])
        with self._lock:
            if what == "release":
                self._keep(name, lambda each: each[0] != token)
                return None
            queue = self._queues.setdefault(name, deque())
            queue.append((token, letter))
            return True if len(queue) == 1 else meshcluster.LATER

    def _lost(self, service: meshcluster.Service) -> None:
        with self._lock:
            for name in list(self._queues):
                self._keep(name, lambda each: each[1].service != service)

    def _keep(self, name: str, wanted) -> None:
        """Takes the others out of a queue; who comes first thereby is told."""
        old = self._queues.pop(name, deque())
        new = deque(filter(wanted, old))
        if new:
            self._queues[name] = new
            if new[0] is not old[0]:
                new[0][1].reply(True)


class Locks:
    """The locks that some other member serves."""

    def __init__(self, cluster: meshcluster.Cluster) -> None:
        self._cluster = cluster
        self._box = cluster.mailbox(BOX)  # without a receiver: we only ask

    @contextmanager
    def hold(self, name: str, timeout: float = 30.0) -> Iterator[None]:
        """Waits for a lock and holds it. When its server dies, nobody keeps others out.

        Raises:
            TimeoutError: no member serves locks.
            QueryTimeout: it was not free in time. ServiceLost: its server died meanwhile.
        """
        servers = self._box.wait_for_services(timeout=timeout)
        server = min(servers, key=lambda service: service.id)
        token = os.urandom(8)
        try:
            self._box.request(server, ["acquire", name, token], timeout=timeout).result()
            yield
        finally:  # also when it timed out: our place in the queue
            with suppress(meshcluster.ClusterError):
                self._box.send(server, ["release", name, token])


def main(arguments: list[str]) -> None:
    cluster = meshcluster.Cluster()
    if arguments == ["serve"]:
        LockServer(cluster)
        cluster.join()
        print("serving", flush=True)
        cluster.run_forever()
    elif len(arguments) == 3 and arguments[0] == "hold":
        name, seconds = arguments[1], float(arguments[2])
        with cluster.join():
            print("waiting for", name, flush=True)
            with Locks(cluster).hold(name, timeout=3600):
                print("holding", name, flush=True)
                time.sleep(seconds)
            print("released", name, flush=True)
    else:
        sys.exit("usage: locks.py serve | locks.py hold NAME SECONDS")


if __name__ == "__main__":
    main(sys.argv[1:])
