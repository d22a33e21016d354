"""The blocking face: ``meshcluster.Cluster``, used from the main thread."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from meshcluster import Cluster

from ..task import TCP, UDP, UNIX, ZEROMQ, Task
from .load import MEET_SECONDS, Ask, Burst, Flood, Mark, answer, ask_many, body, burst_of
from .roles import Take


class Blocking:
    """Plays every role with public names only.

    ``open``: as on a network without a secret, where nothing is sealed. Members of one host share
    a key that lies in their runtime directory, so each has a directory of its own.
    """

    def __init__(self, *, open: bool = False) -> None:
        self._open = open

    def _join(self, cluster: Cluster, task: Task) -> Cluster:
        if not self._open:
            return join(cluster, task)
        folder = Path(task.folder) / f"{task.role}{task.number}"
        folder.mkdir(mode=0o700)
        os.environ["MESHCLUSTER_RUNTIME_DIR"] = os.fspath(folder)
        logging.getLogger("meshcluster").setLevel(logging.ERROR)  # it warns, as it should
        return join(cluster, task, ttl=1)

    @contextmanager
    def receive(self, task: Task, take: Take) -> Iterator[None]:
        cluster = Cluster()
        cluster.hook("event")(lambda event: take(event.data))
        with self._join(cluster, task):
            yield

    @contextmanager
    def send(self, task: Task) -> Iterator[tuple[Burst, Mark]]:
        with self._join(Cluster(), task) as cluster:
            services = cluster.wait_for_services()
            send, data, times = cluster.send, body(task), burst_of(task)

            def burst() -> None:
                for _ in range(times):
                    send(data, services=services)

            def mark(data: bytes) -> None:
                send(data, services=services)

            yield burst, mark

    @contextmanager
    def respond(self, task: Task) -> Iterator[None]:
        cluster = Cluster()
        cluster.hook("query")(lambda question: answer(task, question.data))
        with self._join(cluster, task):
            yield

    @contextmanager
    def ask(self, task: Task) -> Iterator[Ask]:
        with self._join(Cluster(), task) as cluster:
            services = cluster.wait_for_services(task.count, timeout=MEET_SECONDS)
            yield lambda data: len(cluster.query(data, services=services).wait())

    @contextmanager
    def ask_many(self, task: Task) -> Iterator[Flood]:
        with self._join(Cluster(), task) as cluster:
            services = cluster.wait_for_services(task.count)

            def begin(data: bytes) -> Callable[[], object]:
                return cluster.query(data, services=services).wait

            yield partial(ask_many, begin, task)

    @contextmanager
    def meet(self, task: Task, met: Callable[[], None]) -> Iterator[None]:
        cluster = Cluster()
        cluster.hook("service.discovered")(lambda service: met())
        with self._join(cluster, task):
            yield


def join(cluster: Cluster, task: Task, *, ttl: int = 0) -> Cluster:
    """Joins the measurement's own mesh."""
    protocols = [task.way] if task.way in (UNIX, TCP, ZEROMQ, UDP) else None
    return cluster.join(cluster="benchmarks", port=task.port, protocols=protocols, ttl=ttl)
