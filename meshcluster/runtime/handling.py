"""An acknowledged event on its way through the ``event`` hooks: answered when the last returned."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..hooks.chain import Function, name_of
from ..node.effects import AckedArrived
from ..wire.frames import ANSWERED, NO_RESPONDER, RAISED
from ..wire.message import Message
from .mailboxes import text_of

if TYPE_CHECKING:
    from .runners import HookCalls

logger = logging.getLogger("meshcluster.hooks")


class Handling:
    """``functions`` are the hooks to be called with ``message``, each by ``call`` or ``wait_for``,
    and all of them are: one that raises stops no other. The first that raised is told of.
    """

    def __init__(self, calls: HookCalls, arrived: AckedArrived) -> None:
        event, service = arrived.question, arrived.service
        self._calls = calls
        self._arrived = arrived
        self._error: BaseException | None = None
        self.functions: Sequence[Function] = calls.chain(
            "event", event.channel, arrived.protocol, service
        )
        self.message = Message(service, event.channel, event.form, event.body, arrived.protocol)
        self._left = len(self.functions)
        if not self._left:
            calls.answer(arrived, NO_RESPONDER, None)

    def call(self, functions: Iterable[Function]) -> None:
        """Calls plain functions."""
        for function in functions:
            try:
                function(self.message)
            except (Exception, SystemExit) as error:
                self._raised(function, error)
            self._returned()

    async def wait_for(self, function: Callable[[Message], Any]) -> None:
        """Calls an ``async def``."""
        try:
            await function(self.message)
        except Exception as error:
            self._raised(function, error)
        self._returned()

    def _raised(self, function: Function, error: BaseException) -> None:
        self._error = self._error or error
        self._calls.counters.count("hooks that raised")
        sender = self._arrived.service.name
        logger.info("%s raised for %s", name_of(function), sender, exc_info=error)

    def _returned(self) -> None:
        self._left -= 1
        if self._left:
            return
        if (error := self._error) is None:
            self._calls.answer(self._arrived, ANSWERED, None)
        else:
            self._calls.answer(self._arrived, RAISED, [type(error).__name__, text_of(error)])
