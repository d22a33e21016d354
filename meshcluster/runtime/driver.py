"""Runs one node: feeds it what comes in and what time it is, performs its effects.

Everything here happens in the event loop, except what says otherwise.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from ..announcers import Announcer, close_announcers
from ..channels import Channels
from ..config import ClusterConfig, Limits
from ..errors import ForkedClusterError, NotJoined
from ..hooks import Hook, HookRegistry
from ..model import Endpoint, Service, Standing
from ..node import effects as fx
from ..node.links import NodeLink
from ..node.node import Node
from ..node.session import LARGE_BODY_BYTES, Session
from ..protocols.base import Buffer, Link, ProtocolHandler
from ..wire.frames import AnyMessage, Event
from ..wire.split import Split
from . import forking, heap
from .asking import Asking
from .congestion import Congestion
from .dials import Dials
from .leaving import Leaving
from .links import Closing, LinkEnd
from .listeners import Listeners
from .lookups import Lookups
from .mailboxes import Mailboxes
from .observers import Observers
from .outlets import Outlets
from .runners import Caller, HookCalls, Runner
from .sending import BEING_LEFT, Part, Sender
from .telling import Telling
from .waking import Waking

logger = logging.getLogger("meshcluster")

WRITES_A_TURN = 4
"""Of about 256 KiB each, before other links and timers get their turn."""

T = TypeVar("T")
MakeRunner = Callable[[HookCalls, Callable[[Session, int], None], Limits], Runner]


class Driver:
    """One joined member. Made by the facade with everything it drives."""

    def __init__(
        self, node: Node, hooks: HookRegistry, *, announcers: Sequence[Announcer],
        handlers: Mapping[str, ProtocolHandler], make_runner: MakeRunner, channels: Channels,
        mailboxes: Mailboxes,
    ) -> None:  # fmt: skip
        config = node.config
        self.node = node
        self.config: ClusterConfig = config
        self.sender = Sender(node, config, hooks)
        self.congestion = Congestion(node, self.step)
        self.room: Callable[[], None] = lambda: None
        """Called when a session that was full has room; whoever waits sets it."""
        self.full = False
        """Somebody waits for room."""
        self._hooks = hooks
        self._mailboxes = mailboxes
        self._announcers = announcers
        self._handlers = handlers
        self._loop = asyncio.get_running_loop()
        self._ends: dict[NodeLink, LinkEnd] = {}
        self._closing = Closing()
        self._left = False
        self._dials = Dials(handlers, self.accept, self._dial_failed)
        self._outlets = Outlets(announcers, node.counters)
        self._lookups = Lookups(
            lambda found: node.seeds_found(found, self.time()), node.seed_failed, self.call_soon
        )
        self._listeners = Listeners(
            handlers, self.accept, self._renewed, lambda: sorted(node.scope.own_addresses)
        )
        self._timer: asyncio.TimerHandle | None = None
        self._armed = 0.0
        self._started_at = 0.0
        self._waking = Waking(self._drain)
        self._telling = Telling(self.sender, hooks, self.congestion, self._waking, config.limits)
        self.tell = self._telling.tell
        self.asking = Asking(self, hooks, self._waking)
        self._stepping, self._changes = False, 0
        self._leaving: Leaving | None = None
        self._closed = asyncio.Event()
        self.joined = True
        calls = HookCalls(hooks, channels, node.counters, self.asking.answer, self.asking.take)
        self.runner = make_runner(calls, self.took, config.limits)
        self._observers = Observers(
            hooks, self.runner, calls, limit=config.limits.held_questions,
            known=lambda: self.sender.services,
        )  # fmt: skip
        self._performers = self._effect_performers()
        settle = config.limits.settle_seconds
        self._settling = self._loop.call_later(settle, self._settled)
        hooks.added = self._hook_added

    def _effect_performers(self) -> dict[type, Callable[[Any], None]]:
        observe = self._observers.service
        return {
            fx.Announce: self._outlets.announce,
            fx.SendDatagram: self._outlets.send,
            fx.LookUp: self._lookups.begin,
            fx.DialEndpoint: self._dials.begin,
            fx.CancelDial: self._dials.cancel,
            fx.CloseLink: self._close_link,
            fx.ServiceDiscovered: lambda e: observe("service.discovered", e.service),
            fx.ServiceChanged: lambda e: observe("service.changed", e.service),
            fx.ServiceSuspected: self._suspected,
            fx.ServiceConflict: lambda e: observe("service.conflict", e.service),
            fx.ServiceGone: self._gone,
            fx.MessagesLost: self._observers.given_up,
            fx.CheckEndpoint: self._listeners.check,
            fx.EventsArrived: self._observers.events,
            fx.AckedArrived: self._observers.events,
            fx.QuestionArrived: self._observers.question,
            fx.NoteArrived: partial(self._mailboxes.note, self.node.counters),
            fx.RequestArrived: partial(self._mailboxes.request, self.node.counters, self.asking),
            fx.RequestDone: self.asking.answered,
            fx.QueryProgress: self.asking.progressed,
            fx.Report: lambda e: logger.warning("%s", e.text),
        }

    def start(self) -> None:
        """Begins to announce; handlers and announcers are open."""
        heap.keep_freed()
        self._started_at = self._loop.time()
        self.node.start(self._loop.time())
        self.step()

    @property
    def since_joining(self) -> float:
        """Seconds."""
        return self._loop.time() - self._started_at

    # --- stepping ----------------------------------------------------------------------------

    def step(self) -> None:
        """Performs what the node wants done, writes what is ready, sets the timer.

        Called after every input. A hook that runs inside may cause another input; the outermost
        call then does its work.
        """
        if self._stepping:
            return
        self._stepping = self._waking.looks = True
        try:
            self._work()
            self._waking.looks = False
            if self._waking.asked:  # hooks put something: it goes now, without a turn of the loop
                self._look()
                self._work()
        except BaseException:
            if self._waking.asked:  # after a hook's SystemExit: what it put is not forgotten
                self._loop.call_soon(self._drain)
            raise
        finally:
            self._stepping = self._waking.looks = False
        self._arm()
        if self._leaving is not None and self._leaving.over:
            self._leaving.ended.set()

    def _work(self) -> None:
        node = self.node
        while node.effects or node.ready:
            if node.effects:
                self._perform()
            if node.ready:
                self._write_ready()

    def _perform(self) -> None:
        effects = self.node.take_effects()
        if self.node.changes != self._changes:
            self._changes = self.node.changes
            self.sender.refresh(effects)
        for effect in effects:
            self._performers[type(effect)](effect)

    def _write_ready(self) -> None:
        for link in self.node.ready_links():
            end = self._ends.get(link)
            if end is not None:
                self._write(end)

    def _write(self, end: LinkEnd) -> None:
        session = end.node_link.session
        for _ in range(WRITES_A_TURN):
            frames = self.node.take_frames(end.node_link) if end.writable else ()
            if not frames:
                break
            end.link.send(frames)  # type: ignore[arg-type]  # see Link: in pieces to who takes them
            if session is not None and not session.awake:
                break  # it was left empty
        else:
            self._loop.call_soon(self.pump, end)  # let others have their turn
        if session is not None:
            self.tell_room(session)

    def tell_room(self, session: Session) -> None:
        """Lets those look again who wait for room, if there is."""
        self._telling.limit = self.congestion.short_limit
        if self.full and self.congestion.has_room(session):
            self.full = False
            self.room()

    def pump(self, end: LinkEnd) -> None:
        """A link has room again."""
        self._write(end)
        self.step()

    def _arm(self) -> None:
        """Sets the timer if the node has something to do earlier than it is set."""
        if self._timer is not None and not self.node.busy:
            return
        deadline = self.node.deadline()
        if deadline is None or (self._timer is not None and self._armed <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed = deadline
        self._timer = self._loop.call_at(deadline, self._due)

    def rearm(self) -> None:
        """Sets the timer later when what it was set for is done: it would wake us for nothing.

        Called after a datagram, which answers a question. After a step it would cost each message.
        """
        deadline = self.node.deadline()
        if self._timer is not None and deadline is not None and deadline > self._armed:
            self._timer.cancel()
            self._timer = None
            self._arm()

    def _due(self) -> None:
        self._timer = None
        self.node.advance(self._loop.time())
        self.step()

    # --- input -------------------------------------------------------------------------------

    def accept(self, scheme: str, number: int | None, link: Link) -> LinkEnd | None:
        """From a handler: a link is open, dialled as ``number`` or by somebody else."""
        if self._left:
            return None
        node_link = self.node.link_opened(
            scheme,
            link.remote,
            self._loop.time(),
            local=link.local,
            same_user=getattr(link, "same_user", False),
            number=number,
        )
        if node_link is None:
            return None
        node_link.splits = getattr(link, "takes_split", False)
        end = LinkEnd(self, link, node_link, self.config.limits)
        self._ends[node_link] = end
        forking.watch(link)
        self._loop.call_soon(self.step)
        return end

    def frames_received(self, end: LinkEnd, frames: Sequence[Buffer | Split]) -> None:
        """From a link."""
        self.node.frames_received(end.node_link, frames, self._loop.time())
        self.step()
        session = end.node_link.session
        if session is not None and (self.full or not self._telling.limit):
            self.tell_room(session)  # what is acknowledged is not held any more

    def link_lost(self, end: LinkEnd, reason: str, *, fault: bool) -> None:
        """From a link."""
        self._closing.discard(end)
        if self._ends.pop(end.node_link, None) is not None:
            self.node.link_lost(end.node_link, reason, self._loop.time(), fault=fault)
            self.step()

    def change_keys(self) -> None:
        """The keyring has other keys."""
        self.node.keys_changed(self._loop.time())
        self.step()

    def time(self) -> float:
        """The clock of the loop, which is the node's (any thread)."""
        return self._loop.time()

    def touch(self, function: Callable[[Driver, float], T]) -> T:
        """Does something with the node, at the time that it is.

        Raises:
            NotJoined: the cluster was left.
        """
        if self._left:
            raise NotJoined("the cluster was left")
        value = function(self, self._loop.time())
        self.step()
        return value

    # --- input from any thread ---------------------------------------------------------------

    def put(self, session: Session, message: AnyMessage) -> None:
        """Queues a message and sees to it that the loop looks (any thread)."""
        session.put(message)
        if not session.awake:
            self._waking.notice(session)

    def commit(
        self, parts: Sequence[Part], make: Callable[[int, int, bytes], AnyMessage] = Event
    ) -> tuple[Service, ...]:
        """Queues prepared events, or what else ``make`` makes; returns who gets them (any
        thread).

        Raises:
            NotJoined: the cluster is being left.
        """
        if not self.joined:
            raise NotJoined(BEING_LEFT)
        for channel, form, body, receivers in parts:
            message = make(channel, form, body)
            sessions = dict.fromkeys([session for _, session in receivers])  # everybody's: once
            if len(sessions) > 1 and len(body) > LARGE_BODY_BYTES:
                self.node.peers.ledger.share(message, len(sessions))
            for session in sessions:
                self.put(session, message)
        if len(parts) == 1:
            return tuple([service for service, _ in parts[0][3]])
        return tuple(service for part in parts for service, _ in part[3])

    def took(self, session: Session, size: int) -> None:
        """Hooks took ``size`` bytes of a session (any thread)."""
        if self._waking.inside:
            self.node.took(session, size)
            self.wake()
        else:
            with suppress(NotJoined):
                self.call_soon(lambda: self.node.took(session, size))

    def call_soon(self, function: Callable[[], None]) -> None:
        """Runs a function in the loop, then steps (any thread).

        Raises:
            NotJoined: the loop is closed.
        """

        def run() -> None:
            function()
            self.step()

        try:
            self._loop.call_soon_threadsafe(run)
        except RuntimeError:
            raise NotJoined("the cluster was left") from None

    def wake(self) -> None:
        """Has the loop look, once for all that is put until it gets to it (any thread)."""
        self._waking.wake()

    def _drain(self) -> None:
        self._look()
        self.step()

    def _look(self) -> None:
        self._waking.asked = False  # first: what is put from here on wakes again
        now = self._loop.time()
        self.node.requests.start(now)
        self.node.queries.begin(now)
        if self._left:
            self.node.close_queries()  # what was asked while we left
        while self._waking.noticed:
            session = self._waking.noticed.popleft()
            self.node.wake(session, now)
            if session.link is None:
                self.tell_room(session)  # what goes by datagrams is never written to a link

    def standing(self, service: Service) -> Standing:
        """How a member stands now (any thread)."""
        return self.sender.standing(service, self._loop.time())

    # --- effects -----------------------------------------------------------------------------

    def _dial_failed(self, number: int, reason: str) -> None:
        self.node.dial_failed(number, reason, self._loop.time())
        self.step()

    def _renewed(self, before: Endpoint, endpoint: Endpoint) -> None:
        self.node.renewed(before, endpoint, self._loop.time())
        self.step()

    def _close_link(self, effect: fx.CloseLink) -> None:
        end = self._ends.pop(effect.link, None)
        if end is None:
            return
        self._closing.add(end)
        if effect.abort:
            end.link.abort()
        else:
            frames = self.node.take_frames(effect.link)
            if frames:
                end.link.send(frames)  # type: ignore[arg-type]
            end.link.close()

    def _suspected(self, effect: fx.ServiceSuspected) -> None:
        self._observers.service(
            f"service.{'suspect' if effect.suspected else 'recovered'}", effect.service
        )

    def _gone(self, effect: fx.ServiceGone) -> None:
        logger.info("%s %s", effect.service.name, effect.reason)
        self._observers.service("service.lost", effect.service)
        if self.full:
            self.full = False
            self.room()

    def _hook_added(self, hook: Hook) -> None:
        if hook.point == "service.validate":
            self.node.judge_again(self._loop.time())
            self.step()
        self._observers.hook_added(hook)

    def _settled(self) -> None:
        self._observers.release_events()
        self._observers.release_questions()

    # --- leaving -----------------------------------------------------------------------------

    async def leave(self, timeout: float | None, caller: Caller) -> None:
        """Takes nothing new, waits for what is under way, says goodbye, closes everything.
        Idempotent. ``caller`` is the hook that it is called from; a ``timeout`` of None is
        ``leave_seconds``.

        Cancelled, it waits no longer, says goodbye and closes. Who calls while another call is
        under way waits for that one.
        """
        if self._leaving is not None:
            self._leaving.callers.append(caller)
            self.step()
            await self._closed.wait()
            return
        self._leaving = Leaving(self, caller)
        self.joined = False
        self.sender.stop()
        self.room()  # who waits for it need not any more
        self._settling.cancel()
        self._settled()
        self.node.take_no_more(self._loop.time())
        try:
            limit = self.config.limits.leave_seconds
            await self._leaving.wait(limit if timeout is None else timeout)
        finally:
            self._left = True
            self.node.leave(self._loop.time())
            self.step()
            try:
                await self._close()
            finally:
                self._closed.set()

    async def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await close_announcers(self._announcers)
        self._lookups.close()
        await self._dials.close()
        await self._listeners.close()
        for handler in self._handlers.values():
            await handler.close()
        await self._closing.wait(self.config.limits.leave_seconds)
        await self.runner.close()
        self.room()

    def farewell(self) -> None:
        """The goodbye alone, where no loop runs any more that could close (any thread)."""
        self.joined = False
        self._left = True
        self.node.leave(self._loop.time())
        for effect in self.node.take_effects():
            self._outlets.perform(effect)

    def forked(self) -> None:
        """In a forked child: whatever still runs here performs nothing and wakes nobody."""
        self.joined = False
        self._left = self._stepping = self._waking.asked = True
        self.asking.abandon(ForkedClusterError())
