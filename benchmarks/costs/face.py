"""How the programs join: the same for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from .told import Told


def settings(told: Told) -> dict[str, Any]:
    """The arguments of ``join``: this host alone, everything else at its default."""
    return {"cluster": "benchmarks", "port": told.port, "mdns": told.mdns}


def run(main: Coroutine[Any, Any, None]) -> None:
    """Runs the async face, in uvloop where that may be used."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(main)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
