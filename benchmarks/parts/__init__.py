"""What is measured: one file each, with a ``run`` that gives its tables."""

from collections.abc import Callable

from ..settings import Settings
from ..table import Table
from . import beacons, discovery, large, losses, oneway, query, roundtrip, secret

PARTS: dict[str, Callable[[Settings], list[Table]]] = {
    "oneway": oneway.run,
    "roundtrip": roundtrip.run,
    "query": query.run,
    "discovery": discovery.run,
    "beacons": beacons.run,
    "losses": losses.run,
    "large": large.run,
    "secret": secret.run,
}

__all__ = ("PARTS",)
