"""From the batches of an open link to what hooks and queries get: in order, intercepted, counted.

This is the hot path of receiving. A batch of events makes one effect, not one each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import DecodeError, HookError, Overloaded
from ..hooks import HookRegistry
from ..hooks.chain import intercept
from ..model import UDP
from ..wire.body import BYTES, encode
from ..wire.frames import (
    ANSWERED,
    LEAVING,
    OVERLOADED,
    RAISED,
    Ack,
    AckedEvent,
    Answer,
    AnyMessage,
    Event,
    Events,
    Note,
    Numbered,
    ParcelMessage,
    Part,
    Question,
    Request,
)  # fmt: skip
from ..wire.message import ANSWER, EVENT, NOTE, QUESTION, REQUEST, Message
from .counters import Counters
from .effects import (
    AckedArrived,
    Effect,
    EventsArrived,
    NoteArrived,
    QuestionArrived,
    Report,
    RequestArrived,
)  # fmt: skip
from .entrance import Plain
from .links import Links, NodeLink
from .queries import Queries
from .requests import Requests
from .schedule import Schedule
from .session import Session

ACK_DELAY_SECONDS = 0.02
"""An acknowledgement waits this long for a batch that goes back."""

ACK_KEY = ("ack", None)

_ANSWERS, _REQUESTS = {Answer}, {Request}


class Delivery:
    """Takes batches, runs the ``receive`` hooks, hands out, acknowledges."""

    def __init__(
        self, hooks: HookRegistry, *, links: Links, queries: Queries, requests: Requests,
        schedule: Schedule, effects: list[Effect], counters: Counters,
    ) -> None:  # fmt: skip
        self._hooks = hooks
        self._links = links
        self._queries = queries
        self._requests = requests
        self._schedule = schedule
        self._effects = effects
        self._counters = counters
        self.leaving = False
        """We take nothing new: only answers."""
        self._owing: dict[Session, None] = {}
        self._others: dict[type, Callable[[Session, NodeLink, Any], None]] = {
            Question: self._question,
            Answer: self._answer,
            Note: self._note,
            Request: self._request,
            AckedEvent: self._acked,
        }

    def received(
        self, session: Session, link: NodeLink, frame: Numbered | Ack, size: int, now: float
    ) -> None:
        """Takes one frame of an open link.

        Raises:
            DecodeError: a batch is missing before this one, or it is a part that cannot be.
        """
        if session.acknowledged(frame.acked, frame.taken) and session.backlog:
            self._links.ready[link] = None
        if isinstance(frame, Ack):
            return
        if session.accept(frame, size):
            if isinstance(frame, Part):
                self._part(session, link, frame, size)
            elif self.leaving:
                self._turn_away(session, link, frame.messages)
                self.took(session, size)
            elif isinstance(frame, Events):
                self._events(session, link, frame.messages, size)
            else:
                self._mixed(session, link, frame.messages, size)
        elif frame.number > session.received + 1:
            raise DecodeError("a batch is missing")
        self._owe_ack(session, link, now)

    def _part(self, session: Session, link: NodeLink, part: Part, size: int) -> None:
        """What is told gives its credit back when hooks have taken all of it, as in a batch; what
        is asked as it comes, or it would hold up events.
        """
        whole = session.arriving.add(part, size)
        if whole is None:
            if part.asked:
                self.took(session, size)
            return
        message, told_bytes = whole
        size = size if part.asked else told_bytes
        if self.leaving:
            self._turn_away(session, link, [message])
            self.took(session, size)
        else:
            self._mixed(session, link, [message], size)

    def parcel(self, session: Session, message: ParcelMessage) -> None:
        """Hands out what came by itself, without a link."""
        link = NodeLink(0, UDP, "", Plain(), local=session.peer.local, dial=None)
        if self.leaving:
            self._turn_away(session, link, [message])
        elif isinstance(message, Event):
            self._events(session, link, [message], len(message.body))
        else:
            self._others[type(message)](session, link, message)

    def _turn_away(self, session: Session, link: NodeLink, messages: Sequence[AnyMessage]) -> None:
        """We leave. Who asks hears so at once; who tells, by our goodbye, which comes without an
        acknowledgement. Answers are taken: what still runs here may wait for them.
        """
        for message in messages:
            if isinstance(message, Answer):
                self._answer(session, link, message)
                continue
            self._counters.count("messages that came while we left")
            if isinstance(message, Question | Request | AckedEvent):
                form, body = encode(None)
                session.put(Answer(message.id, LEAVING, message.channel, form, body))
                self._links.ready[link] = None
            else:
                session.refuse()

    # --- handing out -------------------------------------------------------------------------

    def _events(self, session: Session, link: NodeLink, events: list[Event], size: int) -> None:
        service = session.peer.service
        assert service is not None
        if self._hooks.receive_hooks:
            changed = (self._intercept_event(event, session, link) for event in events)
            events = [event for event in changed if event is not None]
        self._effects.append(EventsArrived(session, service, link.scheme, events, size))

    def _mixed(
        self, session: Session, link: NodeLink, messages: list[AnyMessage], size: int
    ) -> None:
        """Runs of events go as one effect each; the whole batch counts as taken with the last
        (which has none where an acknowledged one came last), or with none after it: what ends a
        batch must not give credit for events before it.
        """
        kinds = set(map(type, messages))
        if kinds == _ANSWERS:
            self._answers(session, link, messages)  # type: ignore[arg-type]
            session.take(size)
            return
        if kinds == _REQUESTS and not self._hooks.receive_hooks:
            self._requested(session, link, messages)  # type: ignore[arg-type]
            session.take(size)
            return
        events: list[Event] = []
        held = False
        for message in messages:
            if isinstance(message, Event):
                events.append(message)
                held = True
                continue
            if events:
                self._events(session, link, events, 0)
                events = []
            held = held or isinstance(message, AckedEvent)
            self._others[type(message)](session, link, message)
        if held:
            self._events(session, link, events, size)
        else:
            session.take(size)  # that this may be urgent is seen when the batch is acknowledged

    def _acked(self, session: Session, link: NodeLink, event: AckedEvent) -> None:
        service = session.peer.service
        assert service is not None
        if self._hooks.receive_hooks:
            try:
                message = self._run_receive(_message(event, EVENT, session, link))
            except HookError as error:
                self._refuse(session, link, event, error)
                return
            event = AckedEvent(event.id, message.channel, message.form, message.body)
        self._effects.append(AckedArrived(session, service, link.scheme, event))

    def _question(self, session: Session, link: NodeLink, question: Question) -> None:
        service = session.peer.service
        assert service is not None
        if self._hooks.receive_hooks:
            try:
                message = self._run_receive(_message(question, QUESTION, session, link))
            except HookError as error:  # the asker should not wait for what will not come
                self._refuse(session, link, question, error)
                return
            question = Question(question.id, message.channel, message.form, message.body)
        self._effects.append(QuestionArrived(session, service, link.scheme, question))

    def _note(self, session: Session, link: NodeLink, note: Note) -> None:
        service = session.peer.service
        assert service is not None
        if self._hooks.receive_hooks:
            try:
                message = self._run_receive(_message(note, NOTE, session, link))
            except HookError:
                return
            note = Note(note.mailbox, message.channel, message.form, message.body)
        self._effects.append(NoteArrived(service, link.scheme, note))

    def _requested(self, session: Session, link: NodeLink, requests: list[Request]) -> None:
        """A batch of requests that nobody intercepts."""
        service, scheme = session.peer.service, link.scheme
        assert service is not None
        self._effects += [RequestArrived(session, service, scheme, each) for each in requests]

    def _request(self, session: Session, link: NodeLink, request: Request) -> None:
        service = session.peer.service
        assert service is not None
        if self._hooks.receive_hooks:
            try:
                message = self._run_receive(_message(request, REQUEST, session, link))
            except HookError as error:
                self._refuse(session, link, request, error)
                return
            request = Request(
                request.id, request.mailbox, message.channel, message.form, message.body
            )
        self._effects.append(RequestArrived(session, service, link.scheme, request))

    def _refuse(
        self, session: Session, link: NodeLink, question: Question | Request | AckedEvent,
        error: HookError,
    ) -> None:  # fmt: skip
        kind = type(error).__name__
        what = "event" if isinstance(question, AckedEvent) else "question"
        outcome = OVERLOADED if isinstance(error, Overloaded) else RAISED
        form, body = encode([kind, f"a receive hook did not let the {what} pass"])
        session.put(Answer(question.id, outcome, question.channel, form, body))
        self._links.ready[link] = None

    def _answers(self, session: Session, link: NodeLink, answers: Sequence[Answer]) -> None:
        """A batch of answers, which are most often to open requests, or bytes that open queries
        wait for.
        """
        queries, requests, peer = self._queries, self._requests, session.peer
        opened, waiters, key = queries.opened, requests.opened, peer.key
        if self._hooks.receive_hooks:
            opened, waiters = {}, {}
        for answer in answers:
            if answer.outcome == ANSWERED:
                waiter = waiters.get(answer.id)
                if waiter is not None and waiter.session.peer is peer:
                    requests.took(waiter, answer)
                    continue
                gathering, body = opened.get(answer.id), answer.body
                if (
                    gathering is not None
                    and answer.form == BYTES
                    and key in gathering.waiting
                    and len(body) <= gathering.room_bytes
                ):
                    queries.took(gathering, key, body)
                    continue
            self._answer(session, link, answer)

    def _answer(self, session: Session, link: NodeLink, answer: Answer) -> None:
        key = session.peer.key
        waiter, gathering = None, self._queries.opened.get(answer.id)
        if gathering is None or key not in gathering.waiting:
            waiter, gathering = self._requests.expecting(answer.id, session), None
            if waiter is None:
                self._counters.count("answers late, twice or not asked for")
                return
        message = Message(
            session.peer.service, answer.channel, answer.form, answer.body, link.scheme, ANSWER
        )
        if self._hooks.receive_hooks:
            try:
                message = self._run_receive(message)
            except HookError as error:
                if waiter is not None:
                    self._requests.failed(waiter, error)
                elif gathering is not None:
                    self._queries.failed(gathering, key, error)
                return
        if waiter is not None:
            self._requests.answered(waiter, answer.outcome, message)
        elif gathering is not None:
            self._queries.answered(gathering, key, answer.outcome, message)

    # --- receive hooks -----------------------------------------------------------------------

    def _intercept_event(self, event: Event, session: Session, link: NodeLink) -> Event | None:
        try:
            message = self._run_receive(_message(event, EVENT, session, link))
        except HookError:
            return None
        return Event(message.channel, message.form, message.body)

    def _run_receive(self, message: Message) -> Message:
        """The message as the ``receive`` hooks leave it; counts what they drop and raises why."""
        chain = self._hooks.chain("receive", message.channel, message.protocol)
        try:
            return intercept(chain, message, self._hooks.timing)
        except HookError as error:
            self.hook_stopped("receive", error)
            raise

    def hook_stopped(self, point: str, error: HookError) -> None:
        """Counts what a hook dropped, and reports the first."""
        if self._counters.count(f"{point}: {type(error).__name__}"):
            self._effects.append(Report(f"{point}: {error} (further ones are only counted)"))

    # --- acknowledging -----------------------------------------------------------------------

    def took(self, session: Session, size: int) -> None:
        """The hooks have taken ``size`` bytes of a session's batches."""
        session.take(size)
        if session.ack_urgent and session.link is not None:
            self._links.ready[session.link] = None

    def _owe_ack(self, session: Session, link: NodeLink, now: float) -> None:
        if session.ack_urgent:
            self._links.ready[link] = None
        elif session not in self._owing:
            self._owing[session] = None
            if ACK_KEY not in self._schedule:
                self._schedule.set(ACK_KEY, now + ACK_DELAY_SECONDS)

    def send_acks(self) -> None:
        """Acknowledges what no batch has acknowledged meanwhile."""
        for session in self._owing:
            if session.ack_owed:
                self._links.acknowledge(session)
        self._owing.clear()


def _message(message: AnyMessage, kind: str, session: Session, link: NodeLink) -> Message:
    mailbox = message.mailbox if isinstance(message, Note | Request) else ""
    return Message(
        session.peer.service, message.channel, message.form, message.body, link.scheme, kind, (),
        mailbox,
    )  # fmt: skip
