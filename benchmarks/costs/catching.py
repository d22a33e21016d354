"""Counts what comes, each value read as the task says."""

from __future__ import annotations

import sys
from collections.abc import Callable

from meshcluster import Cluster, Message
from meshcluster.wire.body import TYPED

from ..members.tally import Tally
from ..task import Line
from . import face
from .reading import BODY, Reading
from .told import AS_DICT, AS_TYPE, Told


def play(told: Told, line: Line) -> None:
    """Until the last has come."""
    tally = Tally()
    cluster = Cluster()
    cluster.hook("event")(taker(told.value, tally))
    with cluster.join(protocols=["unix"], **face.settings(told)):
        line.tell()
        tally.ended.wait()
        line.tell(rate=tally.rate, received=tally.received)
        sys.stdin.read()


def taker(value: str, tally: Tally) -> Callable[[Message], None]:
    """The hook. Marks are bytes, whatever is measured."""

    def plain(event: Message) -> None:
        tally.take(event.data)

    def as_dict(event: Message) -> None:
        data = event.data
        tally.take(BODY if event.form == TYPED and data["steady"] else data)

    def as_type(event: Message) -> None:
        if event.form == TYPED:
            tally.take(BODY if event.read(Reading).steady else b"")
        else:
            tally.take(event.data)

    return {AS_DICT: as_dict, AS_TYPE: as_type}.get(value, plain)
