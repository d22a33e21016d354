"""Queries and requests of one member on their way: who is to hear what comes of each, and what it
answers to those of others.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING
from weakref import ref

from ..config import check_timeout
from ..errors import EncodeError, HookError, NoServices, NotJoined
from ..hooks import HookRegistry
from ..model import Service
from ..node.effects import (
    AckedArrived,
    QueryProgress,
    QuestionArrived,
    RequestArrived,
    RequestDone,
)  # fmt: skip
from ..node.promises import Promise
from ..node.queries import DONE, Asked, Gathering, Sink
from ..node.requests import Finish, Waiter, nobody
from ..node.session import LARGE_BODY_BYTES
from ..resolver import Resolver, Words
from ..wire.body import BYTES, encode
from ..wire.frames import RAISED, UNTOLD, AckedEvent, Answer, Question, Request
from ..wire.message import ANSWER, REQUEST

if TYPE_CHECKING:
    from .driver import Driver
    from .waking import Waking

from .sending import BEING_LEFT, Part

logger = logging.getLogger("meshcluster")

FULL = 32
"""So many questions to a member leave before the turn of the loop ends in which they are asked: it
answers these while the others are asked, and both are at work."""

Taken = QuestionArrived | RequestArrived
"""What another member asks of us."""


class Asking:
    """The open queries and requests of a driver."""

    def __init__(self, driver: Driver, hooks: HookRegistry, waking: Waking) -> None:
        limits = driver.config.limits
        self._driver = driver
        self._hooks = hooks
        self._waking = waking
        self._short_bytes = min(LARGE_BODY_BYTES, limits.message_bytes)
        self.loop = asyncio.get_running_loop()
        self._queries = driver.node.queries
        self._requests = driver.node.requests
        self._room_bytes = limits.query_bytes
        self._ids = itertools.count(1)
        self._taken: dict[int, ref[Taken]] = {}
        """What was asked of us and is not answered: weakly, for a responder may forget it."""

    def questions(
        self, query_id: int, query: object, resolve: Words | None, resolver: Resolver | None,
        services: Iterable[Service] | None, channel: int, protocols: Sequence[str] | None,
    ) -> tuple[Asked | None, Callable[[], Asked]]:  # fmt: skip
        """Who is asked now (None: nobody matches), and how to find out again (any thread)."""
        sender = self._driver.sender
        form, body = sender.encode(query, channel)
        services = None if services is None else tuple(services)
        find = partial(
            sender.questions, query_id, form, body, resolve, resolver, services, channel, protocols
        )
        try:
            return find(), find
        except NoServices:
            return None, find

    def next_id(self) -> int:
        """A number no open query or request has (any thread)."""
        return next(self._ids)

    # --- queries -----------------------------------------------------------------------------

    def gathering(self, timeout: float, *, watched: bool) -> Gathering:
        """What a new query will collect (any thread).

        Raises:
            ConfigError: ``timeout`` is no duration.
        """
        return Gathering(
            next(self._ids), check_timeout(timeout), watched, room_bytes=self._room_bytes
        )

    def tell(
        self, gathering: Gathering, sink: Sink, data: object, resolve: Words | None,
        resolver: Resolver | None, services: Iterable[Service] | None, channel: int,
        protocols: Sequence[str] | None, *, at_once: bool,
    ) -> bool:  # fmt: skip
        """The hot path of asking, as ``Driver.tell`` is of sending: members that were told
        something before, a body that is not large, no ``send`` hooks, and nobody watches. Otherwise
        False: look closer (any thread; ``at_once``: in the loop).

        Questions of one turn of the loop leave together; with ``at_once`` neither one that is the
        only open waits for its end, nor ``FULL`` of them.
        """
        sender = self._driver.sender
        if services is None:
            services = sender.directory.resolved.get(resolve) if type(resolve) is str else None
        elif resolve is not None:
            return False
        told, receivers, by_key = sender.audience
        if services is not told:
            _, receivers, by_key = sender.audience_of(services)
        if not receivers or resolver is not None or channel or protocols is not None:
            return False
        if gathering.watched or self._hooks.send_hooks:
            return False
        form, body = (BYTES, data) if type(data) is bytes else encode(data)
        if len(body) > self._short_bytes:
            return False
        gathering.sink = sink
        self._queries.open(gathering, receivers, by_key)
        question = Question(gathering.id, 0, form, body)
        waking = self._waking
        for _, session in receivers:
            session.waiting.append(question)
            if not session.awake:
                waking.notice(session)
        alone = len(self._queries.opened) == 1
        if at_once and not waking.looks and (alone or not len(session.waiting) % FULL):
            waking.look()
        else:
            waking.wake()  # the time runs from here, whether or not the sessions are busy
        return True

    def query(
        self, gathering: Gathering, sink: Sink, asked: Asked | None,
        resolve: Callable[[], Asked],
    ) -> None:  # fmt: skip
        """Starts a query; see ``Node.ask``. After leaving it ends at once."""
        driver = self._driver
        gathering.sink = sink
        driver.node.ask(gathering, driver.time(), asked, resolve)
        if not driver.joined:
            driver.node.close_queries()
        driver.step()

    def query_soon(
        self, gathering: Gathering, sink: Sink, asked: Asked | None,
        resolve: Callable[[], Asked],
    ) -> None:  # fmt: skip
        """Has the loop start a query (any thread)."""
        gathering.sink = sink
        self._queries.opened[gathering.id] = gathering  # at once: the loop may never get to it
        self._driver.call_soon(lambda: self.query(gathering, sink, asked, resolve))

    def cancel(self, gathering: Gathering) -> None:
        """Ends a query."""
        self._driver.node.cancel_query(gathering)
        self._driver.step()

    def progressed(self, effect: QueryProgress) -> None:
        """Tells who made the query what happened to it."""
        gathering = effect.gathering
        sink = gathering.sink
        if sink is None:
            return
        if effect.name is DONE:
            gathering.sink = None
        try:
            sink.progress(effect.name, effect.service)
        except Exception:  # on_event is a user's function
            self._driver.node.counters.count("hooks that raised")
            logger.exception("on_event of a query raised")

    # --- requests ----------------------------------------------------------------------------

    def request(
        self, service: Service, mailbox: str, data: object, timeout: float, finish: Finish, *,
        at_once: bool,
    ) -> Waiter:  # fmt: skip
        """Asks one member's mailbox; returns who waits, to be cancelled (any thread; ``at_once``:
        in the loop). The hot path, and when it leaves, as in ``tell``.

        Raises:
            NoServices, EncodeError, HookError: see ``Sender.letter``.
            NotJoined: the cluster is being left.
        """
        session = self._driver.sender.common.get(service.key) if type(service) is Service else None
        if session is None or self._hooks.send_hooks:
            return self._request(service, mailbox, data, timeout, finish)
        form, body = (BYTES, data) if type(data) is bytes else encode(data)
        if len(body) > self._short_bytes:
            return self._request(service, mailbox, data, timeout, finish)
        requests, waiting, waking = self._requests, session.waiting, self._waking
        waiter = Waiter(next(self._ids), service, session, timeout, finish)
        requests.open(waiter)
        waiting.append(Request(waiter.id, mailbox, 0, form, body))
        if not session.awake:
            waking.notice(session)
        alone = len(requests.opened) == 1
        if at_once and not waking.looks and (alone or not len(waiting) % FULL):
            waking.look()
        elif not waking.asked:
            waking.wake()  # its time runs from here, whether or not the session is busy
        return waiter

    def _request(
        self, service: Service, mailbox: str, data: object, timeout: float, finish: Finish
    ) -> Waiter:
        """The same of whatever may be asked of whomever."""
        driver = self._driver
        if not driver.joined:
            raise NotJoined(BEING_LEFT)
        ((channel, form, body, receivers),) = driver.sender.letter(REQUEST, service, mailbox, data)
        ((_, session),) = receivers
        waiter = Waiter(next(self._ids), service, session, timeout, finish)
        self._requests.open(waiter)
        driver.put(session, Request(waiter.id, mailbox, channel, form, body))
        driver.wake()
        return waiter

    def answered(self, effect: RequestDone) -> None:
        """Tells who made the request what came of it."""
        waiter, driver = effect.waiter, self._driver
        self._finish(waiter, effect.value, effect.error)
        if driver.full:
            session = waiter.session
            if len(session.promises) <= driver.config.limits.open_sends // 2:
                driver.tell_room(session)

    def _finish(self, waiter: Waiter, value: object, error: Exception | None) -> None:
        finish, waiter.finish = waiter.finish, nobody
        try:
            finish(value, error)
        except Exception:  # it is a user's function
            self._driver.node.counters.count("hooks that raised")
            logger.exception("what was to hear of a request raised")

    # --- acknowledged sends ------------------------------------------------------------------

    def promise(self, parts: Sequence[Part], timeout: float, ended: Callable[[], None]) -> Promise:
        """Queues prepared events, each to be acknowledged within ``timeout`` seconds; ``ended`` is
        called in the loop (any thread).

        Raises:
            NotJoined: the cluster is being left.
        """
        driver = self._driver
        if not driver.joined:
            raise NotJoined(BEING_LEFT)
        told = [(part, receiver) for part in parts for receiver in part[3]]
        receivers = [receiver for _, receiver in told]
        promise = Promise(receivers, timeout, self.next_id, ended)
        promise.open(driver.node.requests)
        for ((channel, form, body, _), _), waiter in zip(told, promise.waiters, strict=True):
            driver.put(waiter.session, AckedEvent(waiter.id, channel, form, body))
        driver.wake()  # its time runs from here, whether or not the session is busy
        return promise

    def withdraw(self, promise: Promise) -> None:
        """Nobody waits for it any more: what has not left never will (any thread)."""
        if not promise.over:
            with suppress(NotJoined):
                self._driver.call_soon(promise.cancel)

    # --- answers of ours ---------------------------------------------------------------------

    def take(self, arrived: Taken) -> None:
        """Notes what was asked of us and is not answered at once, until ``answer``."""
        number = id(arrived)
        self._taken[number] = ref(arrived, lambda _: self._taken.pop(number, None))

    def take_late(self, arrived: RequestArrived) -> None:
        """The same of what another thread may be answering in this very moment."""
        self.take(arrived)
        if arrived.answered:  # it may have looked for what to take out before we put it there
            self._taken.pop(id(arrived), None)

    @property
    def unanswered(self) -> list[Service]:
        """Who waits for an answer of ours."""
        taken = [each() for each in self._taken.copy().values()]
        return [each.service for each in taken if each and each.session.peer.service is not None]

    def answer(self, arrived: Taken | AckedArrived, outcome: int, value: object) -> None:
        """Sends what came of a question, or of an event that is to be acknowledged (any thread)."""
        driver, asked = self._driver, arrived.question
        session = arrived.session
        if type(value) is bytes and len(value) <= self._short_bytes and not self._hooks.send_hooks:
            session.waiting.append(Answer(asked.id, outcome, asked.channel, BYTES, value))
        else:
            session.put(Answer(asked.id, *self._prepared(arrived, outcome, value)))
        if not session.awake:
            self._waking.notice(session)
        if type(arrived) is RequestArrived:
            arrived.answered = True
        if self._taken:
            self._taken.pop(id(arrived), None)  # last: in between nothing would seem to be to do
        if not driver.joined:
            driver.wake()

    def _prepared(
        self, arrived: Taken | AckedArrived, outcome: int, value: object
    ) -> tuple[int, int, int, bytes]:
        """The outcome, channel, form and body of an answer, as the ``send`` hooks leave it."""
        sender, channel = self._driver.sender, arrived.question.channel
        try:
            form, body = sender.encode(value, 0)
            if self._hooks.send_hooks:
                receivers = ((arrived.service, arrived.session),)
                ((channel, form, body, _),) = sender.prepare(ANSWER, form, body, channel, receivers)
        except (EncodeError, HookError) as error:  # the asker must not wait for what never comes
            kind = type(error).__name__
            self._driver.node.counters.count(f"answers not sent: {kind}")
            logger.info("an answer to %s was not sent: %s", arrived.service.name, error)
            form, body = encode([kind, "the answer could not be sent"])
            outcome = UNTOLD if isinstance(arrived, AckedArrived) else RAISED
        return outcome, channel, form, body

    # --- the end -----------------------------------------------------------------------------

    def abandon(self, failure: Exception) -> None:
        """Ends what no loop will end: waiting for it raises ``failure``."""
        self._queries.abandon(failure)
        while self._requests.opened:
            _, waiter = self._requests.opened.popitem()
            self._finish(waiter, None, failure)
