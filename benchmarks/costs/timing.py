"""Takes what ``pacing`` sends and says how long it was on its way."""

from __future__ import annotations

import asyncio
import socket
import sys

from meshcluster import AsyncCluster, Cluster

from ..task import Line
from . import face
from .stamps import Stopwatch
from .told import AWAITED, SOCKETS, Told

READ_BYTES = 64 * 1024


def play(told: Told, line: Line) -> None:
    """Until the last has come."""
    if told.kind == AWAITED:
        face.run(_awaited(told, line))
    elif told.kind == SOCKETS:
        _sockets(told, line)
    else:
        stopwatch, cluster = Stopwatch(), Cluster()
        cluster.hook("event")(lambda event: stopwatch.take(event.data))
        with cluster.join(protocols=["unix"], **face.settings(told)):
            line.tell()
            stopwatch.ended.wait()
            line.tell(**stopwatch.figures())
            sys.stdin.read()


async def _awaited(told: Told, line: Line) -> None:
    stopwatch, cluster = Stopwatch(), AsyncCluster()
    cluster.hook("event")(lambda event: stopwatch.take(event.data))
    async with cluster.join(protocols=["unix"], **face.settings(told)):
        line.tell()
        await asyncio.to_thread(stopwatch.ended.wait)
        line.tell(**stopwatch.figures())
        await asyncio.to_thread(sys.stdin.read)


def _sockets(told: Told, line: Line) -> None:
    stopwatch = Stopwatch()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{told.folder}/raw")
        listener.listen()
        line.tell()
        connection, _ = listener.accept()
        with connection:
            _read(connection, stopwatch)
        line.tell(**stopwatch.figures())
        sys.stdin.read()


def _read(connection: socket.socket, stopwatch: Stopwatch) -> None:
    rest = b""
    while not stopwatch.ended.is_set() and (received := connection.recv(READ_BYTES)):
        data, begin = rest + received, 0
        while (stop := begin + 4 + int.from_bytes(data[begin : begin + 4], "big")) <= len(data):
            stopwatch.take(data[begin + 4 : stop])
            begin = stop
        rest = data[begin:]
