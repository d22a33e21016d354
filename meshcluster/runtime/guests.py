"""What a guest says, to the ``guest`` hooks and back: programs that are no members."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

from ..model import Identity, Service
from ..node.effects import QuestionArrived
from ..wire.body import BYTES
from ..wire.frames import ANSWERED, NO_RESPONDER, OVERLOADED, RAISED, Question

STATUS = {ANSWERED: b"ok", RAISED: b"error", NO_RESPONDER: b"none", OVERLOADED: b"busy"}

Answer = Callable[[bytes, bytes], None]
"""Takes a status and a body, in the loop."""


class GuestAsked(QuestionArrived, frozen=True):
    """A guest's message. It has no session: its answer goes back by itself."""

    point: ClassVar[str] = "guest"  # guests are never taken for members
    answered: Callable[[int, object], None]


def asked(
    question: Callable[[QuestionArrived], None], scheme: str, remote: str, body: bytes,
    answer: Answer,
) -> None:  # fmt: skip
    """Has a guest's message answered: by the ``guest`` hooks, through a runner's ``question``."""
    loop = asyncio.get_running_loop()
    guest = Service(Identity(bytes(16), 0, "guest", ""), address=remote)

    def answered(outcome: int, value: object) -> None:
        status, told = _told(outcome, value)
        try:
            loop.call_soon_threadsafe(answer, status, told)
        except RuntimeError:
            pass  # the loop is closed, and so is what the guest is connected to

    session: Any = None
    question(GuestAsked(session, guest, scheme, Question(0, 0, BYTES, body), answered))


def _told(outcome: int, value: object) -> tuple[bytes, bytes]:
    """The answer as plain programs read it."""
    if outcome == RAISED and isinstance(value, list):
        return STATUS[RAISED], ": ".join(map(str, value)).encode()
    if value is None:
        return STATUS[outcome], b""
    if isinstance(value, str):
        return STATUS[outcome], value.encode()
    if isinstance(value, bytes):
        return STATUS[outcome], value
    kind = type(value).__name__
    return STATUS[RAISED], f"a guest is answered with bytes or text, not {kind}".encode()
