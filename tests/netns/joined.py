"""A member in a process of its own: ``joined.py NAME OPTIONS``, these being ``join``'s as JSON.

It prints "joined"; then each line it reads is a Python expression, and its value is printed as
JSON. Beside ``cluster`` there are the functions of ``Member``.
"""

import json
import queue
import sys
import time
from collections import Counter

import meshcluster

PATIENCE_SECONDS = 20.0


class Member:
    """What a test asks of it, besides its cluster."""

    def __init__(self, name, options):
        self.name = name
        self.events, self.losses = queue.Queue(), queue.Queue()
        self.times, self.known = [], set()
        self.discoveries = Counter()
        self.cluster = meshcluster.Cluster()
        self.cluster.hook("service.discovered")(self._discovered)
        self.cluster.hook("service.lost")(self._lost)
        self.cluster.hook("event")(lambda e: self.events.put([e.data, e.protocol]))
        self.cluster.hook("query")(lambda question: [name, question.protocol])
        self.joining_at = time.time()
        self.cluster.join([name], name=name, **options)

        self.others = []
        self.options = options

    def join_others(self, count):
        """So many more members in this process, with the same options."""
        for number in range(count):
            self.others.append(meshcluster.join(name=f"{self.name}-{number}", **self.options))

    def _discovered(self, service):
        self.discoveries[service.name] += 1
        self.times.append((time.time(), len(self.known) + 1))
        self.known.add(service.id)

    def _lost(self, service):
        self.known.discard(service.id)
        self.losses.put([service.name, time.time()])

    def names(self):
        """Who is known now."""
        return sorted(service.name for service in self.cluster.services)

    def rows(self):
        """The same: [name, address, local] of each."""
        return sorted([s.name, s.address, s.local] for s in self.cluster.services)

    def met(self, count=1, seconds=PATIENCE_SECONDS):
        """Waits until so many are known, or for so long; their rows."""
        end = time.monotonic() + seconds
        while len(self.cluster.services) < count and time.monotonic() < end:
            time.sleep(0.01)
        return self.rows()

    def complete(self, count):
        """Waits until hooks were told of so many; since when they were, None for never."""
        end = time.monotonic() + PATIENCE_SECONDS
        while len(self.known) < count and time.monotonic() < end:
            time.sleep(0.01)
        return next((at for at, known in list(self.times) if known >= count), None)

    def tell(self, data, **options):
        """Tells everybody something."""
        self.cluster.broadcast(data, **options)

    def heard(self):
        """The next event: [data, protocol]."""
        return self.events.get(timeout=PATIENCE_SECONDS)

    def lost(self):
        """Who was lost next: [name, when]."""
        return self.losses.get(timeout=PATIENCE_SECONDS)

    def answers(self, question="who", seconds=PATIENCE_SECONDS, **options):
        """Asks everybody: the [name, protocol] of each that has answered in time."""
        query = self.cluster.query(question, **options)
        try:
            query.wait(seconds)
        except TimeoutError:
            pass
        return sorted(query.results.values())

    def counted(self, reason, more):
        """Waits until so many more were dropped for a reason; all counters."""
        target = self.cluster.dropped.get(reason, 0) + more
        end = time.monotonic() + PATIENCE_SECONDS
        while self.cluster.dropped.get(reason, 0) < target and time.monotonic() < end:
            time.sleep(0.02)
        return self.cluster.dropped

    def leave(self):
        """Leaves; when."""
        at = time.time()
        self.cluster.leave()
        return at


def main():
    member = Member(sys.argv[1], json.loads(sys.argv[2]))
    known = {name: getattr(member, name) for name in dir(member) if not name.startswith("_")}
    known |= {"time": time, "meshcluster": meshcluster}
    print(json.dumps("joined"), flush=True)
    for line in sys.stdin:
        print(
            json.dumps(eval(line, known | {"time": time, "meshcluster": meshcluster})), flush=True
        )
    for cluster in (member.cluster, *member.others):
        cluster.leave()


if __name__ == "__main__":
    main()
