"""One call that is being served, as the function that is called may see it."""

from __future__ import annotations

import logging
import time
import traceback
from asyncio import Task
from collections import deque
from collections.abc import AsyncGenerator, Generator, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from ..errors import ClusterError
from ..mailbox import Letter
from ..model import Service
from .letters import RAISED

if TYPE_CHECKING:
    from .exposed import Exposed

logger = logging.getLogger("meshcluster.rpc")

TEXT_CHARACTERS = 10_000
"""Of what a function raised, its text and its traceback, more is not sent."""
LINE_CHARACTERS = 2000
"""Of one entry of the traceback, so that a long text leaves room for where it was raised."""

NOTHING: deque[Any] = deque(maxlen=0)
"""What is made of a call that is no stream."""

current: ContextVar[Execution] = ContextVar("meshcluster.current_call")


class Execution(Struct, eq=False):
    """What ``current_call()`` gives. ``service`` is the member that calls."""

    number: int
    exposed: Exposed
    args: Sequence[Any]
    named: dict[str, Any]
    seconds: float
    """For the result, and for each time that more of a stream is asked for."""
    deadline: float
    service: Service
    letter: Letter
    """What is answered next: the call, then each request for more of a stream."""
    task: Task[Any] | None = None
    generator: Generator[Any] | AsyncGenerator[Any] | None = None
    made: deque[Any] = NOTHING
    """Of a stream, what was made and is not given."""
    making: bool = False
    ended: tuple[list[Any] | None] | None = None
    """Nothing more will be made, and why not, if it raised."""
    asked: bool = False
    """The caller waits for more."""
    told: bool = False
    """The loop will hear that there is more."""
    pulled_at: float = 0.0
    """When somebody last asked for more."""
    given_up: bool = False
    seen: bool = False
    """The function was told that nobody waits."""

    @property
    def name(self) -> str:
        """The name it was called by."""
        return self.exposed.name

    @property
    def remaining(self) -> float:
        """Seconds until the deadline of who calls; 0 when it has passed. Between the items of a
        stream nobody waits.
        """
        if self.generator is not None and not self.asked:
            return self.seconds
        return max(0.0, self.deadline - time.monotonic())

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for the result any more."""
        waits = self.asked or self.generator is None  # between items nobody does
        self.seen = self.given_up or (waits and time.monotonic() >= self.deadline)
        return self.seen

    @property
    def gave_up(self) -> bool:
        """Whether the function knows that nobody waits: what it returns then is no result."""
        return self.seen or self.given_up

    def give_up(self) -> None:
        """Nobody waits any more. Coroutines are cancelled, once: they may need time to clean up;
        functions may look at ``cancelled``.
        """
        before, self.given_up = self.given_up, True
        if self.task is not None and not before:
            self.task.cancel()

    def __repr__(self) -> str:
        return f"<call of {self.name} by {self.service.name}, {self.remaining:.3g} s remain>"


def current_call() -> Execution:
    """The call that the running function serves: who calls, how long it may take, whether anybody
    still waits. Calls that it makes itself end no later than it.

    Raises:
        ClusterError: no call is being served here.
    """
    try:
        return current.get()
    except LookupError:
        raise ClusterError("current_call(): only in a function that is called") from None


def raised(execution: Execution, error: BaseException) -> list[Any]:
    """The answer of a function that raised."""
    logger.info("%s raised for %s", execution.name, execution.service.name, exc_info=error)
    try:
        text = str(error)
    except Exception:
        text = "(its text cannot be had)"
    trace = error.__traceback__
    ours = trace is not None and trace.tb_frame.f_globals.get("__package__") == __package__
    lines = traceback.format_exception(
        type(error), error, trace.tb_next if trace is not None and ours else trace
    )
    return [
        RAISED,
        type(error).__name__,
        _sendable(text),
        _sendable("".join(line[:LINE_CHARACTERS] for line in lines)[-TEXT_CHARACTERS:]),
    ]


def _sendable(text: str) -> str:
    return text[:TEXT_CHARACTERS].encode(errors="replace").decode()
