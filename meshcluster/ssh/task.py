"""``Task``: one piece of work as the pool sees it, and what became of each try."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from ..config import check_timeout
from ..errors import ConfigError

ATTEMPTS = 3


class Attempt(NamedTuple):
    """One try of a task.

    Attributes:
        server: its name.
        outcome: "done", "raised", "lost" (the worker ended or fell silent with it), "timeout".
        reason: more of it, in words.
        pid: of the worker's process, where it is known; else 0.
        seconds: how long the worker had it.
        stderr: the last of what the worker wrote there, where the worker was lost.
    """

    server: str
    outcome: str
    reason: str = ""
    pid: int = 0
    seconds: float = 0.0
    stderr: str = ""


class Terms:
    """What may be asked for beside the work itself."""

    __slots__ = ("attempts", "priority", "retry_on", "timeout")

    def __init__(
        self, *, attempts: int = ATTEMPTS, timeout: float | None = None, retry_on: Any = (),
        priority: int = 0,
    ) -> None:  # fmt: skip
        if type(attempts) is not int or attempts < 1:
            raise ConfigError(f"attempts={attempts!r}: a number of 1 or more")
        if type(priority) is not int:
            raise ConfigError(f"priority={priority!r}: a whole number")
        kinds = tuple(retry_on) if isinstance(retry_on, Iterable) else (retry_on,)
        if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds):
            raise ConfigError(f"retry_on={retry_on!r}: exception classes")
        self.attempts = attempts
        self.timeout = None if timeout is None else check_timeout(timeout)
        self.retry_on: tuple[type[BaseException], ...] = kinds
        self.priority = priority

    @property
    def plain(self) -> bool:
        """Nothing is asked for that is about each item of several."""
        return self.timeout is None and not self.retry_on


class Task:
    """One piece of work. The pool changes it."""

    __slots__ = (
        "attempts", "body", "future", "kind", "number", "queued_at", "recalled", "server",
        "settled", "terms", "timed_out", "waiting", "work",
    )  # fmt: skip

    def __init__(
        self, number: int, kind: bytes = b"", body: bytes = b"", work: Any = None,
        terms: Terms | None = None,
    ) -> None:  # fmt: skip
        self.number = number
        """Counts up: equals are begun in their order, those that are tried again before others."""
        self.kind = kind
        self.body = body
        self.work = work
        """The function, its arguments and named ones: for members of the mesh."""
        self.terms = terms or Terms()
        self.future: Any = None
        self.attempts: list[Attempt] = []
        self.queued_at = 0.0
        self.server = ""
        """Whose worker has it, or had it last."""
        self.waiting = False
        self.settled = False
        """Its future has its end, or gets it in this moment: nothing more may be told to it."""
        self.timed_out = False
        self.recalled = False

    def let_go(self) -> None:
        """It has its end: its arguments are not needed, nor its future, which knows it."""
        self.body, self.work, self.future = b"", None, None

    @property
    def tries_left(self) -> bool:
        """It may be tried again."""
        return len(self.attempts) < self.terms.attempts

    def __lt__(self, other: Task) -> bool:
        mine, others = -self.terms.priority, -other.terms.priority
        return (mine, self.number) < (others, other.number)
