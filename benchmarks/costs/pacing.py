"""Sends at a given rate, by one of our faces or with one write for each message."""

from __future__ import annotations

import asyncio
import socket
import sys

from meshcluster import AsyncCluster, Cluster

from ..task import Line
from . import face
from .stamps import send, send_awaited
from .told import AWAITED, SOCKETS, Told


def play(told: Told, line: Line) -> None:
    """To the one that is there."""
    if told.kind == AWAITED:
        face.run(_awaited(told, line))
    elif told.kind == SOCKETS:
        _sockets(told, line)
    else:
        with Cluster().join(protocols=["unix"], **face.settings(told)) as cluster:
            services = cluster.wait_for_services()
            reached = send(
                lambda data: cluster.send(data, services=services), told.rate, told.seconds
            )
            line.tell(rate=reached)
            sys.stdin.read()


async def _awaited(told: Told, line: Line) -> None:
    async with AsyncCluster().join(protocols=["unix"], **face.settings(told)) as cluster:
        services = await cluster.wait_for_services()
        reached = await send_awaited(
            lambda data: cluster.send(data, services=services), asyncio.sleep,
            told.rate, told.seconds,
        )  # fmt: skip
        line.tell(rate=reached)
        await asyncio.to_thread(sys.stdin.read)


def _sockets(told: Told, line: Line) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(f"{told.folder}/raw")
        reached = send(
            lambda data: connection.sendall(len(data).to_bytes(4, "big") + data),
            told.rate, told.seconds,
        )  # fmt: skip
        line.tell(rate=reached)
        sys.stdin.read()
