"""``python -m benchmarks.members TASK``: plays one role; ends with its stdin."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable

from ..task import Line, Task


def main(text: str) -> None:
    """Plays the role of a task, given as JSON."""
    task = Task(**json.loads(text))
    if not task.uvloop:
        sys.modules["uvloop"] = None  # type: ignore[assignment]  # as if it were not installed
    if task.member == "awaited":
        play_awaited(task)
    else:
        play(task)


def play(task: Task) -> None:
    """A member that blocks."""
    from . import roles

    member: roles.Member
    if task.member in ("blocking", "open"):
        from .blocking import Blocking

        member = Blocking(open=task.member == "open")
    elif task.member == "zenoh":
        from .zenoh_peer import Zenoh

        member = Zenoh()
    else:
        from .sockets import Sockets

        member = Sockets(batched=task.member == "batches")
    getattr(roles, task.role)(member, task, Line())


def play_awaited(task: Task) -> None:
    """The async face, in uvloop where that may be used."""
    from . import awaited

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(getattr(awaited, task.role)(task, Line()))


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, or asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


main(sys.argv[1])
