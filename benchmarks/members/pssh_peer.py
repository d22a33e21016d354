"""parallel-ssh at its best: sessions that stay open, greenlets that do not wait for each other."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import gevent
from gevent.queue import SimpleQueue
from pssh.clients.ssh import SSHClient  # libssh: a tenth faster than libssh2 here

from ..task import Task
from .hosts import command, key, numbers

GREENLETS = 4
"""For each session, where there are several of both."""


class ParallelSsh:
    """Plays who has work. It reads no configuration: each of its hosts is the address."""

    @contextmanager
    def work(self, task: Task) -> Iterator[Iterator[float]]:
        clients = [connected(task) for _ in range(task.count)]
        try:
            if task.count == 1:
                yield (run(clients[0], number) for number in numbers())
            else:
                with in_greenlets(clients) as results:
                    yield results
        finally:
            for client in clients:
                client.disconnect()


def connected(task: Task) -> SSHClient:
    """An open session."""
    client = SSHClient("127.0.0.1", port=task.port, pkey=key(task), allow_agent=False)
    # Left out by it: commands then wait 40 ms for an acknowledgement, if not each time.
    client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def run(client: SSHClient, number: int) -> float:
    """One command, and what it printed."""
    return float("".join(client.run_command(command(number)).stdout))


@contextmanager
def in_greenlets(clients: list[SSHClient]) -> Iterator[Iterator[float]]:
    """Results as they come."""
    results, items, ended = SimpleQueue(), numbers(), list[bool]()

    def loop(client: SSHClient) -> None:
        while not ended:
            results.put(run(client, next(items)))

    greenlets = [gevent.spawn(loop, client) for client in clients for _ in range(GREENLETS)]
    try:
        yield iter(results.get, None)
    finally:
        ended.append(True)
        gevent.joinall(greenlets)
