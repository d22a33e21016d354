"""``Pool``: which worker gets which task, and what follows when one fails. No I/O and no clock:
time is an argument, and what is to be done comes out as ``effects``, in their order.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Any, NamedTuple

from ..errors import DispatcherClosed, NoWorkers
from .effects import Effect, Send, Start, Stop, Tell
from .endings import Endings
from .server import Server
from .slot import HANDSHAKES, Place, Slot, State
from .task import Attempt, Task
from .waiting import Waiting

HEDGE_SECONDS = 0.5
"""A worker that has been starting for so long is not waited for alone: another one is started."""
RECALL_SECONDS = 0.05
"""Behind a task that runs for so long nothing more is sent; what is there is recalled where it can
begin sooner elsewhere.
"""
GRACE_SECONDS = 0.5
"""So long a worker may take to end a task that it was told to end."""
SILENT_BEATS = 3


class Settings(NamedTuple):
    """How a pool goes about it."""

    max_servers: int | None = None
    window: int | None = None
    start_seconds: float = 20.0
    heartbeat_seconds: float = 10.0
    idle_seconds: float | None = None
    patience_seconds: float = 10.0


class Pool:
    """The tasks that wait, the servers, and what each worker has in hand."""

    def __init__(self, settings: Settings) -> None:
        self.effects: list[Effect] = []
        self.waiting = Waiting()
        self.endings = Endings(self.waiting, self.effects)
        self.places: list[Place] = []
        self.slots: list[Slot] = []
        """Of all places."""
        self.closed = False
        self._settings = settings
        self._empty_since = inf

    @property
    def busy(self) -> bool:
        """Something is under way that time may end."""
        return bool(self.endings.tasks) or any(
            slot.in_hand or slot.state in (State.STARTING, State.ENDING) for slot in self.slots
        )

    # --- what users ask for -------------------------------------------------------------------

    def serve(self, servers: Iterable[Server], now: float) -> None:
        """These are the servers from now on. Who is not among them ends what it runs, and goes."""
        wanted = {server.name: server for server in servers}
        for place in self.places:
            server = wanted.get(place.server.name)
            if server is not None and _same(place.server, server):
                place.server, place.leaving = server, False
                del wanted[server.name]
            elif not place.leaving:
                self._retire(place)
        self.places += (Place(server) for server in wanted.values())
        self._tidy()
        staying = any(not place.leaving for place in self.places)
        self._empty_since = inf if staying else min(self._empty_since, now)
        self._dispatch(now)

    def _retire(self, place: Place) -> None:
        place.leaving = True
        for slot in place.slots:
            self._recall(slot)
            if not slot.in_hand:
                self._stop(slot, "no longer among the servers", politely=True)

    def _tidy(self) -> None:
        """Of a server that leaves nothing is kept when its last worker has gone."""
        self.places = [place for place in self.places if place.live or not place.leaving]
        self.slots = [slot for place in self.places for slot in place.slots]

    def submit(self, task: Task, now: float) -> None:
        """One more."""
        self.endings.tasks[task.number] = task
        if not self.waiting:  # the commonest case: somebody has nothing to do
            for slot in self.slots:
                if not slot.in_hand and slot.usable:
                    task.queued_at = now
                    self._give(slot, task, now)
                    return
        self.endings.queue(task, now)
        self._dispatch_few(now)

    def cancel(self, task: Task) -> bool:
        """Gives a task up. False: it has ended."""
        if task.settled:
            return False
        holders = () if task.waiting else self.slots
        self.endings.settle(task, None)
        for slot in holders:
            if task.number in slot.in_hand:
                self.effects.append(Tell(slot, "cancel", task.number))
        self._end_when_done()
        return True

    def close(self, *, drain: bool, cancel_waiting: bool = False) -> None:
        """Nothing new is taken. What is open is done, or given up: what waits is cancelled."""
        self.closed = True
        if cancel_waiting or not drain:
            for task in list(self.waiting):
                self.endings.settle(task, None)
        if not drain:
            self.endings.final = True
            for slot in self.slots:
                head = slot.head
                for task in slot.in_hand.values():
                    error = DispatcherClosed("the dispatcher was closed while it ran")
                    self.endings.settle(task, error if task is head else None)
                slot.in_hand.clear()
                self._stop(slot, "closed", politely=False)
        self._end_when_done()

    def abort(self, why: str) -> None:
        """It was left in the middle of a change, so nothing here can be relied on: all that is open
        is given up, and nothing is taken any more.
        """
        self.effects.clear()
        for slot in self.slots:
            if slot.link is None:
                slot.cool()
        self.close(drain=False)
        for task in list(self.endings.tasks.values()):
            self.endings.settle(task, DispatcherClosed(why))

    def _end_when_done(self) -> None:
        if self.closed and not self.endings.tasks:
            for slot in self.slots:
                self._stop(slot, "closed", politely=True)

    # --- what workers say ---------------------------------------------------------------------

    def ready(self, slot: Slot, now: float, *, pid: int = 0, pings: bool = True) -> None:
        """A worker has said hello."""
        if slot.state is not State.STARTING:
            return
        if slot.place.server.service is None:  # with a member nobody has spoken yet
            slot.place.reached()
        slot.state, slot.greeted = State.READY, True
        slot.pid, slot.pings = pid, pings
        slot.heard_at = slot.since = now
        self._dispatch(now)
        self._end_when_done()

    def heard(self, slot: Slot, now: float) -> None:
        """Anything came from a worker."""
        slot.heard_at, slot.pinged_at = now, inf

    def answered(self, slot: Slot, number: int, now: float, micros: int) -> Task | None:
        """A worker has ended a task: it is returned unless nobody waits for it. What became of it
        is told by ``finish`` or ``raised``, when ``refill`` has sent the next.
        """
        seconds = micros / 1e6 if micros else now - slot.since
        task = slot.release(number, now)
        if task is None:
            return None
        slot.took(micros)
        slot.rest.over()
        if slot.place.why:
            slot.place.reached()
        if task.settled:
            return None
        task.attempts.append(Attempt(slot.place.server.name, "done", "", slot.pid, seconds))
        return task

    def finish(self, results: list[tuple[Task, Any]]) -> list[tuple[Task, Any]]:
        """Tasks that were answered have their results: those are returned whose futures are to be
        told, for some may have had their end before.
        """
        told = [each for each in results if self.endings.finish(each[0])]
        self._end_when_done()
        return told

    def raised(self, task: Task, error: BaseException, now: float) -> None:
        """A task that was answered raised."""
        self.endings.raised(task, error, now)
        self._dispatch_few(now)
        self._end_when_done()

    def unbegun(self, slot: Slot, number: int, now: float) -> None:
        """A worker gives back what it had not begun."""
        task = slot.release(number, now)
        if task is not None and not task.settled:
            self.endings.queue(task, now)
            self._dispatch(now)

    def cancelled(self, slot: Slot, number: int, now: float) -> None:
        """A worker has ended a task as it was told to."""
        task = slot.in_hand.get(number)
        if task is not None and not task.settled:
            self.endings.gone(task, slot, "the worker gave it up", "", now)
        slot.release(number, now)
        self._dispatch_few(now)

    def refill(self, slot: Slot, now: float) -> None:
        """Sends a worker what it may have, after all that it has said in one breath."""
        if self.waiting and slot.usable:
            self._fill(slot, now)
        if slot.place.leaving and not slot.in_hand:
            self._stop(slot, "no longer among the servers", politely=True)
        self._end_when_done()

    def ended(self, slot: Slot, reason: str, stderr: str, now: float) -> None:
        """A worker is no more: it never said hello, or is lost with what it had in hand."""
        if slot.state is State.COLD:
            return
        place, head, excused, greeted = slot.place, slot.head, slot.excused, slot.greeted
        reason = slot.blame or reason
        for task in slot.in_hand.values():
            if task.settled:
                continue
            if task is head:
                self.endings.gone(task, slot, reason, stderr, now)
            else:
                self.endings.queue(task, now)
        slot.cool()
        if not excused and greeted:
            slot.rest.begin(now)
        elif not excused:
            last = _last_words(stderr)
            place.missed(f"{reason}: {last}" if last else reason, now)
        self._after_an_end(now)

    def unreached(self, slot: Slot, reason: str, now: float) -> None:
        """What was sent has not begun, for nobody was there after all."""
        if slot.state is State.COLD:
            return
        for task in slot.in_hand.values():
            if not task.settled:
                self.endings.wait_on(task)
        slot.cool()
        slot.place.missed(reason, now)
        self._after_an_end(now)

    def _after_an_end(self, now: float) -> None:
        self._tidy()
        self._dispatch(now)
        self._give_up(now)
        self._end_when_done()

    # --- time ---------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Time has passed: something may be due."""
        for slot in self.slots:
            if slot.state is State.STARTING:
                limit = self._settings.start_seconds
                if now - slot.since >= limit:
                    self._stop(slot, f"no hello within {limit:g} s", politely=False)
            elif slot.state is State.READY and slot.in_hand:
                self._watch(slot, now)
            elif slot.state is State.READY:
                idle = self._settings.idle_seconds
                if idle is not None and now - slot.since >= idle:
                    self._stop(slot, "idle", politely=True)
        if self.waiting:
            self._dispatch(now)
            self._give_up(now)
        self._spread(now)

    def due(self) -> float:
        """When ``tick`` is wanted while nothing is ``busy``; inf: never."""
        idle = self._settings.idle_seconds
        if idle is None:
            return inf
        times = [slot.since + idle for slot in self.slots if slot.state is State.READY]
        return min(times, default=inf)

    def _watch(self, slot: Slot, now: float) -> None:
        """A worker at work: its task may have taken too long, or it may have fallen silent."""
        head = next(iter(slot.in_hand.values()))
        timeout = head.terms.timeout
        if timeout is not None and now - slot.since >= timeout and not head.timed_out:
            head.timed_out = True
            self.effects.append(Tell(slot, "cancel", head.number))
        if (head.timed_out or head.settled) and slot.kill_at == inf:
            slot.kill_at = now + GRACE_SECONDS
        silent, beat = now - slot.heard_at, self._settings.heartbeat_seconds
        if slot.kill_at <= now:
            slot.excused = True
            self._stop(slot, "it did not end a task that it was told to", politely=False)
        elif now - slot.pinged_at >= (SILENT_BEATS - 1) * beat:
            self._stop(slot, f"silent for {silent:.1f} s", politely=False)
        elif slot.pings and silent >= beat and slot.pinged_at == inf:
            slot.pinged_at = now
            self.effects.append(Tell(slot, "ping", 0))

    # --- who gets what ------------------------------------------------------------------------

    def _dispatch(self, now: float) -> None:
        """Idle workers first, then new ones, then those that may be sent something ahead."""
        if self.waiting.first() is None:
            return
        busy = []
        for slot in self.slots:
            if slot.usable and slot.in_hand:
                busy.append(slot)
            elif slot.usable:
                self._fill(slot, now, 1)
        if self.waiting:
            self._start_some(now)
        for slot in busy:
            if not self.waiting:
                return
            self._fill(slot, now)

    def _dispatch_few(self, now: float) -> None:
        """The same, where it can make a difference: of many that wait each slot has had its own."""
        if 0 < len(self.waiting) <= len(self.slots):
            self._dispatch(now)

    def _fill(self, slot: Slot, now: float, most: int | None = None) -> None:
        window = most or slot.window(self._settings.window)
        head, in_hand = slot.head, slot.in_hand
        if head is not None and now - slot.since >= RECALL_SECONDS:
            return  # it may take for ever
        while len(in_hand) < window and (task := self.waiting.first()) is not None:
            if head is None:
                head = task
            elif 1 in (task.terms.attempts, head.terms.attempts):
                return  # what is sent once alone must not be lost for another's sake
            self.waiting.take()
            self._give(slot, task, now)

    def _give(self, slot: Slot, task: Task, now: float) -> None:
        if not slot.in_hand:
            slot.since = slot.heard_at = now
        slot.in_hand[task.number] = task
        task.server = slot.place.server.name
        self.effects.append(Send(slot, task))

    def _start_some(self, now: float) -> None:
        """As many as there are tasks; and one more when these take long."""
        starting = [slot for slot in self.slots if slot.state is State.STARTING]
        late = sum(now - slot.since >= HEDGE_SECONDS for slot in starting)
        wanted = len(self.waiting) - len(starting) + late
        if wanted > 0:
            for slot in self._startable(now)[:wanted]:
                slot.state, slot.since = State.STARTING, now
                self.effects.append(Start(slot))

    def _startable(self, now: float) -> list[Slot]:
        """Where a worker may be started. First are servers that could be reached, and of these
        those that have few workers.
        """
        desperate = not any(slot.state is State.STARTING or slot.usable for slot in self.slots)
        ranked: list[tuple[bool, int, int, Slot]] = []
        for place in self.places:
            cold = [slot for slot in place.slots if slot.state is State.COLD]
            if not cold or place.leaving or place.rest.lasts(now, desperate=desperate):
                continue
            rank = len(place.slots) - len(cold)
            host = place.server.host
            alike = [place] if host is None else [p for p in self.places if p.server.host == host]
            logins = HANDSHAKES - sum(each.starting for each in alike)
            for slot in cold:
                if logins and not slot.rest.lasts(now, desperate=desperate):
                    ranked.append((place.why != "", rank, len(ranked), slot))
                    rank, logins = rank + 1, logins - 1
        ranked.sort()
        most = self._settings.max_servers
        if most is not None:
            most = max(0, most - sum(place.live for place in self.places))
        return [slot for *_, slot in ranked[:most]]

    def _spread(self, now: float) -> None:
        """What waits behind a task that takes long is recalled where another worker could have it,
        or where what waits here is to begin before it.
        """
        stuck = [
            slot
            for slot in self.slots
            if len(slot.in_hand) > 1 and slot.usable and now - slot.since >= RECALL_SECONDS
        ]
        if not stuck:
            return
        first = self.waiting.first()
        spare = first is None and (
            any(slot.usable and not slot.in_hand for slot in self.slots)
            or bool(self._startable(now))
        )
        for slot in stuck:
            if spare or (first is not None and first < list(slot.in_hand.values())[-1]):
                self._recall(slot)

    def _recall(self, slot: Slot) -> None:
        """Asks for what a worker has not begun."""
        for task in list(slot.in_hand.values())[1:]:
            if not task.recalled and not task.settled:
                task.recalled = True
                self.effects.append(Tell(slot, "recall", task.number))

    def _stop(self, slot: Slot, why: str, *, politely: bool) -> None:
        if slot.state is State.COLD or (slot.state is State.ENDING and politely):
            return
        slot.state = State.ENDING
        slot.blame = why
        slot.excused = slot.excused or politely
        self.effects.append(Stop(slot, politely))

    # --- giving up ----------------------------------------------------------------------------

    def _give_up(self, now: float) -> None:
        """What nobody can ever serve has an error instead of waiting for ever: each server was
        tried in vain since it waits; or there has been none for long.
        """
        staying = [place for place in self.places if not place.leaving]
        patience = self._settings.patience_seconds
        if staying:
            if any(place.live or not place.why for place in staying):
                return
            since = min(place.rest.failed_at for place in staying)
            reasons = "; ".join(f"{place.server.name}: {place.why}" for place in staying)
            why = f"no server can be reached; {reasons}"
        else:
            since = now - patience
            if self._empty_since > since:
                return
            why = f"there was no server for {patience:g} s"
        for task in [task for task in self.waiting if task.queued_at <= since]:
            self.endings.settle(task, NoWorkers(why, task.attempts))


def _same(one: Server, other: Server) -> bool:
    """A member may say something new of itself. Any other change needs other workers."""
    if other.service is not None:
        return one.service is not None and one.slots == other.slots
    return one == other


_OURS = ('File "<string>"', 'File "<frozen', 'File "<sent>/meshcluster_worker')
"""Places in a traceback that say nothing to who reads it."""


def _last_words(stderr: str) -> str:
    """The last line, and where a traceback before it says that it happened."""
    lines = [line.strip() for line in stderr.strip().splitlines()] or [""]
    places = [
        line for line in lines[:-1]
        if line.startswith('File "') and not line.startswith(_OURS)
    ]  # fmt: skip
    return f"{lines[-1]} ({places[-1]})" if places else lines[-1]
