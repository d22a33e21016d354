"""The two ends of a queue without a mesh: letters are kept, time goes on when it is told to."""

from types import SimpleNamespace

from meshcluster.model import Identity, Service
from meshcluster.queues import consuming, producing
from meshcluster.queues.settings import Settings
from meshcluster.rpc.values import Values


class Clock:
    """A loop and a clock in one: what is called later is called by ``move``."""

    def __init__(self, patch):
        self.now = 1000.0
        self._later = []
        for module in (consuming, producing):
            patch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.now))
            patch.setattr(module, "get_running_loop", lambda: self)

    def call_later(self, seconds, function):
        assert seconds > 0.01
        entry = [self.now + seconds, function]
        self._later.append(entry)
        return SimpleNamespace(cancel=lambda: self._later.remove(entry))

    @property
    def waits(self):
        return bool(self._later)

    def move(self, seconds):
        end = self.now + seconds
        while due := [each for each in self._later if each[0] <= end]:
            entry = min(due, key=lambda each: each[0])
            self._later.remove(entry)
            self.now = max(self.now, entry[0])
            entry[1]()
        self.now = end


class Post:
    """The letters that were asked."""

    def __init__(self):
        self.asked = []

    def ask(self, service, words, took):
        self.asked.append((service, words, took))

    def take(self):
        """What was asked since, as (name, words)."""
        asked, self.asked = self.asked, []
        return [(service.name, words) for service, words, _ in asked]

    def answer(self, value=None, error=None):
        """Answers all of them alike."""
        asked, self.asked = self.asked, []
        for _, _, took in asked:
            took(value, error)


def member(number):
    return Service(Identity(number.to_bytes(16, "big"), 1, f"s{number}", "host"))


def settings_of(**given):
    return Settings(**given, values=Values(), most_bytes=lambda: 1 << 20)
