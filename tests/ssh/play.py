"""A pool that is driven by hand: each step has its time, and what the pool wants is read as words.

A worker is called as its server; of a server with several slots "a0", "a1" and so on.
"""

from meshcluster.ssh.effects import Send, Settle, Start, Stop, Tell
from meshcluster.ssh.pool import Pool, Settings
from meshcluster.ssh.server import Server
from meshcluster.ssh.task import Task, Terms

NEVER_SECONDS = 1e6
"""Who says nothing is asked in those tests only that are about that."""


def servers(*names, slots=1):
    return [Server(name, host=name, slots=slots) for name in names]


QUICK = 100
"""Microseconds: so many of these are sent ahead as may be."""


class Play:
    def __init__(self, *names, slots=1, **settings):
        settings.setdefault("heartbeat_seconds", NEVER_SECONDS)
        self.pool = Pool(Settings(**settings))
        self.now = 0.0
        self.tasks = {}
        self.errors = {}
        self.serve(*names, slots=slots)

    # --- what is asked for ------------------------------------------------------------------------

    def serve(self, *names, slots=1):
        self.pool.serve([*servers(*names, slots=slots)], self.now)

    def submit(self, **terms):
        number = len(self.tasks) + 1
        task = self.tasks[number] = Task(number, terms=Terms(**terms))
        self.pool.submit(task, self.now)
        return task

    def cancel(self, number):
        return self.pool.cancel(self.tasks[number])

    # --- what workers do --------------------------------------------------------------------------

    def slot(self, name):
        for place in self.pool.places:
            for n, slot in enumerate(place.slots):
                if name == (place.server.name + (str(n) if len(place.slots) > 1 else "")):
                    return slot
        raise LookupError(name)

    def ready(self, *names, **said):
        for name in names:
            self.pool.ready(self.slot(name), self.now, **said)

    def answer(self, name, *numbers, micros=1_000_000):
        """It has done these; nobody has been told yet."""
        slot, found = self.slot(name), []
        self.pool.heard(slot, self.now)
        for number in numbers:
            found.append(self.pool.answered(slot, number, self.now, micros))
        self.pool.refill(slot, self.now)
        return [task for task in found if task is not None]

    def done(self, name, *numbers, micros=1_000_000):
        self.pool.finish([(task, None) for task in self.answer(name, *numbers, micros=micros)])

    def raised(self, name, number, error):
        for task in self.answer(name, number):
            self.pool.raised(task, error, self.now)

    def gives_back(self, name, *numbers):
        for number in numbers:
            self.pool.unbegun(self.slot(name), number, self.now)
        self.pool.refill(self.slot(name), self.now)

    def has_ended(self, name, number):
        """A task, as it was told to."""
        self.pool.cancelled(self.slot(name), number, self.now)
        self.pool.refill(self.slot(name), self.now)

    def dies(self, *names, reason="it died", stderr=""):
        for name in names:
            self.pool.ended(self.slot(name), reason, stderr, self.now)

    def at(self, now):
        """Time goes on, and is looked at as often as the engine does."""
        while self.now + 0.05 < now:
            self.now += 0.05
            self.pool.tick(self.now)
        self.now = now
        self.pool.tick(now)

    # --- what follows -----------------------------------------------------------------------------

    def wants(self):
        """What the pool wants since this was asked last."""
        words = [self._word(effect) for effect in self.pool.effects]
        self.pool.effects.clear()
        return words

    def _word(self, effect):
        if isinstance(effect, Settle):
            self.errors[effect.task.number] = effect.error
            how = "cancelled" if effect.error is None else type(effect.error).__name__
            return f"{effect.task.number} ends: {how}"
        place = effect.slot.place
        name = place.server.name
        if len(place.slots) > 1:
            name += str(place.slots.index(effect.slot))
        if isinstance(effect, Start):
            return f"start {name}"
        if isinstance(effect, Send):
            return f"{effect.task.number} to {name}"
        if isinstance(effect, Stop):
            return f"stop {name}" if effect.politely else f"kill {name}"
        assert isinstance(effect, Tell)
        return f"{effect.what} {effect.number} at {name}" if effect.number else f"ping {name}"

    def attempts(self, number):
        return [(each.server, each.outcome) for each in self.tasks[number].attempts]


def working(*names, **settings):
    """A pool whose workers each have a task: 1, 2 and so on."""
    play = Play(*names, **settings)
    for _ in names:
        play.submit()
    play.ready(*names)
    play.wants()
    return play


def quick(*names, **settings):
    """A pool whose workers are idle, and known to be quick."""
    play = working(*names, **settings)
    for number, name in enumerate(names, 1):
        play.done(name, number, micros=QUICK)
    play.wants()
    return play


def members(*names):
    play = Play()
    play.pool.serve([Server(name, service=object()) for name in names], 0.0)
    return play
