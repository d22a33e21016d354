"""Between the node's effects and the users' hooks: holds what comes before hooks are placed.

Nothing is missed by who places hooks after joining: a ``service.discovered`` hook is first called
for every member already known, and events and questions are held until the first hook for them is
placed, or until the mesh had time to settle. What is held is bounded: events by their senders'
credit, questions by a limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..hooks import Hook, HookRegistry
from ..model import Service
from ..node.effects import AckedArrived, EventsArrived, MessagesLost, QuestionArrived
from ..wire.frames import NO_RESPONDER, Event
from ..wire.message import Lost, Message
from .runners import HookCalls, Runner


class Observers:
    """Hands discoveries, events and questions to a runner, in order."""

    def __init__(
        self, hooks: HookRegistry, runner: Runner, calls: HookCalls, *, limit: int,
        known: Callable[[], Sequence[Service]],
    ) -> None:  # fmt: skip
        self._hooks = hooks
        self._runner = runner
        self._calls = calls
        self._limit = limit
        self._known = known
        self._events: list[EventsArrived | AckedArrived] | None = (
            [] if not hooks.hooks("event") else None
        )
        self._questions: list[QuestionArrived] | None = [] if not hooks.hooks("query") else None

    def service(self, point: str, service: Service) -> None:
        """Something happened to a member."""
        for hook in self._hooks.hooks(point):
            self._runner.observe(hook, service)

    def given_up(self, effect: MessagesLost) -> None:
        """Messages were lost. Only events are told of: who asked hears it from the question."""
        hooks = self._hooks.hooks("send.lost")
        events = [each for each in effect.messages if isinstance(each, Event)]
        if hooks and events:
            to = (effect.service,)
            messages = [Message(None, e.channel, e.form, e.body, receivers=to) for e in events]
            lost = Lost(effect.service, effect.reason, tuple(messages))
            for hook in hooks:
                self._runner.observe(hook, lost)

    def events(self, arrived: EventsArrived | AckedArrived) -> None:
        """A batch of events came, or one that is to be acknowledged."""
        if self._events is not None:
            self._events.append(arrived)
        elif isinstance(arrived, AckedArrived):
            self._runner.acked(arrived)
        else:
            self._runner.events(arrived)

    def question(self, arrived: QuestionArrived) -> None:
        """A question came."""
        if self._questions is None:
            self._runner.question(arrived)
        elif len(self._questions) < self._limit:
            self._calls.take(arrived)
            self._questions.append(arrived)
        else:
            self._calls.answer(arrived, NO_RESPONDER, None)

    def hook_added(self, hook: Hook) -> None:
        """A hook was placed while we are joined."""
        if hook.point == "service.discovered":
            for service in self._known():
                self._runner.observe(hook, service)
        elif hook.point == "event":
            self.release_events()
        elif hook.point == "query":
            self.release_questions()

    def release_events(self) -> None:
        """Holds events no longer."""
        held, self._events = self._events, None
        for arrived in held or ():
            self.events(arrived)

    def release_questions(self) -> None:
        """Holds questions no longer."""
        held, self._questions = self._questions, None
        for arrived in held or ():
            self._runner.question(arrived)
