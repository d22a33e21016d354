"""Functions on the blocking face: as on ``AsyncCluster``, from any thread."""

import os
import queue
import subprocess
import sys
import threading
from concurrent.futures import (
    FIRST_COMPLETED,
    CancelledError,
    ThreadPoolExecutor,
    as_completed,
    wait,
)
from dataclasses import dataclass

import pytest

from meshcluster import (
    ArgumentError,
    Call,
    CallsFailed,
    Cluster,
    ClusterError,
    ConfigError,
    EncodeError,
    NotExposed,
    NotJoined,
    OutcomeUnknown,
    QueryTimeout,
    RemoteError,
    Stream,
    current_call,
)
from tests.waiting import until


@dataclass
class Point:
    x: int


class Gate:
    """Functions that begin, and end when they are let."""

    def __init__(self):
        self.begun = queue.Queue()
        self.cancelled = queue.Queue()
        self.go = threading.Event()

    def slow(self, x):
        self.begun.put(x)
        while not self.go.wait(0.002):
            if current_call().cancelled:
                self.cancelled.put(x)
                return None
        return x


@pytest.fixture
def gate():
    made = Gate()
    yield made
    made.go.set()


@pytest.fixture
def two(pair):
    """``server`` exposes, ``caller`` calls."""
    return pair


def expose(two, function, name=None, **options):
    server, caller = two
    server.expose(function, name=name, **options)
    caller.wait_for_exposed(name or function.__name__)


@pytest.fixture
def settled(monkeypatch):
    monkeypatch.setattr("meshcluster.rpc.calls.APPEAR_SECONDS", 0.0)


def echo(x):
    return x


def loads(cluster):
    return [len(load.open) for load in cluster._functions.calls.choice._loads.values()]


# --- exposing and calling --------------------------------------------------------------------


def test_functions_coroutines_and_generators_are_called(two):
    server, caller = two

    @server.expose
    def add(a: int, b: int = 1) -> int:
        return a + b

    @server.expose(name="later")
    async def add_later(a: int):
        return a + 2

    def count(n: int):
        yield from range(n)

    expose(two, count)
    expose(two, lambda: threading.current_thread().name, "where", in_loop=True)
    assert caller.call("add", 1, b=2) == 3
    assert caller.call("later", 1) == 3
    assert list(caller.call("count", 200)) == list(range(200))
    assert caller.call("where") == "meshcluster"
    assert list(caller.exposed) == ["add", "count", "later", "where"]
    assert server.unexpose("add") == 1


def test_functions_run_on_threads_of_the_member_and_not_in_its_loop(two):
    expose(two, lambda: threading.current_thread().name, "where")
    assert two[1].call("where").startswith("meshcluster-calls-")


def test_failures_are_those_of_the_async_face(two, settled, gate):
    server, caller = two
    expose(two, lambda x: 1 / x, "inverse")
    with pytest.raises(RemoteError, match="ZeroDivisionError") as caught:
        caller.call("inverse", 0)
    assert "test_calling.py" in caught.value.traceback
    with pytest.raises(ArgumentError):
        caller.call("inverse")
    with pytest.raises(EncodeError):
        caller.call("inverse", object())
    with pytest.raises(NotExposed, match="did you mean 'inverse'"):
        caller.call("invers", 1)
    with pytest.raises(ConfigError):
        caller.go("inverse", 1, retries=-1)
    expose(two, gate.slow, "slow")
    with pytest.raises(QueryTimeout):
        caller.call("slow", 1, timeout=0.05)
    call = caller.go("slow", 2)
    assert [gate.begun.get(timeout=10) for _ in range(2)] == [1, 2]
    server.leave(timeout=0)
    with pytest.raises(OutcomeUnknown):
        call.result(10)
    with pytest.raises(NotExposed):
        caller.call("slow", 1)


def test_types_of_ones_own_travel(two):
    class Angle:
        def __init__(self, degrees):
            self.degrees = degrees

    for cluster in two:
        cluster.register(Angle, lambda angle: angle.degrees, Angle)
    expose(two, lambda angle: Angle(angle.degrees + 1), "turn")
    assert two[1].call("turn", Angle(1)).degrees == 2

    def move(p: Point) -> Point:
        return Point(p.x + 1)

    expose(two, move)
    assert two[1].call("move", Point(1), returns=Point) == Point(2)


def test_just_after_joining_a_call_waits_for_somebody(join):
    join().expose(echo)
    assert join().call("echo", 1) == 1


def test_before_joining_and_after_leaving_nobody_is_called(join):
    cluster = Cluster()
    for call in (lambda: cluster.call("f"), lambda: cluster.go("f"), lambda: cluster.exposed):
        with pytest.raises(NotJoined):
            call()
    join(cluster=cluster)
    cluster.leave()
    with pytest.raises(NotJoined):
        cluster.call("f")


def test_leaving_lets_calls_end_and_those_that_others_make_are_turned_away(two, gate):
    server, caller = two
    expose(two, gate.slow, "slow")
    call = caller.go("slow", 1)
    gate.begun.get(timeout=10)
    leaving = threading.Thread(target=server.leave)
    leaving.start()
    with pytest.raises(TimeoutError):
        call.result(0.05)
    gate.go.set()
    assert call.result(10) == 1
    leaving.join(10)
    assert not leaving.is_alive()


def test_leaving_and_joining_again_all_is_exposed_still(join, beacon_port):
    caller, server = join(), Cluster()
    server.expose(echo)
    for number in range(2):
        with server.join(port=beacon_port):
            caller.wait_for_exposed("echo")
            assert caller.call("echo", number) == number
        until(lambda: caller.exposed == {})


def test_many_threads_call_and_each_gets_its_own_results(two):
    expose(two, echo)
    expose(two, lambda x: x, "in loop", in_loop=True)
    caller = two[1]

    def work(thread):
        for number in range(50):
            for name in ("echo", "in loop"):
                assert caller.call(name, [thread, number]) == [thread, number]
        return thread

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == list(range(8))
    until(lambda: loads(caller) == [0])


def test_many_threads_may_expose_and_make_the_first_call(two):
    server, caller = two
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: server.expose(lambda: n, name=f"f{n}"), range(8)))
        caller.wait_for_services()
        until(lambda: len(caller.exposed) == 8)
        assert list(pool.map(lambda n: caller.call(f"f{n}"), range(8))) == list(range(8))


def test_a_thread_pool_may_have_the_method_itself(two):
    expose(two, echo)
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(two[1].call, "echo", n) for n in range(20)]
        assert [future.result(10) for future in futures] == list(range(20))


def test_a_called_function_may_call_in_turn_and_ends_no_later(two):
    server, caller = two
    caller.expose(lambda: current_call().remaining, name="inner")
    server.wait_for_exposed("inner")
    expose(two, lambda: server.call("inner", timeout=1000), "outer")
    assert 0 < caller.call("outer", timeout=3) <= 3


# --- futures ---------------------------------------------------------------------------------


def test_a_call_knows_its_member_before_the_result_which_may_be_had_again(two, gate):
    caller = two[1]
    expose(two, gate.slow, "slow")
    call = caller.go("slow", 1)
    assert type(call) is Call
    assert (call.name, call.service) == ("slow", caller.services[0])
    assert not call.done()
    for _ in range(2):
        with pytest.raises(TimeoutError):
            call.result(0.02)
        with pytest.raises(TimeoutError):
            call.exception(timeout=0)
    gate.go.set()
    assert [call.result(10) for _ in range(3)] == [1, 1, 1]
    assert (call.exception(), call.done(), call.cancel()) == (None, True, False)
    assert call.attempts == ((call.service, None),)


def test_callbacks_are_called_and_may_begin_the_next_call(two):
    expose(two, echo)
    done, caller = queue.Queue(), two[1]

    def following(call):
        if call.result() < 50:
            caller.go("echo", call.result() + 1).add_done_callback(following)
        else:
            done.put(call.result())

    caller.go("echo", 0).add_done_callback(following)
    assert done.get(timeout=10) == 50


def test_wait_and_as_completed_take_calls(two, gate):
    caller = two[1]
    expose(two, gate.slow, "slow")
    expose(two, echo)
    slow, calls = caller.go("slow", 0), [caller.go("echo", n) for n in range(1, 4)]
    done, pending = wait([slow, *calls], timeout=10, return_when=FIRST_COMPLETED)
    assert done
    assert slow in pending
    assert sorted(call.result() for call in as_completed(calls, timeout=10)) == [1, 2, 3]
    gate.go.set()
    assert wait([slow, *calls], timeout=10).not_done == set()


def test_cancelling_reaches_the_function_and_who_waits(two, gate):
    caller = two[1]
    expose(two, gate.slow, "slow")
    call, other = caller.go("slow", 1), caller.go("slow", 2)
    assert {gate.begun.get(timeout=10) for _ in range(2)} == {1, 2}
    waited = queue.Queue()
    waiting = threading.Thread(target=lambda: waited.put(wait([call], timeout=10)))
    waiting.start()
    assert call.cancel()
    assert call.cancel()
    assert gate.cancelled.get(timeout=10) == 1
    assert (call.cancelled(), call.done()) == (True, True)
    assert waited.get(timeout=10).not_done == set()
    waiting.join()
    assert wait([call], timeout=10).not_done == set()
    assert list(as_completed([call], timeout=10)) == [call]
    for ask in (call.result, call.exception):
        with pytest.raises(CancelledError):
            ask(10)
    gate.go.set()
    assert other.result(10) == 2
    assert loads(caller) == [0]


def test_many_threads_may_cancel_one_call(two, gate):
    caller = two[1]
    expose(two, gate.slow, "slow")
    for _ in range(20):
        call = caller.go("slow", 1)
        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(lambda _, call=call: call.cancel(), range(4)))
        assert call.cancelled()
    assert loads(caller) == [0]


def test_a_call_may_be_cancelled_after_leaving(two, gate):
    expose(two, gate.slow, "slow")
    call = two[1].go("slow", 1)
    two[1].leave()
    assert not call.cancel()
    with pytest.raises(NotJoined):
        call.result(10)


def test_calls_that_nobody_waits_for_are_no_load_when_they_end(two):
    got, caller = queue.Queue(), two[1]
    expose(two, got.put, "note")
    for number in range(100):
        caller.go("note", number)
    assert sorted(got.get(timeout=10) for _ in range(100)) == list(range(100))
    until(lambda: loads(caller) == [0])


# --- all, map, streams -----------------------------------------------------------------------


def test_call_all_has_the_results_of_all_or_says_what_failed(join):
    servers = [join(name=f"s{n}") for n in range(3)]
    for number, server in enumerate(servers):
        server.expose(lambda x, number=number: x / number, name="f")
    caller = join()
    caller.wait_for_exposed("f", 3)
    found = caller.call_all("f", 6, where=lambda service: service.name != "s0")
    assert sorted((service.name, value) for service, value in found.items()) == [
        ("s1", 6.0), ("s2", 3.0),
    ]  # fmt: skip
    with pytest.raises(CallsFailed) as caught:
        caller.call_all("f", 6)
    assert sorted(service.name for service in caught.value.results) == ["s1", "s2"]
    assert [service.name for service in caught.value.errors] == ["s0"]
    assert [caller.call("f", 6, where="s2") for _ in range(3)] == [3.0] * 3


def test_map_is_an_iterator_in_order_or_as_they_come(two, gate):
    caller, told = two[1], []
    expose(two, echo)
    results = caller.map("echo", range(100), progress=lambda *done: told.append(done))
    assert iter(results) is not None
    assert next(results) == 0
    assert list(results) == list(range(1, 100))
    assert told == [(n, 100) for n in range(1, 101)]
    assert sorted(caller.map("echo", range(100), ordered=False, in_flight=3)) == list(range(100))
    expose(two, lambda x: gate.slow(x) if x == 0 else x, "first slow")
    got = []
    for each in caller.map("first slow", range(10), ordered=False):
        got.append(each)
        if len(got) == 9:
            gate.go.set()
    assert got[-1] == 0


def test_a_mapping_that_is_closed_or_fails_cancels_the_rest(two, gate):
    caller = two[1]

    def f(x):
        if x == "bad":
            until(lambda: gate.begun.qsize() == 2)  # one that has not begun never would
            raise ValueError
        return gate.slow(x)

    expose(two, f)
    results = caller.map("f", iter(int, 1), in_flight=2)
    failing = caller.map("f", ["bad", 1, 2])
    with pytest.raises(RemoteError):
        list(failing)
    until(lambda: gate.cancelled.qsize() == 2)
    results.close()
    assert list(results) == []
    with pytest.raises(ConfigError):
        caller.map("f", [], in_flight=0)
    until(lambda: loads(caller) == [0])


def test_calls_that_wait_for_somebody_end_when_the_cluster_is_left(join):
    member = join("alone")
    call = member.go("nobody has it", timeout=60)
    assert not call.done()
    member.leave()
    with pytest.raises(NotJoined):
        call.result(10)


def test_a_stream_gives_items_until_it_is_closed(two):
    closed, caller = queue.Queue(), two[1]

    def count(n):
        try:
            yield from range(n)
        finally:
            closed.put(n)

    expose(two, count)
    with caller.call("count", 1_000_000) as stream:
        assert type(stream) is Stream
        assert repr(stream) == "<Stream of count by " + stream.service.name + ">"
        for item in stream:
            if item == 1000:
                break
    assert closed.get(timeout=10) == 1_000_000
    assert list(stream) == []
    for item in caller.call("count", 2_000_000):
        if item == 10:
            break
    assert closed.get(timeout=10) == 2_000_000


def test_a_stream_that_raises_or_is_lost_says_so_after_what_it_gave(two):
    server, caller = two

    def fails():
        yield from range(100)
        raise ValueError("half-way")

    expose(two, fails)
    got = []
    with pytest.raises(RemoteError, match="half-way"):
        got.extend(caller.call("fails"))
    assert got == list(range(100))
    stream = caller.call("fails")
    server.leave(timeout=0)
    until(lambda: not caller.services)
    with pytest.raises(OutcomeUnknown):
        list(stream)


# --- where nobody may wait -------------------------------------------------------------------


def test_in_the_members_loop_waiting_is_refused_and_all_goes_on(two):
    server, caller = two
    caller.expose(echo, name="back")
    server.wait_for_exposed("back")
    waits = {
        "call": lambda: server.call("back", 1),
        "call_all": lambda: server.call_all("back", 1),
        "result": lambda: server.go("back", 1).result(),
        "map": lambda: list(server.map("back", [1])),
        "wait": lambda: server.wait_for_exposed("nothing"),
    }

    def refused(name):
        try:
            waits[name]()
        except ClusterError as error:
            return str(error)
        return None

    expose(two, refused, in_loop=True)
    for name in waits:
        assert "wait for itself" in caller.call("refused", name)
    done = queue.Queue()
    expose(two, lambda: server.go("back", 7).add_done_callback(done.put), "goes", in_loop=True)
    caller.go("goes")
    assert done.get(timeout=10).result() == 7


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_neither_calls_nor_exposes(beacon_port):
    code = f"""
import os, meshcluster
server = meshcluster.join(port={beacon_port})
caller = meshcluster.join(port={beacon_port})
server.expose(lambda x: x, name="echo")
caller.wait_for_exposed("echo")
assert caller.call("echo", 1) == 1
if (child := os.fork()) == 0:
    refused = 0
    for do in (
        lambda: caller.call("echo", 1), lambda: caller.go("echo", 1), lambda: caller.exposed,
        lambda: list(caller.map("echo", [1])), lambda: caller.call_all("echo", 1),
        lambda: server.expose(len), lambda: server.unexpose("echo"),
        lambda: caller.wait_for_exposed("echo"),
    ):
        try:
            do()
        except meshcluster.ForkedClusterError:
            refused += 1
    os._exit(refused)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 8
assert caller.call("echo", 2) == 2
caller.leave(); server.leave()
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=30)
