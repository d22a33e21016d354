"""A member in a process of its own: ``joined.py NAME OPTIONS``, these being ``join``'s as JSON.

It prints "joined"; then each line it reads is a Python expression, and its value is printed as
JSON. Beside ``cluster`` there are the functions of ``Member``.
"""

import asyncio
import json
import os
import queue
import select
import sys
import threading
import time
from collections import Counter, defaultdict

import meshcluster

PATIENCE_SECONDS = 20.0


def pause(seconds):
    """Sleeps; ``time.sleep`` fails now and then below libfaketime."""
    select.select([], [], [], seconds)


class History:
    """What was sent to whom, what came of whom and how, what was given up: all by name."""

    def __init__(self, name):
        self.name = name
        self.astray = 0
        """Messages that were meant for somebody else."""
        self.sent = Counter()
        self.came = defaultdict(list)
        self.lost = defaultdict(list)

    def send(self, cluster, service):
        """The next number of a member."""
        try:
            data = {"number": self.sent[service.name], "to": service.name}
            cluster.send(data, services=[service])
        except meshcluster.ClusterError:  # it has gone meanwhile: nothing was sent
            return
        self.sent[service.name] += 1

    def heard(self, event):
        """A number came."""
        self.astray += event.data["to"] != self.name
        self.came[event.service.name].append([event.data["number"], event.protocol])

    def given_up(self, lost):
        """Messages to a member were given up."""
        numbers = [message.data["number"] for message in lost.messages]
        self.lost[lost.service.name] += numbers


class Member:
    """What a test asks of it, besides its cluster. ``saw`` is told what it sees of others."""

    def __init__(self, name, options, saw=lambda what, service: None):
        self.name = name
        self.events, self.losses = queue.Queue(), queue.Queue()
        self.times, self.known = [], set()
        self.discoveries = Counter()
        self.history = History(name)
        self.saw = saw
        self.cluster = meshcluster.Cluster()
        self.cluster.hook("service.discovered")(self._discovered)
        self.cluster.hook("service.lost")(self._lost)
        self.cluster.hook("service.suspect")(lambda service: self.saw("suspect", service))
        self.cluster.hook("service.recovered")(lambda service: self.saw("recovered", service))
        self.cluster.hook("event")(self._told)
        self.cluster.hook("send.lost")(self.history.given_up)
        self.cluster.hook("query")(lambda question: [name, question.protocol])
        self.joining_at = time.time()
        if "timing" in options:
            options["timing"] = meshcluster.Timing(**options["timing"])
        self.cluster.join([name], name=name, **options)

        self.others = []
        self.options = options

    def join_others(self, count):
        """So many more members in this process, with the same options."""
        for number in range(count):
            self.others.append(meshcluster.join(name=f"{self.name}-{number}", **self.options))

    def _told(self, event):
        if isinstance(event.data, dict):
            self.history.heard(event)
        else:
            self.events.put([event.data, event.protocol])

    def _discovered(self, service):
        self.saw("discovered", service)
        self.discoveries[service.name] += 1
        self.times.append((time.time(), len(self.known) + 1))
        self.known.add(service.id)

    def _lost(self, service):
        self.saw("lost", service)
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
            pause(0.01)
        return self.rows()

    def at(self, name, address, seconds=PATIENCE_SECONDS):
        """Waits until a member is known at an address; whether it is."""
        end = time.monotonic() + seconds
        while [name, address] not in [row[:2] for row in self.rows()]:
            if time.monotonic() > end:
                return False
            pause(0.01)
        return True

    def until_known(self, count, seconds=PATIENCE_SECONDS):
        """Waits until no more than so many are known."""
        end = time.monotonic() + seconds
        while len(self.cluster.services) > count and time.monotonic() < end:
            pause(0.01)
        return self.names()

    def complete(self, count):
        """Waits until hooks were told of so many; since when they were, None for never."""
        end = time.monotonic() + PATIENCE_SECONDS
        while len(self.known) < count and time.monotonic() < end:
            pause(0.01)
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
            pause(0.02)
        return self.cluster.dropped

    def round_trips(self, seconds):
        """Asks everybody again and again for so long: how often all answered in time."""
        count, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            query = self.cluster.query("who")
            try:
                query.wait(PATIENCE_SECONDS)
            except TimeoutError:
                continue
            count += not query.errors
        return count

    def load(self, seconds):
        """The share of one core that it takes to do nothing for so long."""
        busy, began = time.process_time(), time.monotonic()
        pause(seconds)
        return (time.process_time() - busy) / (time.monotonic() - began)

    def memory(self):
        """MiB in use (resident)."""
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    def udp_port(self):
        """Where it answers probes."""
        return self.cluster._driver.node.details.port

    def losses_so_far(self):
        """Names of who was lost."""
        return [name for name, _ in list(self.losses.queue)]

    # --- traffic ---------------------------------------------------------------------------

    def talk(self, pause=0.005):
        """Tells everybody numbers from now on, to each member its own, until ``hush``."""
        self.talking = threading.Event()
        self.talker = threading.Thread(target=self._talk, args=[pause], daemon=True)
        self.talker.start()

    def _talk(self, pause):
        while not self.talking.wait(pause):
            try:
                for service in self.cluster.services:
                    self.history.send(self.cluster, service)
            except meshcluster.NotJoined:
                return

    def hush(self):
        """Says no more."""
        self.talking.set()
        self.talker.join()

    def settled(self, seconds=PATIENCE_SECONDS):
        """Waits until all is acknowledged; those who have not acknowledged all."""
        end = time.monotonic() + seconds
        while self.cluster.undelivered and time.monotonic() < end:
            pause(0.02)
        return [service.name for service in self.cluster.undelivered]

    def handled(self, name, more=1, seconds=PATIENCE_SECONDS):
        """Waits until so many more numbers of a member came; by which protocol the last one."""
        end = time.monotonic() + seconds
        target = len(self.history.came[name]) + more
        while len(self.history.came[name]) < target and time.monotonic() < end:
            pause(0.002)
        return self.history.came[name][-1][1] if len(self.history.came[name]) >= target else None

    def until_by(self, protocol, name, seconds=PATIENCE_SECONDS):
        """Waits until a member's numbers come by a protocol; since when they do."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.handled(name) == protocol:
                return time.time()
        return None

    def told_so_far(self):
        """The history: numbers sent, [number, protocol] handled, numbers reported, all by name;
        how many came that were meant for somebody else.
        """
        history = self.history
        return [history.sent, history.came, history.lost, history.astray]

    def break_links(self):
        """Aborts every link, as a cable that bites."""
        ends = self.cluster._loop.run(lambda: list(self.cluster._driver._ends.values()))
        self.cluster._loop.run(lambda: [end.link.abort() for end in ends])

    def resources(self):
        """How many [descriptors, threads, links] it has."""
        links = self.cluster._loop.run(lambda: len(self.cluster._driver._ends))
        return [len(os.listdir("/proc/self/fd")), threading.active_count(), links]

    def held(self):
        """How many [descriptors, threads, MiB of memory] it has."""
        with open("/proc/self/statm") as file:
            pages = int(file.read().split()[1])
        return [*self.resources()[:2], pages * os.sysconf("SC_PAGE_SIZE") // 2**20]

    def _peers(self):
        """What its node has of each member; in the loop's thread."""
        return list(self.cluster._driver.node.peers)

    def unlinked(self, seconds=PATIENCE_SECONDS):
        """Waits until it has a link to each member; the names of those to whom there is none."""
        end = time.monotonic() + seconds
        while (left := self.cluster._loop.run(self._unlinked)) and time.monotonic() < end:
            pause(0.02)
        return left

    def _unlinked(self):
        return [
            peer.details.name
            for peer in self._peers()
            if not any(session.link for session in peer.sessions.values())
        ]

    def lag_of(self, name, seconds=PATIENCE_SECONDS):
        """Waits until a member says that it is late; by how many seconds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            peers = self.cluster._loop.run(self._peers)
            if late := max(peer.lag for peer in peers if peer.details.name == name):
                return late
            pause(0.02)
        return 0.0

    def handled_from(self, names, seconds=PATIENCE_SECONDS):
        """Waits until one more number of each of these came; when it had."""
        end = time.monotonic() + seconds
        before = {name: len(self.history.came[name]) for name in names}
        while any(len(self.history.came[name]) == before[name] for name in names):
            assert time.monotonic() < end
            pause(0.005)
        return time.monotonic()

    def tasks(self):
        """How many tasks its loop has."""
        return self.cluster._loop.run(lambda: len(asyncio.all_tasks(asyncio.get_running_loop())))

    def until_at(self, address, seconds=PATIENCE_SECONDS):
        """Waits until the only other member is known at an address; whether it is."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if [row[1] for row in self.rows()] == [address]:
                return True
            pause(0.02)
        return False

    def renewed(self, scheme, seconds=PATIENCE_SECONDS):
        """Waits until it has opened an endpoint anew; whether it has."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            own = self.cluster._driver.node.details.endpoints
            if any(each.scheme == scheme and "renewed" in each.props for each in own):
                return True
            pause(0.02)
        return False

    def leave(self):
        """Leaves; when."""
        at = time.time()
        self.cluster.leave()
        return at


def main():
    member = Member(sys.argv[1], json.loads(sys.argv[2]))
    known = {name: getattr(member, name) for name in dir(member) if not name.startswith("_")}
    known |= {"time": time, "meshcluster": meshcluster, "Counter": Counter}
    print(json.dumps("joined"), flush=True)
    for line in sys.stdin:
        print(json.dumps(eval(line, known)), flush=True)
    for cluster in (member.cluster, *member.others):
        cluster.leave()


if __name__ == "__main__":
    main()
