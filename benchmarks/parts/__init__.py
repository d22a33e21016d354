"""What is measured: one file each, with a ``run`` that gives its tables as they are finished."""

from collections.abc import Callable, Iterable

from ..settings import Settings
from ..table import Table
from . import (
    beacons,
    calls,
    discovery,
    growth,
    idle,
    known,
    large,
    latency,
    losses,
    oneway,
    peers,
    query,
    queues,
    roundtrip,
    secret,
    sizes,
    ssh,
    starts,
    steps,
    typed,
)

PARTS: dict[str, Callable[[Settings], Iterable[Table]]] = {
    "oneway": oneway.run,
    "roundtrip": roundtrip.run,
    "query": query.run,
    "discovery": discovery.run,
    "beacons": beacons.run,
    "losses": losses.run,
    "large": large.run,
    "secret": secret.run,
    "steps": steps.run,
    "latency": latency.run,
    "typed": typed.run,
    "sizes": sizes.run,
    "starts": starts.run,
    "idle": idle.run,
    "known": known.run,
    "growth": growth.run,
    "peers": peers.run,
    "calls": calls.run,
    "queues": queues.run,
    "ssh": ssh.run,
}

__all__ = ("PARTS",)
