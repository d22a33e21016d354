"""What comes out of a ``Pool``: each says what is to be done now, in their order."""

from __future__ import annotations

from typing import NamedTuple

from .slot import Slot
from .task import Task


class Start(NamedTuple):
    """A worker is wanted there."""

    slot: Slot


class Send(NamedTuple):
    """A task begins its way."""

    slot: Slot
    task: Task


class Tell(NamedTuple):
    """A word to a worker: "cancel" or "recall" a task, or "ping"."""

    slot: Slot
    what: str
    number: int


class Stop(NamedTuple):
    """A worker is to go: politely, or at once, for something is wrong with it."""

    slot: Slot
    politely: bool


class Settle(NamedTuple):
    """A task has its end: an error; or None, and its future is cancelled."""

    task: Task
    error: BaseException | None


Effect = Start | Send | Tell | Stop | Settle
