"""The blocking face: ``meshcluster.Cluster``, used from the main thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from meshcluster import Cluster

from ..task import TCP, UNIX, ZEROMQ, Task
from .load import BODY, BURST, Ask, Burst, Mark
from .roles import Take


class Blocking:
    """Plays every role with public names only."""

    @contextmanager
    def receive(self, task: Task, take: Take) -> Iterator[None]:
        cluster = Cluster()
        cluster.hook("event")(lambda event: take(event.data))
        with join(cluster, task):
            yield

    @contextmanager
    def send(self, task: Task) -> Iterator[tuple[Burst, Mark]]:
        with join(Cluster(), task) as cluster:
            services = cluster.wait_for_services()
            send = cluster.send

            def burst() -> None:
                for _ in range(BURST):
                    send(BODY, services=services)

            def mark(data: bytes) -> None:
                send(data, services=services)

            yield burst, mark

    @contextmanager
    def respond(self, task: Task) -> Iterator[None]:
        cluster = Cluster()
        cluster.hook("query")(lambda question: question.data)
        with join(cluster, task):
            yield

    @contextmanager
    def ask(self, task: Task) -> Iterator[Ask]:
        with join(Cluster(), task) as cluster:
            services = cluster.wait_for_services(task.count)
            yield lambda data: len(cluster.query(data, services=services).wait())

    @contextmanager
    def meet(self, task: Task, met: Callable[[], None]) -> Iterator[None]:
        cluster = Cluster()
        cluster.hook("service.discovered")(lambda service: met())
        with join(cluster, task):
            yield


def join(cluster: Cluster, task: Task) -> Cluster:
    """Joins the measurement's own mesh."""
    protocols = [task.way] if task.way in (UNIX, TCP, ZEROMQ) else None
    return cluster.join(cluster="benchmarks", port=task.port, protocols=protocols)
