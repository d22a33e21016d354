"""Workers that start, hang, die and lie in virtual time: whatever happens each task has one end, no
promise is broken on the way, and once the workers are well again all that is open ends.

The same seed gives the same run: ``test_whatever_happens[137]`` is seed 137.
"""

import heapq
from collections import Counter
from collections.abc import Callable
from itertools import count
from math import inf
from random import Random
from typing import Any

import pytest

from meshcluster.errors import DispatcherClosed, NoWorkers, TaskTimeout, WorkerLost
from meshcluster.ssh.effects import Send, Settle, Start, Stop, Tell
from meshcluster.ssh.engine import TICK_SECONDS
from meshcluster.ssh.pool import GRACE_SECONDS, Pool, Settings
from meshcluster.ssh.server import Server
from meshcluster.ssh.slot import HANDSHAKES, MAX_WINDOW, Slot, State
from meshcluster.ssh.task import Task, Terms

CHAOS_SECONDS = 6.0
CALM_SECONDS = 40.0
"""By then all must have ended, beside what open tasks take themselves: the longest rest is 30 s."""
SERVICE: Any = object()
OUTCOMES: Counter[str] = Counter()


class Far:
    """One worker process, or one of the calls that a member takes."""

    def __init__(self, world: "World", slot: Slot) -> None:
        self.world, self.slot = world, slot
        self.member = slot.place.server.service is not None
        self.latency = world.random.choice([0.0, 0.001, 0.02, 0.1])
        self.inbox: dict[int, Task] = {}
        self.running: Task | None = None
        self.began = 0.0
        self.told: dict[int, float] = {}
        """When it was told to end a task."""
        self.said: list[tuple[str, Task | None]] = []
        self.frozen = self.dead = self.over = self.told_to_stop = False
        self.begin()

    def begin(self) -> None:
        fate, delay = self.world.chance(), self.world.random.expovariate(3.0)
        if self.member:
            self.world.after(0.0, self.hello)
        elif fate < 0.25:
            self.world.after(delay, self.die)
        elif fate >= 0.35:  # in between it says nothing, for ever
            self.world.after(delay, self.hello)

    def hello(self) -> None:
        if not self.dead:
            pings = not self.member and self.world.random.random() < 0.8
            self.world.act(lambda pool, now: pool.ready(self.slot, now, pings=pings))

    # --- what it is told --------------------------------------------------------------------------

    def hear(self, what: str, task: Task) -> None:
        """It is on its way; one thing after the other."""
        if what == "cancel":
            self.told.setdefault(task.number, self.world.now)
        self.world.after(self.latency, self.heard, what, task)

    def heard(self, what: str, task: Task) -> None:
        if self.dead:
            return
        number = task.number
        if what == "run" and self.member and self.world.chance() < 0.2:
            self.dead = self.over = True
            self.world.act(lambda pool, now: pool.unreached(self.slot, "no route", now))
        elif what == "run":
            self.inbox[number] = task
            self.step()
        elif what == "ping":
            if not self.frozen:
                self.say("pong", None)
        elif number in self.inbox:
            if not self.frozen:
                self.say("unbegun", self.inbox.pop(number))
        elif what == "cancel" and self.running is not None and self.running.number == number:
            if self.running.work["heeds"] and not self.frozen:
                self.say("cancelled", self.running)
                self.running = None
                self.step()

    def stop(self, politely: bool) -> None:
        head = self.slot.head
        if not politely and head is not None and self.slot.excused:
            patience = self.world.now - self.told[head.number]
            assert patience > GRACE_SECONDS - TICK_SECONDS, (
                "it was ended for a task that is no more"
            )
        self.told_to_stop = True
        self.world.after(self.world.random.choice([0.0, 0.05, 0.4]), self.die)

    # --- what it does -----------------------------------------------------------------------------

    def step(self) -> None:
        if self.dead or self.frozen or self.running is not None or not self.inbox:
            return
        task = self.running = self.inbox.pop(next(iter(self.inbox)))
        self.began = self.world.now
        self.world.begun[task.number] += 1
        if task.work["kind"] == "poison":
            self.world.after(task.work["seconds"], self.die)
        elif task.work["kind"] != "hang" or not self.world.chaos:
            self.world.after(task.work["seconds"], self.end, task)

    def end(self, task: Task) -> None:
        if not self.dead and not self.frozen and self.running is task:
            self.running = None
            self.say("ended", task)
            self.step()

    def check(self) -> None:
        """No task takes longer than it may, but for what it takes to be told so and to end."""
        if self.dead or self.told_to_stop or self.running is None:
            return
        timeout, slack = self.running.terms.timeout, 4 * TICK_SECONDS + 2 * self.latency
        if timeout is not None and self.running.number in self.slot.in_hand:
            took = self.world.now - self.began
            assert took <= timeout + GRACE_SECONDS + slack

    def recover(self) -> None:
        """Nothing hangs any longer."""
        self.frozen = False
        if self.running is not None:
            self.world.after(0.1, self.end, self.running)
        self.step()

    def say(self, what: str, task: Task | None) -> None:
        """What is said at about the same time comes at once."""
        self.said.append((what, task))
        if len(self.said) == 1:
            self.world.after(self.latency, self.arrive)

    def arrive(self) -> None:
        said, self.said = self.said, []
        if said and not self.over:
            self.world.came(self.slot, said)

    def die(self) -> None:
        if not self.dead:
            self.dead = True
            if self.world.chance() < 0.3:
                self.said.clear()
            self.world.after(self.latency, self.gone)

    def gone(self) -> None:
        if not self.over:
            self.over = True
            self.world.act(lambda pool, now: pool.ended(self.slot, "it died", "its last", now))


class World:
    """The engine, its workers and its users."""

    def __init__(self, seed: int) -> None:
        self.random = random = Random(f"pool {seed}")
        self.now = 0.0
        self.chaos = True
        self.doomed = False
        self.begun: Counter[int] = Counter()
        self.ends: dict[int, str] = {}
        self.open: dict[int, Task] = {}
        self.answering: set[int] = set()
        self.fars: list[Far] = []
        self.settings = Settings(
            max_servers=random.choice([None, None, 1, 2, 5]), window=random.choice([None, 1, 3]),
            start_seconds=2.0, heartbeat_seconds=1.0, idle_seconds=random.choice([None, 0.3, 3.0]),
            patience_seconds=1.0,
        )  # fmt: skip
        self.pool = Pool(self.settings)
        self._numbers = count(1)
        self._order = count()
        self._agenda: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._alarm: list[object] = []
        self._ticking = False
        self._steps = 0

    def chance(self) -> float:
        """When all is well nothing goes wrong; when not, all."""
        if self.doomed:
            return 0.0
        return self.random.random() if self.chaos else 1.0

    # --- time -------------------------------------------------------------------------------------

    def after(self, seconds: float, what: Callable[..., None], *args: Any) -> None:
        heapq.heappush(self._agenda, (self.now + seconds, next(self._order), what, args))

    def run(self, until: float, wanted: Callable[[], bool] = lambda: False) -> None:
        while self._agenda and self._agenda[0][0] <= until and not wanted():
            self.now, _, what, args = heapq.heappop(self._agenda)
            what(*args)
            self._steps += 1
            if self._steps % 16 == 0:
                self.check()
        self.check()

    def act(self, change: Callable[[Pool, float], Any]) -> Any:
        result = change(self.pool, self.now)
        self.perform()
        self.tick_soon()
        return result

    def tick_soon(self) -> None:
        """As the engine does it."""
        if not self._ticking and (self.pool.busy or self.pool.due() < inf):
            self._ticking = True
            self.after(0.0, self.tick)

    def tick(self) -> None:
        """Where the pool is not busy, it is not asked before something is due."""
        self._alarm = []
        self.pool.tick(self.now)
        self.perform()
        self._ticking = self.pool.busy
        if self._ticking:
            self.after(TICK_SECONDS, self.tick)
        elif self.pool.due() < inf:
            self._alarm = [object()]
            self.after(max(TICK_SECONDS, self.pool.due() - self.now), self.rung, self._alarm)

    def rung(self, alarm: list[object]) -> None:
        if alarm is self._alarm:
            self.tick_soon()

    # --- what the pool wants ----------------------------------------------------------------------

    def perform(self) -> None:
        for effect in self.pool.effects:
            if isinstance(effect, Settle):
                self.settled(effect)
                continue
            slot = effect.slot
            if isinstance(effect, Start):
                self.started(slot)
            elif isinstance(effect, Send):
                self.sent(slot, effect.task)
            elif isinstance(effect, Stop):
                slot.link.stop(effect.politely)
            elif isinstance(effect, Tell):
                task = slot.in_hand.get(effect.number) or Task(effect.number)
                assert effect.what == "cancel" or not task.settled
                slot.link.hear(effect.what, task)
        self.pool.effects.clear()

    def started(self, slot: Slot) -> None:
        live = sum(place.live for place in self.pool.places)
        assert self.settings.max_servers is None or live <= self.settings.max_servers
        assert sum(each.state is State.STARTING for each in slot.place.slots) <= HANDSHAKES
        assert not slot.place.leaving
        assert slot.link is None, "its last worker is still there"
        far = slot.link = Far(self, slot)
        self.fars.append(far)

    def sent(self, slot: Slot, task: Task) -> None:
        assert not slot.link.told_to_stop
        assert not task.settled
        assert not task.waiting
        assert slot.usable
        assert slot.in_hand[task.number] is task
        most = 1 if slot.link.member else self.settings.window or MAX_WINDOW
        assert len(slot.in_hand) <= most
        assert len(task.attempts) < task.terms.attempts
        if task.terms.attempts == 1:
            assert not self.begun[task.number]
        if any(each.terms.attempts == 1 for each in slot.in_hand.values()):
            assert len(slot.in_hand) == 1
        slot.link.hear("run", task)

    def settled(self, effect: Settle) -> None:
        task, error = effect
        if isinstance(error, NoWorkers):
            assert not any(place.live for place in self.pool.places if not place.leaving)
        elif isinstance(error, WorkerLost):
            assert task.attempts[-1].outcome == "lost"
            assert len(task.attempts) == task.terms.attempts
        elif isinstance(error, TaskTimeout):
            assert task.terms.timeout is not None
            assert task.attempts[-1].outcome == "timeout"
            assert task.attempts[-1].seconds >= task.terms.timeout
        self.ended(task, type(error).__name__ if error is not None else "cancelled")

    def ended(self, task: Task, how: str) -> None:
        assert task.number not in self.ends, f"it had its end: {self.ends[task.number]}"
        assert task.settled
        self.ends[task.number] = how
        OUTCOMES[how] += 1
        del self.open[task.number]

    def came(self, slot: Slot, said: list[tuple[str, Task | None]]) -> None:
        """As the engine's workers tell it."""
        pool, answers = self.pool, []
        pool.heard(slot, self.now)
        for what, task in said:
            if task is None:
                continue
            if what == "ended":
                micros = max(1, int(task.work["seconds"] * 1e6))
                if pool.answered(slot, task.number, self.now, micros) is not None:
                    answers.append(task)
            else:
                getattr(pool, what)(slot, task.number, self.now)
        pool.refill(slot, self.now)
        self.answering |= {task.number for task in answers}
        self.act(lambda pool, now: None)
        for task in answers:
            self.after(self.random.choice([0.0, 0.0, 0.02, 1.0]), self.answer, task)

    def answer(self, task: Task) -> None:
        """Its future is told; it may have been cancelled meanwhile."""
        self.answering.discard(task.number)
        error = task.work["error"]
        if error is not None:
            self.act(lambda pool, now: pool.raised(task, error, now))
        elif self.act(lambda pool, now: pool.finish([(task, "result")])):
            assert self.begun[task.number], "nobody has run it"
            self.ended(task, "done")

    # --- what users do, and what befalls workers --------------------------------------------------

    def submit(self) -> None:
        random = self.random
        work = {
            "kind": random.choices(["well", "hang", "poison"], [30, 1, 1])[0],
            "seconds": random.choices([0.0002, 0.001, 0.02, 0.3, 2.0], [8, 4, 2, 1, 1])[0],
            "error": random.choice([None] * 6 + [ValueError("no"), KeyError("none")]),
            "heeds": random.random() < 0.7,
        }
        terms = Terms(
            attempts=random.choice([1, 2, 3, 3]), priority=random.choice([0, 0, 0, 1, -1]),
            timeout=random.choice([None, None, 0.2, 1.0]),
            retry_on=random.choice([(), ValueError, (KeyError, TaskTimeout)]),
        )  # fmt: skip
        task = Task(next(self._numbers), work=work, terms=terms)
        self.open[task.number] = task
        self.act(lambda pool, now: pool.submit(task, now))

    def cancel(self) -> None:
        if self.open:
            task = self.random.choice(list(self.open.values()))
            assert self.act(lambda pool, now: pool.cancel(task))
            assert not self.act(lambda pool, now: pool.cancel(task))

    def serve(self, *, all_of_them: bool = False) -> None:
        names = [name for name in "abcd" if all_of_them or self.random.random() < 0.6]
        servers = [Server(name, host=name, slots=self.random.choice([1, 2, 12])) for name in names]
        if all_of_them or self.random.random() < 0.3:
            servers += (Server(name, service=SERVICE, slots=2) for name in ("here", "there"))
        self.random.shuffle(servers)
        self.act(lambda pool, now: pool.serve(servers, now))

    def hurt(self) -> None:
        living = [far for far in self.fars if not far.dead]
        if living:
            far = self.random.choice(living)
            if self.random.random() < 0.5:
                far.die()
            else:
                far.frozen = True

    def happen(self) -> None:
        """Something, and soon again."""
        if self.now > CHAOS_SECONDS:
            return
        what = self.random.choices(
            [self.submit, self.cancel, self.serve, self.hurt], [12, 1.5, 0.6, 1.5]
        )[0]
        for _ in range(self.random.choice([1, 1, 1, 15]) if what == self.submit else 1):
            what()
        self.after(self.random.expovariate(8.0), self.happen)

    def heal(self) -> None:
        self.chaos = False
        self.serve(all_of_them=True)
        for far in self.fars:
            far.recover()

    def doom(self) -> None:
        """From now on nobody can be reached, and who was is dead."""
        self.doomed = True
        for far in self.fars:
            far.die()

    def calm(self) -> None:
        """All is well, until all is done."""
        self.heal()
        slowest = sum(2.0 + 3 * task.work["seconds"] for task in self.open.values())
        self.run(self.now + CALM_SECONDS + slowest, lambda: self.idle)

    @property
    def idle(self) -> bool:
        """Nothing is open, and no worker has anything to do."""
        slots = self.pool.slots
        at_rest = all(slot.state in (State.COLD, State.READY) for slot in slots)
        return at_rest and not self.open and not any(slot.in_hand for slot in slots)

    # --- what must be so always -------------------------------------------------------------------

    def check(self) -> None:
        pool = self.pool
        held = Counter(self.answering & self.open.keys())
        for slot in pool.slots:
            if slot.link is not None:
                slot.link.check()
            assert not (slot.in_hand and slot.state in (State.COLD, State.STARTING))
            held.update(number for number, task in slot.in_hand.items() if not task.settled)
        waiting = [task.number for task in pool.waiting]
        held.update(waiting)
        assert held == Counter(self.open.keys()), "a task is nowhere, or in two places"
        assert len(pool.waiting) == len(waiting)
        assert pool.endings.open == len(self.open)
        assert all(len(task.attempts) <= task.terms.attempts for task in self.open.values())

    def over(self) -> bool:
        return all(slot.state is State.COLD for slot in self.pool.slots)


def after_chaos(seed: int) -> World:
    world = World(seed)
    world.serve()
    world.after(0.0, world.happen)
    world.run(CHAOS_SECONDS)
    return world


@pytest.mark.parametrize("seed", range(200))
def test_whatever_happens_each_task_has_one_end(seed):
    world = after_chaos(seed)
    world.calm()
    assert world.idle, f"seed={seed}"
    world.act(lambda pool, now: pool.close(drain=True))
    assert all(far.dead or far.told_to_stop for far in world.fars), f"seed={seed}"
    world.run(world.now + 1.0)
    assert world.over(), f"seed={seed}"


@pytest.mark.parametrize("seed", range(1000, 1030))
def test_closing_in_the_midst_of_it_ends_what_is_open(seed):
    """With ``drain`` all is done first, however ill it goes; without, it is given up at once."""
    world = after_chaos(seed)
    drain = bool(seed % 2)
    world.act(lambda pool, now: pool.close(drain=drain))
    starts = len(world.fars)
    if drain:
        world.calm()
    world.run(world.now + 3.0)
    assert not world.open, f"seed={seed}"
    assert world.over(), f"seed={seed}"
    assert all(far.dead for far in world.fars), f"seed={seed}"
    assert drain or len(world.fars) == starts, f"seed={seed}: it has started more"


@pytest.mark.parametrize("seed", range(3000, 3030))
def test_what_is_cancelled_leaves_no_worker_at_work(seed):
    """Those that do not heed it are ended, though nobody asks for anything any more."""
    world = after_chaos(seed)
    for task in list(world.open.values()):
        world.act(lambda pool, now, task=task: pool.cancel(task))
    world.run(world.now + 5.0, lambda: world.idle)
    assert world.idle, f"seed={seed}"


@pytest.mark.parametrize("seed", range(4000, 4030))
def test_when_nobody_can_be_reached_any_more_nothing_waits_for_ever(seed):
    world = after_chaos(seed)
    world.doom()
    world.run(world.now + CALM_SECONDS, lambda: world.idle)
    assert world.idle, f"seed={seed}"


def test_the_seeds_bring_every_outcome_about():
    OUTCOMES.clear()
    for seed in range(2000, 2010):
        world = after_chaos(seed)
        if seed % 2:
            world.doom()
            world.run(world.now + CALM_SECONDS)
        world.act(lambda pool, now: pool.close(drain=False))
    wanted = {"done", "cancelled", "ValueError", "KeyError"}
    wanted |= {kind.__name__ for kind in (NoWorkers, WorkerLost, TaskTimeout, DispatcherClosed)}
    assert wanted <= OUTCOMES.keys()
