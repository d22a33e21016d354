"""zeromq-pyre: nodes that find each other by UDP beacons and whisper by ZeroMQ over TCP.

It drops what does not fit into its queues and tells nobody, so its sender keeps a bounded number of
messages on their way and hears of each batch that arrived. Its beacons choose a network by
themselves and never the loopback; here they are told to stay there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from ipaddress import ip_address
from uuid import UUID

from pyre import Pyre as Node
from pyre.zbeacon import ZBeacon

from ..task import Task
from .load import Ask, Burst, Flood, Mark, ask_many, body, burst_of
from .roles import Take

GROUP = "benchmarks"
ENTER, JOIN, WHISPER, SHOUT, STOP = b"ENTER", b"JOIN", b"WHISPER", b"SHOUT", b"STOP"
WINDOW, WINDOW_BYTES = 256, 16 * 1024 * 1024


def on_loopback(beacon: ZBeacon) -> None:
    """Instead of the search for an interface."""
    beacon.address = beacon.network_address = ip_address("127.0.0.1")
    beacon.broadcast_address = ip_address("127.255.255.255")
    beacon.interface_name = "lo"


ZBeacon._prepare_socket = on_loopback


class Pyre:
    """Plays the roles with nodes; each is found, nobody is told an address."""

    @contextmanager
    def receive(self, task: Task, take: Take) -> Iterator[None]:
        batch, taken = window(task) // 4, 0

        def whispered(node: Node, event: list[bytes]) -> None:
            nonlocal taken
            if event[0] == WHISPER:
                take(event[-1])
                taken += 1
                if taken % batch == 0:
                    node.whisper(UUID(bytes=event[1]), b"")

        with listening(task, whispered):
            yield

    @contextmanager
    def send(self, task: Task) -> Iterator[tuple[Burst, Mark]]:
        with started(task) as node:
            (peer,) = found(node, 1)
            data, times = body(task), burst_of(task)
            batch, free = window(task) // 4, window(task)

            def mark(data: bytes) -> None:
                nonlocal free
                while free == 0:
                    free += batch * (node.recv()[0] == WHISPER)
                node.whisper(peer, data)
                free -= 1

            def burst() -> None:
                for _ in range(times):
                    mark(data)

            yield burst, mark

    @contextmanager
    def respond(self, task: Task) -> Iterator[None]:
        def asked(node: Node, event: list[bytes]) -> None:
            if event[0] in (WHISPER, SHOUT):
                node.whisper(UUID(bytes=event[1]), event[-1])

        with ExitStack() as stack:
            for _ in range(task.held):
                stack.enter_context(listening(task, asked))
            yield

    @contextmanager
    def ask(self, task: Task) -> Iterator[Ask]:
        with started(task) as node:
            (peer, *others) = found(node, task.count)

            def question(data: bytes) -> int:
                if others:
                    node.shout(GROUP, data)
                else:
                    node.whisper(peer, data)
                return sum(answer(node) == len(data) for _ in range(task.count))

            yield question

    @contextmanager
    def ask_many(self, task: Task) -> Iterator[Flood]:
        with started(task) as node:
            (peer,) = found(node, 1)

            def begin(data: bytes) -> Callable[[], object]:
                node.whisper(peer, data)
                return lambda: answer(node)  # they keep the order of the questions

            yield partial(ask_many, begin, task)

    @contextmanager
    def meet(self, task: Task, met: Callable[[], None]) -> Iterator[None]:
        def entered(node: Node, event: list[bytes]) -> None:
            if event[0] == ENTER:
                met()

        with listening(task, entered):
            yield


def window(task: Task) -> int:
    """How many messages may be on their way."""
    return max(4, min(WINDOW, WINDOW_BYTES // task.body_bytes))


@contextmanager
def started(task: Task) -> Iterator[Node]:
    """A node in the measurement's own group."""
    node = Node()
    node.set_port(str(task.port).encode())
    node.join(GROUP)
    node.start()
    yield node
    node.stop()


@contextmanager
def listening(task: Task, hear: Callable[[Node, list[bytes]], None]) -> Iterator[None]:
    """A node whose events are heard in a thread."""
    with started(task) as node:

        def run() -> None:
            while (event := node.recv())[0] != STOP:
                hear(node, event)

        thread = threading.Thread(target=run)
        thread.start()
        yield
    thread.join()


def found(node: Node, count: int) -> list[UUID]:
    """Waits for as many others that are in the group."""
    others: list[UUID] = []
    while len(others) < count:
        event = node.recv()
        if event[0] == JOIN:
            others.append(UUID(bytes=event[1]))
    return others


def answer(node: Node) -> int:
    """Waits for a whisper; returns its length."""
    while (event := node.recv())[0] != WHISPER:
        pass
    return len(event[-1])
