"""What a member process is told to do, and the pipe on which it and its parent talk."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass

BODY_BYTES = 64
"""Of every message that is measured, unless said otherwise; marks are shorter."""

UNIX, TCP, ZEROMQ, UDP, SSH = "unix", "tcp", "zeromq", "udp", "ssh"
FIRST, AGAIN = "first join", "later join"
"""Ways: of talking, and of joining. A program pays its imports with its first join."""

IN_LOOP, ASYNC_DEF, THREAD = FUNCTIONS = "in_loop", "async def", "thread"
"""How a function of ours that is called is exposed: in the member's loop, as a coroutine, or as
by default, where it runs on a thread.
"""

ACKS, AT_MOST_ONCE = PROMISES = "acks", "at_most_once"
"""What a queue of ours promises: each item is held until it is done, or lost with who has it."""

SUBMIT, MAP, MAP_BATCHES = HANDED_OVER = "submit", "map", "map, 100 a task"
"""How our dispatcher is handed tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One member's part in one measurement. Handed over as one JSON argument."""

    member: str
    """Who plays: a name in ``entrants.py``."""
    role: str
    """What it does: ``receive`` and ``send``, ``respond`` and ``ask`` or ``ask_many``, ``put`` and
    ``take``, ``work``, ``meet``."""
    way: str
    """By what it talks, or how it joins: one of the words above."""
    folder: str
    """The measurement's own folder: runtime directory, sockets."""
    port: int
    """The measurement's own: UDP for beacons, TCP for those who are told where to listen. For those
    who work behind ssh that of the server."""
    number: int = 0
    """Tells members of one role apart; those who listen do so at ``port + number``."""
    count: int = 1
    """How many others it needs."""
    held: int = 1
    """How many responders this one process holds, from ``number`` on."""
    body_bytes: int = BODY_BYTES
    """Of each message and question."""
    echo: bool = True
    """Whether an answer is the question's own bytes; else it is empty."""
    at_once: int = 64
    """How many questions of ``ask_many`` are on their way."""
    seconds: float = 1.0
    uvloop: bool = True
    """Whether uvloop may be used."""
    waits: bool = False
    """Whether it plays only when told to; what it imports it has imported by then."""
    ssh: str = ""
    """The folder with the ssh client's configuration and the user's key, if that is needed."""


class Line:
    """A member's end of the pipe: figures go out by stdout, wishes of the parent come by stdin."""

    def tell(self, **figures: float) -> None:
        """Reports figures; without any it only says that this step is reached."""
        sys.stdout.write(json.dumps(figures) + "\n")
        sys.stdout.flush()

    def hear(self) -> bool:
        """Waits for the parent's word to go on, or for its end, which is False."""
        return bool(sys.stdin.readline())
