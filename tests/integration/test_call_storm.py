"""Calls, while those that serve them are killed and started again as fast as they start: each has
the right result, or was raised for the true reason; what may run once has not run twice.
"""

import asyncio
import itertools
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial

import pytest

import meshcluster
from tests.waiting import until

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals"),
]

WORKERS, CLIENTS, HANGS_SECONDS = 4, 16, 50
EACH_LEAVES = 7
"""So often one leaves, and is not killed."""

PHOENIX = """
import asyncio, json, os, random, signal, sys, time
import meshcluster
import meshcluster.rpc.functions, meshcluster.rpc.serving

meshcluster.Cluster  # all is imported before the forks
port, slot, folder, seconds = sys.argv[1:]

def tell(what):
    os.write(1, (json.dumps(what) + "\\n").encode())

def live():
    cluster = meshcluster.Cluster()
    log = os.open(f"{folder}/{os.getpid()}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    chance = random.Random()

    def ran(key):
        os.write(log, b"%d\\n" % key)  # of what was written nothing is lost when we are killed

    @cluster.expose
    def once(key: int) -> int:
        ran(key)
        time.sleep(chance.random() * float(seconds))
        return key + 1

    @cluster.expose(in_loop=True)
    def once_in_loop(key: int) -> int:
        ran(key)
        return key + 1

    @cluster.expose(idempotent=True)
    async def again(key: int) -> int:
        ran(key)
        await asyncio.sleep(chance.random() * float(seconds))
        return key + 1

    cluster.join(name=f"{slot}-{os.getpid()}", port=int(port))
    signal.signal(signal.SIGTERM, lambda number, frame: cluster.leave())
    tell(os.getpid())
    cluster.run_forever()
    os._exit(0)

def begin():
    child = os.fork()
    if child == 0:
        live()
    return child

child = begin()
for line in sys.stdin:
    os.kill(child, signal.SIGTERM if line.strip() == "leave" else signal.SIGKILL)
    os.waitpid(child, 0)
    if line.strip() != "end":
        child = begin()
"""
NAMES = ("once", "once_in_loop", "again")


@dataclass
class Call:
    """What became of one."""

    key: int
    value: object
    error: BaseException | None
    attempts: tuple = ()

    @property
    def name(self):
        return NAMES[self.key % len(NAMES)]


@dataclass
class Storm:
    """Kills one after the other, all the time."""

    phoenixes: list
    killed: set[str] = field(default_factory=set)
    left: set[str] = field(default_factory=set)
    seconds: float = 0.0

    def __post_init__(self):
        self.names = [f"{slot}-{each.hear()}" for slot, each in enumerate(self.phoenixes)]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._rage)

    def _rage(self):
        for number in itertools.count():
            if self._over.is_set():
                return
            slot = number % len(self.phoenixes)
            leaves = number % EACH_LEAVES == 0
            (self.left if leaves else self.killed).add(self.names[slot])
            self.phoenixes[slot].say("leave" if leaves else "kill")
            self.names[slot] = f"{slot}-{self.phoenixes[slot].hear()}"

    def __enter__(self):
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *what):
        self._over.set()
        self._thread.join()
        self.seconds = time.monotonic() - self._began


def call_from_threads(port, count, storm):
    cluster, keys, calls = meshcluster.Cluster(), iter(range(count)), []

    def client():
        while (key := next(keys, None)) is not None:
            call = cluster.go(NAMES[key % len(NAMES)], key)
            error = call.exception(HANGS_SECONDS)
            value = call.result(0) if error is None else None
            calls.append(Call(key, value, error, call.attempts))

    with cluster.join(name="caller", port=port):
        cluster.wait_for_exposed("once", WORKERS)
        clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
        with storm:
            for each in clients:
                each.start()
            for each in clients:
                each.join()
        until(lambda: {each.name for each in cluster.services} == set(storm.names))
        return calls, loads(cluster._functions)


def call_from_a_loop(port, count, storm):
    return asyncio.run(_call_from_a_loop(port, count, storm))


async def _call_from_a_loop(port, count, storm):
    cluster, keys, calls = meshcluster.AsyncCluster(), iter(range(count)), []

    async def client():
        for key in keys:
            call = cluster.go(NAMES[key % len(NAMES)], key)
            await asyncio.wait([call], timeout=HANGS_SECONDS)
            error = call.exception()
            value = call.result() if error is None else None
            calls.append(Call(key, value, error, call.attempts))

    async with cluster.join(name="caller", port=port):
        await cluster.wait_for_exposed("once", WORKERS)
        with storm:
            await asyncio.gather(*[client() for _ in range(CLIENTS)])
        await asyncio.to_thread(
            until, lambda: {each.name for each in cluster.services} == set(storm.names)
        )
        return calls, loads(cluster._functions)


def loads(functions):
    """How many calls each member has, where it has any."""
    return [len(load.open) for load in functions.calls.choice._loads.values() if load.open]


def check(calls, storm, runs):
    """Each is right, or was raised for the true reason."""
    for call in calls:
        ran_by = runs[call.key]
        lost = lost_with(call)
        assert set(lost) <= storm.killed | storm.left, "who lives is not taken for dead"
        assert not set(lost) & set(ran_by) & storm.left, "who leaves ends what it has begun"
        if call.error is None:
            assert call.value == call.key + 1
            assert call.attempts[-1][0].name in ran_by
        elif call.name == "again":
            assert type(call.error) is meshcluster.ServiceLost, call
            assert len(lost) == 3, "it was tried two times more"
        else:
            assert type(call.error) is meshcluster.OutcomeUnknown, call
            assert [call.error.service.name] == lost
            assert set(ran_by) <= set(lost)
        if call.name == "again":
            assert len(ran_by) <= 1 + len(lost)
        else:
            assert len(ran_by) <= 1, "it ran twice"


def lost_with(call):
    """Those of whom it is not known whether it ran there."""
    return [
        service.name
        for service, why in call.attempts
        if isinstance(why, meshcluster.ServiceLost) and not why.unhandled
    ]


@pytest.fixture
def raise_storm(talk, beacon_port, tmp_path, record_property):
    """`raise_storm(calling, count, seconds)`: so many calls, that take so long at most."""
    return partial(storm_of, talk, beacon_port, tmp_path, record_property)


def storm_of(talk, port, folder, record_property, calling, count, seconds):
    storm = Storm([talk(PHOENIX, port, slot, folder, seconds) for slot in range(WORKERS)])
    calls, left_over = calling(port, count, storm)
    for each in storm.phoenixes:
        each.say("end")
        each.popen.stdin.close()
        assert each.popen.wait(20) == 0
        assert "Traceback" not in "".join(each.log)
    runs = {key: [] for key in range(count)}
    names = {name.partition("-")[2]: name for name in (*storm.killed, *storm.left, *storm.names)}
    for path in folder.iterdir():
        for line in path.read_text().split():
            runs[int(line)].append(names[path.name])
    outcomes = Counter("right" if c.error is None else type(c.error).__name__ for c in calls)
    tried = sum(len(call.attempts) > 1 for call in calls)
    twice = sum(len(ran) > 1 for ran in runs.values())
    lost = sum(bool(storm.left.intersection(lost_with(call))) for call in calls)
    record_property(
        f"{count} calls in {storm.seconds:.1f} s",
        f"{len(storm.killed)} killed, {len(storm.left)} left, {dict(outcomes)}, "
        f"{tried} given to another, {twice} ran twice, {lost} lost with who left",
    )
    assert sorted(call.key for call in calls) == list(range(count))
    check(calls, storm, runs)
    assert left_over == []
    assert storm.killed


FACES = pytest.mark.parametrize("calling", [call_from_threads, call_from_a_loop])


@FACES
def test_a_thousand_calls(calling, raise_storm):
    raise_storm(calling, 1_000, 0.05)


@FACES
@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_hundred_thousand_calls(calling, raise_storm):
    raise_storm(calling, 100_000, 0.005)
