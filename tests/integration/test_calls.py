"""Functions of real processes, called while these come, go, hang, leave and are killed. The bounds
of time leave ten times the room; what each took is told at the end of the run.
"""

import signal
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

import meshcluster
from tests.waiting import until

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals"),
]

WORKER = """
import json, sys, threading, time
import meshcluster

port, name, kinds, tags = sys.argv[1:]
released = threading.Event()

def tell(*what):
    sys.stdout.write(json.dumps(what) + "\\n")  # in one piece: several threads tell
    sys.stdout.flush()

class Arith:
    def sum(self, a: int, b: int) -> int:
        return a + b

    def check(self, a: int) -> int:
        if a < 0:
            raise ValueError(f"{a} is below zero")
        return "a text" if a > 100 else a

class Work:
    def slow(self, seconds: float) -> str:
        tell("begun")
        time.sleep(seconds)
        return name

    def name(self) -> str:
        return name

    def hold(self) -> str:
        tell("begun")
        assert released.wait(30)
        return name

class Slot:
    def take(self) -> str:
        call = meshcluster.current_call()
        tell("begun")
        while not call.cancelled and not released.is_set():
            released.wait(0.005)
        tell("cancelled" if call.cancelled else "ended")
        return name

class Palindrome:
    def check(self, number: int) -> bool:
        text = f"{number:b}"
        return text == text[::-1]

cluster = meshcluster.Cluster()
for kind in kinds.split():
    cluster.expose(globals()[kind](), limit=1 if kind == "Slot" else None)
began = time.monotonic()
cluster.join(tags.split(), name=name, port=int(port))
tell("joined", began)
for line in sys.stdin:
    if line.strip() == "release":
        released.set()
    else:
        tell("leaving", time.monotonic())
        cluster.leave()
        tell("left", time.monotonic())
        break
"""


@pytest.fixture
def worker(talk, beacon_port):
    """Starts a member; what still runs at the end is killed."""

    def start(name, kinds="Arith Work", tags=""):
        process = talk(WORKER, beacon_port, name, kinds, tags)
        word, process.began = process.hear()
        assert word == "joined"
        return process

    return start


@pytest.fixture
def caller(beacon_port):
    """A member in this process."""
    with meshcluster.join(name="caller", port=beacon_port) as cluster:
        yield cluster


@pytest.fixture
def took(record_property):
    """`with took("what", seconds):` notes how long it took, which is less than so many seconds;
    `since=` began earlier.
    """

    @contextmanager
    def took(what, at_most, since=None):
        began = time.monotonic() if since is None else since
        yield
        seconds = time.monotonic() - began
        record_property(what, f"{seconds:.3f} s")
        assert seconds < at_most

    return took


def names(services):
    return sorted(service.name for service in services)


def loads(cluster):
    """How many calls are under way, by the name of who has them."""
    known = {service.key: service.name for service in cluster.services}
    every = cluster._functions.calls.choice._loads
    return {known.get(key, "gone"): len(load.open) for key, load in every.items() if load.open}


def ready(caller, name, *expected):
    """Until exactly these members expose it."""
    until(lambda: names(caller.exposed.get(name, ())) == sorted(expected))


def by_name(caller, name):
    (service,) = (each for each in caller.services if each.name == name)
    return service


@pytest.mark.parametrize("first", ["worker", "caller"])
def test_di_a1_whoever_starts_first_they_find_each_other_at_once(first, worker, beacon_port, took):
    cluster = meshcluster.Cluster()
    if first == "worker":
        worker("one")
    else:
        cluster.join(name="caller", port=beacon_port)
    time.sleep(1.0)  # all that is said on joining has been said
    try:
        if first == "worker":
            with took("from joining to the first result", 3):
                cluster.join(name="caller", port=beacon_port)
                assert cluster.call("Arith.sum", 1, 2) == 3
        else:
            with took("from its joining to the first result", 3, worker("one").began):
                cluster.wait_for_exposed("Arith.sum")
                assert cluster.call("Arith.sum", 1, 2) == 3
    finally:
        cluster.leave()


def test_di_a2_calls_spread_over_one_four_and_two_members(worker, caller, took):
    processes = {"w0": worker("w0")}
    ready(caller, "Work.slow", "w0")
    assert list(caller.map("Work.slow", [0.0] * 3)) == ["w0"] * 3
    for number in range(1, 4):
        process = processes[f"w{number}"] = worker(f"w{number}")
        with took(f"w{number} joins: in the list after", 3, process.began):
            until(lambda number=number: len(caller.exposed["Work.slow"]) == number + 1)
    with took("six at once of 1 s on four", 2.5):
        results = list(caller.map("Work.slow", [1.0] * 6))
    assert sorted(Counter(results).values()) == [1, 1, 2, 2]
    for name in ("w1", "w2"):
        processes[name].popen.kill()
    with took("two killed: out of the list after", 3):
        ready(caller, "Work.slow", "w0", "w3")
    with took("six at once of 1 s on two", 10):
        results = list(caller.map("Work.slow", [1.0] * 6))
    assert Counter(results) == {"w0": 3, "w3": 3}
    assert loads(caller) == {}


MASTER = """
import json, sys
import meshcluster
cluster = meshcluster.join(name="master", port=int(sys.argv[1]))
workers = cluster.wait_for_exposed("Work.name", 3)
print(json.dumps(sorted(cluster.call_all("Work.name").values())), flush=True)
sys.stdin.readline()
"""


def test_di_a3_a_caller_is_killed_and_restarted_and_another_sees_the_same(
    worker, caller, talk, beacon_port, took
):
    everybody = ["w0", "w1", "w2"]
    for name in everybody:
        worker(name)
    master = talk(MASTER, beacon_port)
    assert master.hear() == everybody
    until(lambda: "master" in names(caller.services))
    master.popen.kill()
    until(lambda: "master" not in names(caller.services))
    assert names(caller.exposed["Work.name"]) == everybody
    assert sorted(caller.call_all("Work.name").values()) == everybody
    with took("all called by the restarted one, its interpreter's start included, after", 10):
        assert talk(MASTER, beacon_port).hear() == everybody


def test_di_a4_errors_are_errors(worker, caller):
    worker("one")
    ready(caller, "Arith.check", "one")
    sent = []
    caller.hook("send")(sent.append)
    with pytest.raises(meshcluster.RemoteError, match="one raised ValueError: -1 is below") as told:
        caller.call("Arith.check", -1)
    assert (told.value.service.name, told.value.kind) == ("one", "ValueError")
    assert "in check" in told.value.traceback
    with pytest.raises(meshcluster.RemoteError, match=r"TypeError: Arith\.check: its result"):
        caller.call("Arith.check", 101)
    count = len(sent)
    with pytest.raises(meshcluster.NotExposed, match=r"did you mean 'Arith\.check'"):
        caller.call("Arith.chekc", 1)
    for arguments, field in ((("x",), "a"), ((1, 2), ""), ((), "a")):
        with pytest.raises(meshcluster.ArgumentError) as misfit:
            caller.call("Arith.check", *arguments)
        assert misfit.value.field == field
    assert len(sent) == count, "nothing was sent for what cannot work"
    assert caller.call("Arith.check", 100) == 100
    assert loads(caller) == {}


def given(caller, name, *arguments, among, **terms):
    """A call that runs, and the process and the name of who has it."""
    call = caller.go(name, *arguments, **terms)
    process = among[call.service.name]
    assert process.hear() == ["begun"]
    return call, process, call.service.name


def test_di_a5_a_member_is_killed_with_a_call(worker, caller, took):
    processes = {name: worker(name) for name in ("w0", "w1", "w2", "w3", "w4")}
    ready(caller, "Work.slow", *processes)

    call, process, first = given(caller, "Work.slow", 0.5, among=processes, idempotent=True)
    process.popen.kill()
    with took("idempotent, 0.5 s: done by another, from the kill", 5):
        second = call.result(20)
    assert second not in (first, None)
    (lost, error), (service, none) = call.attempts
    assert (lost.name, type(error), error.reason) == (first, meshcluster.ServiceLost, "crashed")
    assert (service.name, none) == (second, None)
    assert processes[second].hear() == ["begun"]

    for terms, kind in (
        ({"idempotent": True, "retries": 0}, meshcluster.ServiceLost),
        ({}, meshcluster.OutcomeUnknown),
    ):
        call, process, victim = given(caller, "Work.slow", 60.0, among=processes, **terms)
        process.popen.kill()
        with took(f"{kind.__name__}: raised, from the kill", 1.5), pytest.raises(kind) as lost:
            call.result(20)
        assert (type(lost.value), lost.value.service.name) == (kind, victim)
        assert [(service.name, type(why)) for service, why in call.attempts] == [
            (victim, meshcluster.ServiceLost)
        ]
    assert all(each.said.empty() for each in processes.values()), "nothing was done twice"
    assert loads(caller) == {}


def test_di_a5_the_only_member_is_killed_with_a_call(worker, caller, took):
    processes = {"only": worker("only")}
    ready(caller, "Work.slow", "only")
    call, process, _ = given(caller, "Work.slow", 60.0, among=processes, idempotent=True)
    process.popen.kill()
    with took("raised, from the kill", 3), pytest.raises(meshcluster.ServiceLost, match="crashed"):
        call.result(20)
    with pytest.raises(meshcluster.NotExposed):
        caller.call("Work.slow", 0.0)


def test_di_a6_the_least_busy_gets_it_and_all_is_counted_off(worker, caller):
    processes = {"w0": worker("w0"), "w1": worker("w1")}
    ready(caller, "Work.hold", *processes)
    one_by_one = Counter(caller.call("Work.name") for _ in range(10))
    assert one_by_one == {"w0": 5, "w1": 5}
    six = [caller.go("Work.hold") for _ in range(6)]
    assert Counter(call.service.name for call in six) == loads(caller) == {"w0": 3, "w1": 3}
    four = [caller.go("Work.hold", where=by_name(caller, "w0")) for _ in range(4)]
    more = [caller.go("Work.name") for _ in range(4)]
    assert {call.service.name for call in more} == {"w1"}
    assert {call.result(20) for call in more} == {"w1"}
    for process in processes.values():
        process.say("release")
    until(lambda: loads(caller) == {})  # nobody waits for six and four
    assert all(call.done() for call in six + four)


def test_di_a7_nobody_exposes_it(worker, caller, took):
    with took("just joined: raised after", 5), pytest.raises(meshcluster.NotExposed):
        caller.call("Arith.sum", 1, 2)
    with took("later: raised after", 0.5), pytest.raises(meshcluster.NotExposed):
        caller.go("Arith.sum", 1, 2)
    with pytest.raises(TimeoutError, match=r"Arith\.sum"):
        caller.wait_for_exposed("Arith.sum", timeout=0.05)
    found = []
    waiting = threading.Thread(
        target=lambda: found.extend(caller.wait_for_exposed("Arith.sum", 2, timeout=30))
    )
    waiting.start()
    worker("w0", "Arith")
    worker("other", "Palindrome")
    assert waiting.is_alive()
    began = worker("w1", "Arith").began
    waiting.join(20)
    with took("two were waited for: known, from the joining of the second, after", 3, began):
        assert names(found) == ["w0", "w1"]


async def test_di_a7_nobody_exposes_it_asynchronously(beacon_port):
    async with meshcluster.AsyncCluster().join(port=beacon_port) as caller:
        call = caller.go("Arith.sum", 1, 2)
        assert (call.done(), call.service) == (False, None)
        with pytest.raises(meshcluster.NotExposed, match="nobody exposes anything"):
            await call


def test_di_a8_a_hung_member_is_given_up_lost_and_found_again(worker, caller, took):
    processes = {"w0": worker("w0"), "w1": worker("w1")}
    ready(caller, "Work.name", *processes)
    caller.call_all("Work.name")
    hung = by_name(caller, "w0")
    lost = []
    caller.hook("service.lost")(lost.append)
    processes["w0"].popen.send_signal(signal.SIGSTOP)
    with took("lost, from the stop, after", 10):
        calls = [caller.go("Work.name", idempotent=idem) for idem in (True, True, False, False)]
        with_hung = [call for call in calls if call.service == hung]
        again, unknown = with_hung
        with (
            took("with a timeout of 0.5 s: raised after", 5),
            pytest.raises(
                meshcluster.QueryTimeout, match=r"Work\.name: no result within 0\.5 s \(from w0\)"
            ),
        ):
            caller.call("Work.name", where=hung, timeout=0.5)
        assert again.result(20) == "w1"
    assert [type(why) for _, why in again.attempts] == [meshcluster.ServiceLost, type(None)]
    with pytest.raises(meshcluster.OutcomeUnknown, match="unreachable"):
        unknown.result(20)
    ready(caller, "Work.name", "w1")
    assert [caller.call("Work.name") for _ in range(4)] == ["w1"] * 4
    with took("goes on: in the list again after", 10):
        processes["w0"].popen.send_signal(signal.SIGCONT)
        ready(caller, "Work.name", "w0", "w1")
    assert Counter(caller.call("Work.name") for _ in range(4)) == {"w0": 2, "w1": 2}
    assert lost == [hung]
    assert loads(caller) == {}


def test_di_a9_a_call_is_a_future(worker, caller, took):
    process = worker("one", "Slot")
    ready(caller, "Slot.take", "one")
    first = caller.go("Slot.take")
    assert first.service.name == "one"
    assert process.hear() == ["begun"]
    second = caller.go("Slot.take")
    for _ in range(2):
        with pytest.raises(TimeoutError):
            first.result(0.01)
    assert not first.done()
    with took("cancelled: its slot is another's after", 3):
        assert first.cancel()
        assert sorted(process.hear() for _ in range(2)) == [["begun"], ["cancelled"]]
    assert loads(caller) == {"one": 1}
    process.say("release")
    assert [second.result(20), second.result(20)] == ["one", "one"]
    assert second.attempts == ((by_name(caller, "one"), None),)
    assert (first.cancelled(), second.cancel()) == (True, False)
    assert loads(caller) == {}


def test_di_a11_who_does_not_expose_it_is_not_called(worker, caller, took):
    worker("a", "Arith", "gpu=yes")
    worker("p", "Palindrome")
    ready(caller, "Arith.sum", "a")
    ready(caller, "Palindrome.check", "p")
    for number in range(20):
        sums, checks = caller.go("Arith.sum", number, 1), caller.go("Palindrome.check", number)
        assert (sums.result(20), sums.service.name) == (number + 1, "a")
        assert (checks.result(20), checks.service.name) == (
            f"{number:b}" == f"{number:b}"[::-1],
            "p",
        )
    with took("another one: called, from its joining, after", 3, worker("b", "Arith").began):
        until(lambda: caller.go("Arith.sum", 1, 2).service.name == "b")
    both = [caller.go("Arith.sum", 1, 2) for _ in range(20)]
    assert {call.service.name for call in both} == {"a", "b"}
    with_gpu = [caller.go("Arith.sum", 1, 2, where="gpu=yes") for _ in range(20)]
    assert {call.service.name for call in with_gpu} == {"a"}
    assert {call.result(20) for call in both + with_gpu} == {3}
    with pytest.raises(meshcluster.NotExposed, match="where='gpu=no'"):
        caller.call("Arith.sum", 1, 2, where="gpu=no")


def test_di_a12_who_leaves_ends_what_it_does_and_gets_nothing_new(worker, caller, record_property):
    processes = {"w0": worker("w0"), "w1": worker("w1")}
    ready(caller, "Work.slow", *processes)
    gone = []
    caller.hook("service.lost")(lambda service: gone.append((service.name, time.monotonic())))
    call, process, leaver = given(caller, "Work.slow", 0.8, among=processes)
    (stayer,) = set(processes) - {leaver}
    caller.go("Work.slow", 2.0, where=by_name(caller, stayer))  # as busy
    process.say("leave")
    word, leaving = process.hear()
    assert word == "leaving"
    others, turned_away = [], []
    while not call.done():
        other = caller.go("Work.name")
        others.append(other.result(20))
        if len(other.attempts) > 1:
            turned_away.append(len(others) - 1)
    ended = time.monotonic()
    assert call.result(20) == leaver
    word, _ = process.hear()
    assert word == "left"
    until(lambda: gone)
    assert [name for name, _ in gone] == [leaver]
    record_property("ended what it did", f"{ended - leaving:.3f} s after it was told to leave")
    record_property("gone from the list", f"{gone[0][1] - ended:.3f} s after that")
    assert gone[0][1] - ended < 0.5
    record_property("meanwhile", f"{len(others)} calls, {len(turned_away)} of them turned away")
    assert set(others[turned_away[0] :]) == {stayer}
    assert len(turned_away) < len(others) / 5
    assert names(caller.exposed["Work.slow"]) == [stayer]
    process.popen.stdin.close()
    process.ends()


def test_many_threads_make_their_first_call_at_once(worker, caller):
    worker("one")
    until(lambda: caller.services)
    interval, together = sys.getswitchinterval(), threading.Barrier(16)

    def call(number):
        together.wait(20)
        return caller.call("Arith.sum", number, 1)

    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(16) as threads:
            assert list(threads.map(call, range(16))) == list(range(1, 17))
    finally:
        sys.setswitchinterval(interval)
    assert loads(caller) == {}
