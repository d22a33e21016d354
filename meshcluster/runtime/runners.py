"""Where users' observers and responders run.

``LoopRunner`` is for ``AsyncCluster``: plain functions run in the loop, an ``async def`` observer
in one task of its own that takes its items in order. ``ThreadRunner`` is for the blocking
``Cluster``: observers and ``event`` hooks run in order on one thread, responders on a few others,
so that hooks may wait for queries, and neither the loop nor liveness waits for hooks.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from ..channels import NEAR, Channels
from ..config import Limits
from ..errors import NotJoined
from ..hooks import PASS, Hook, HookRegistry
from ..hooks.chain import Function, name_of
from ..model import Service
from ..node.counters import Counters
from ..node.effects import AckedArrived, EventsArrived, QuestionArrived
from ..node.session import Session
from ..wire.frames import ANSWERED, NO_RESPONDER, OVERLOADED, RAISED, Event
from ..wire.message import QUESTION, Lost, Message
from .guests import GuestAsked
from .handling import Handling
from .mailboxes import text_of
from .workers import Workers

RESPONDER_THREADS = 8
TAKEN_BYTES = 256 * 1024
"""How much the hooks take before the loop hears of it: a wake for each batch would cost more."""

logger = logging.getLogger("meshcluster.hooks")

Answer = Callable[[QuestionArrived | AckedArrived, int, object], None]
"""Sends the outcome of a question and its value; from any thread."""

Take = Callable[[QuestionArrived], None]
"""Notes a question that is not answered at once; in the loop."""

Job = Callable[[], Awaitable[None]]

Took = Callable[[Session, int], None]
"""Tells that hooks have taken bytes of a session; from any thread."""


class Caller(enum.Enum):
    """Who leaves: what waits for its own end would wait for ever."""

    NO_HOOK = enum.auto()
    OBSERVER = enum.auto()
    RESPONDER = enum.auto()


class Runner(Protocol):
    """What the driver needs of either."""

    def observe(self, hook: Hook, subject: Service | Lost) -> None:
        """Calls one observer."""

    def events(self, arrived: EventsArrived) -> None:
        """Calls the ``event`` hooks for a batch."""

    def acked(self, arrived: AckedArrived) -> None:
        """Calls them for an event whose handling is answered, after all batches before it."""

    def question(self, arrived: QuestionArrived) -> None:
        """Has a question answered."""

    @property
    def caller(self) -> Caller:
        """Which hook makes this very call."""

    def finish(self, done: Callable[[], None]) -> None:
        """Calls ``done`` in the loop when the observers and ``event`` hooks have ended with all
        they were given so far. A hook that is the caller is not waited for.
        """

    async def close(self) -> None:
        """Nothing more will come."""


class HookCalls:
    """Calls hooks and contains what they raise: logged with its traceback, and counted."""

    def __init__(
        self, hooks: HookRegistry, channels: Channels, counters: Counters, answer: Answer,
        take: Take,
    ) -> None:  # fmt: skip
        self.hooks = hooks
        self.counters = counters
        self._channels = channels
        self._answer = answer
        self._take = take
        self.open_questions = 0

    def call(self, function: Function, argument: object) -> None:
        """Calls one observer."""
        try:
            function(argument)
        except Exception:
            self.broken(function)

    def broken(self, function: Function) -> None:
        """Reports the exception being handled."""
        self.counters.count("hooks that raised")
        logger.exception("%s raised", name_of(function))

    def chain(
        self, point: str, channel: int, protocol: str, service: Service
    ) -> Sequence[Function]:
        """The functions for a message; none, counted, where it is not for us."""
        if channel and (reason := self.drops(channel, service)):
            self.counters.count(reason)
            return ()
        return self.hooks.chain(point, channel, protocol)

    def drops(self, channel: int, service: Service) -> str:
        """Why a message on a channel from this member is not for us: we have not joined it, or its
        sender is too far away. Empty when it is.
        """
        if channel == 0:
            return ""
        if channel not in self._channels.numbers:
            return "messages on channels not joined"
        if channel in NEAR and not NEAR[channel](service):
            return f"messages on channel {channel} from too far away"
        return ""

    def run_events(
        self, arrived: EventsArrived, choose: Callable[[Sequence[Function]], Sequence[Function]]
    ) -> None:
        """Calls the chosen ``event`` hooks for each event: the hot loop of receiving."""
        service, protocol = arrived.service, arrived.protocol
        channel, reason = -1, ""
        chain: Sequence[Function] = ()
        for event in arrived.events:
            if event.channel != channel:
                channel = event.channel
                reason = self.drops(channel, service)
                chain = () if reason else choose(self.hooks.chain("event", channel, protocol))
            if reason:
                self.counters.count(reason)
                continue
            message = Message(service, channel, event.form, event.body, protocol)
            for function in chain:
                try:
                    function(message)
                except Exception:
                    self.broken(function)

    def message_of(self, arrived: QuestionArrived) -> Message:
        """The question as responders see it."""
        asked = arrived.question
        return Message(
            arrived.service, asked.channel, asked.form, asked.body, arrived.protocol, QUESTION
        )

    def run_question(self, arrived: QuestionArrived) -> None:
        """Asks the responders in order; the first answer wins."""
        asked, protocol, service = arrived.question, arrived.protocol, arrived.service
        channel = asked.channel
        try:
            message = Message(service, channel, asked.form, asked.body, protocol, QUESTION)
            for function in self.chain(arrived.point, channel, protocol, service):
                answer = function(message)
                if answer is not PASS:
                    self.answer(arrived, ANSWERED, answer)
                    return
        except (Exception, SystemExit) as error:
            self.raised(arrived, error)
            return
        self.answer(arrived, NO_RESPONDER, None)

    def raised(self, arrived: QuestionArrived, error: BaseException) -> None:
        """Sends what a responder raised; its traceback stays in our log."""
        self.counters.count("responders that raised")
        logger.info("a responder raised for %s", arrived.service.name, exc_info=error)
        self.answer(arrived, RAISED, [type(error).__name__, text_of(error)])

    def take(self, arrived: QuestionArrived) -> None:
        """Notes a question that is answered later: leaving waits for that."""
        if not isinstance(arrived, GuestAsked):
            self._take(arrived)

    def answer(
        self, arrived: QuestionArrived | AckedArrived, outcome: int, value: object
    ) -> None:  # fmt: skip
        """Sends an answer; that we have left meanwhile is no error of the responder."""
        if isinstance(arrived, GuestAsked):
            arrived.answered(outcome, value)
            return
        try:
            self._answer(arrived, outcome, value)
        except NotJoined:
            self.counters.count("answers after leaving")


def _all(chain: Sequence[Function]) -> Sequence[Function]:
    return chain


class ThreadRunner:
    """One thread for observers and events, a few for responders."""

    def __init__(self, calls: HookCalls, took: Took, limits: Limits) -> None:
        self._calls = calls
        self._took = took
        self._limit = limits.open_questions
        self._tell_at = min(TAKEN_BYTES, limits.event_window_bytes // 4)
        self._taken: dict[Session, int] = {}
        self.observers = Workers("meshcluster-observers", 1)
        self.responders = Workers("meshcluster-responders", RESPONDER_THREADS)
        self._asked = 0
        self._answered = 0
        self._lock = threading.Lock()

    def observe(self, hook: Hook, subject: Service | Lost) -> None:
        self.observers.put(self._calls.call, hook.function, subject)

    def events(self, arrived: EventsArrived) -> None:
        self.observers.put(self._run_events, arrived)

    def acked(self, arrived: AckedArrived) -> None:
        self.observers.put(self._run_acked, arrived)

    def _run_acked(self, arrived: AckedArrived) -> None:
        handling = Handling(self._calls, arrived)
        handling.call(handling.functions)

    def _run_events(self, arrived: EventsArrived) -> None:
        self._calls.run_events(arrived, _all)
        session = arrived.session
        taken = self._taken.pop(session, 0) + arrived.size
        if taken >= self._tell_at:
            self._took(session, taken)
        else:
            self._taken[session] = taken

    def question(self, arrived: QuestionArrived) -> None:
        if self._asked - self._answered >= self._limit:
            self._calls.answer(arrived, OVERLOADED, None)
            return
        self._calls.take(arrived)
        self._asked += 1
        self.responders.put(self._run_question, arrived)

    def _run_question(self, arrived: QuestionArrived) -> None:
        try:
            self._calls.run_question(arrived)
        finally:
            with self._lock:
                self._answered += 1

    @property
    def caller(self) -> Caller:
        if self.observers.inside:
            return Caller.OBSERVER
        return Caller.RESPONDER if self.responders.inside else Caller.NO_HOOK

    def finish(self, done: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self.observers.put(_tell, loop, done)  # behind all others, on their one thread

    @property
    def workers(self) -> tuple[Workers, ...]:
        """The threads, to be ended by the caller of ``leave``, who may be one of them."""
        return (self.responders, self.observers)

    async def close(self) -> None:
        """See ``workers``."""


def _tell(loop: asyncio.AbstractEventLoop, done: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(done)


class LoopRunner:
    """Plain functions in the loop; ``async def`` observers in one task each."""

    def __init__(self, calls: HookCalls, took: Took, limits: Limits) -> None:
        self._calls = calls
        self._took = took
        self._limit = limits.open_questions
        self._consumers: dict[Function, asyncio.Queue[Job]] = {}
        self._consuming: dict[asyncio.Task[None], asyncio.Queue[Job]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._questions = 0
        self._closed = False

    def observe(self, hook: Hook, subject: Service | Lost) -> None:
        if hook.is_async:
            self._enqueue(hook.function, lambda: self._await(hook.function, subject))
        else:
            self._calls.call(hook.function, subject)

    def events(self, arrived: EventsArrived) -> None:
        hooks = self._calls.hooks.hooks("event")
        asynchronous = [hook for hook in hooks if hook.is_async]
        if not asynchronous:
            self._calls.run_events(arrived, _all)
            self._took(arrived.session, arrived.size)
            return
        functions = {hook.function for hook in asynchronous}
        self._calls.run_events(arrived, lambda chain: [f for f in chain if f not in functions])
        waiting = len(asynchronous)

        def done() -> None:
            nonlocal waiting
            waiting -= 1
            if waiting == 0:
                self._took(arrived.session, arrived.size)

        for hook in asynchronous:
            self._enqueue(hook.function, partial(self._consume, hook, arrived, done))

    def acked(self, arrived: AckedArrived) -> None:
        hooks = self._calls.hooks.hooks("event")
        asynchronous = {hook.function for hook in hooks if hook.is_async}
        handling = Handling(self._calls, arrived)
        handling.call([each for each in handling.functions if each not in asynchronous])
        for function in handling.functions:
            if function in asynchronous:
                self._enqueue(function, partial(handling.wait_for, function))

    async def _consume(self, hook: Hook, arrived: EventsArrived, done: Callable[[], None]) -> None:
        calls = self._calls
        try:
            for event in arrived.events:
                channel, service = event.channel, arrived.service
                if hook.applies(channel, arrived.protocol) and not calls.drops(channel, service):
                    await self._await(hook.function, self._event(arrived, event))
        finally:
            done()

    def _event(self, arrived: EventsArrived, event: Event) -> Message:
        return Message(arrived.service, event.channel, event.form, event.body, arrived.protocol)

    async def _await(self, function: Function, argument: Any) -> None:
        try:
            await function(argument)
        except Exception:
            self._calls.broken(function)

    def _enqueue(self, function: Function, job: Job) -> None:
        queue = self._consumers.get(function)
        if queue is None:
            queue = self._consumers[function] = asyncio.Queue()
            self._consuming[self._spawn(self._consumer(queue))] = queue
        queue.put_nowait(job)

    async def _consumer(self, queue: asyncio.Queue[Job]) -> None:
        while not self._closed:
            await (await queue.get())()

    def question(self, arrived: QuestionArrived) -> None:
        calls = self._calls
        if arrived.point not in calls.hooks.asynchronous:
            calls.run_question(arrived)
        elif self._questions >= self._limit:
            calls.answer(arrived, OVERLOADED, None)
        else:
            calls.take(arrived)
            self._questions += 1
            self._spawn(self._respond(arrived))

    async def _respond(self, arrived: QuestionArrived) -> None:
        calls = self._calls
        try:
            message = calls.message_of(arrived)
            for function in calls.chain(
                arrived.point, message.channel, message.protocol, arrived.service
            ):
                answer = function(message)
                if asyncio.iscoroutine(answer):
                    answer = await answer
                if answer is not PASS:
                    calls.answer(arrived, ANSWERED, answer)
                    return
            calls.answer(arrived, NO_RESPONDER, None)
        except Exception as error:
            calls.raised(arrived, error)
        finally:
            self._questions -= 1

    def _spawn(self, coroutine: Any) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    @property
    def caller(self) -> Caller:
        task = asyncio.current_task()
        if task in self._consuming:
            return Caller.OBSERVER
        return Caller.RESPONDER if task in self._tasks else Caller.NO_HOOK

    def finish(self, done: Callable[[], None]) -> None:
        current = asyncio.current_task()
        waiting = {task: queue for task, queue in self._consuming.items() if task is not current}
        left = len(waiting)

        async def ended() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                done()

        for queue in waiting.values():
            queue.put_nowait(ended)
        if not waiting:
            done()

    async def close(self) -> None:
        """Cancels what still runs, the caller's own task excepted."""
        self._closed = True  # ends the consumer whose hook called leave
        current = asyncio.current_task()
        tasks = [task for task in self._tasks if task is not current]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
