"""Sends as fast as it is taken: bytes, or a small dataclass. The blocking face."""

from __future__ import annotations

import sys
import time

from meshcluster import Cluster

from ..members.tally import END, START
from ..task import Line
from . import face
from .reading import BODY, Reading
from .told import BYTES, Told

WARM_SECONDS = 0.2
BURST = 64
"""Messages between two looks at the clock."""


def play(told: Told, line: Line) -> None:
    """To the one that is there."""
    with Cluster().join(protocols=["unix"], **face.settings(told)) as cluster:
        services = cluster.wait_for_services()
        number = 0

        def pour(seconds: float) -> int:
            nonlocal number
            sent, deadline = 0, time.perf_counter() + seconds
            while time.perf_counter() < deadline:
                for _ in range(BURST):
                    number += 1
                    data = BODY if told.value == BYTES else Reading("kitchen", number, 21.5, True)
                    cluster.send(data, services=services)
                sent += BURST
            return sent

        pour(WARM_SECONDS)
        cluster.send(START, services=services)
        sent = pour(told.seconds)
        cluster.send(END, services=services)
        line.tell(sent=sent)
        sys.stdin.read()
