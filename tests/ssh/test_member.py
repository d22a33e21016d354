"""Members of the mesh as workers: tasks are calls of what they expose."""

import asyncio
import gc
import threading
import time

import pytest

from meshcluster import (
    ArgumentError,
    ClusterError,
    Congested,
    Dispatcher,
    EncodeError,
    MessageTooLarge,
    NotExposed,
    NoWorkers,
    RemoteError,
    TaskTimeout,
    WorkerLost,
)
from tests.waiting import until

MEMBER = """
import json, os, sys, time
from meshcluster import Cluster

cluster = Cluster()

def work(order):
    what, *words = order
    if what == "pid":
        return os.getpid()
    if what == "hold":
        print(json.dumps("begun"), flush=True)
        deadline = time.monotonic() + 40
        while not os.path.exists(words[0]) and time.monotonic() < deadline:
            time.sleep(0.002)
        return os.getpid()

with cluster.join(["compute"], port=int(sys.argv[1]), name=sys.argv[2]):
    cluster.expose(work)
    print(json.dumps(os.getpid()), flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def caller(join):
    return join(name="caller")


@pytest.fixture
def member(join, caller):
    """A member that exposes ``work``, and says what it was asked."""
    made = join("compute", name="member")
    made.expose(lambda value, more=0: ["worked", value, more], name="work")
    caller.wait_for_exposed("work")
    return made


def expose(caller, member, function, name=None):
    member.expose(function, name=name or function.__name__)
    caller.wait_for_exposed(name or function.__name__)


class Holding:
    """A function that members expose, and that ends when the test says."""

    def __init__(self):
        self.begun = threading.Semaphore(0)
        self.end = threading.Event()
        self.now = self.most = 0

    def hold(self, value: int) -> int:
        self.now += 1
        self.most = max(self.most, self.now)
        self.begun.release()
        assert self.end.wait(40)
        self.now -= 1
        return value


def test_a_value_is_given_to_what_a_member_exposes_as_work(caller, member, dispatch):
    dispatcher = dispatch(caller.live("compute"))
    future = dispatcher({"a": [1]})
    assert future.result(20) == ["worked", {"a": [1]}, 0]
    (attempt,) = future.attempts
    assert (attempt.server, attempt.outcome, attempt.pid) == ("member", "done", 0)


def test_what_a_member_exposes_is_called_by_its_name(caller, member, dispatch):
    expose(caller, member, lambda a, b=1: a * b, "times")
    dispatcher = dispatch(caller.live("compute"))
    assert dispatcher.submit("times", 3, b=4).result(20) == 12
    assert dispatcher.submit("module.of.mine:times", 3).result(20) == 3
    assert list(dispatcher.map("times", range(50), [2] * 50)) == [2 * n for n in range(50)]
    assert list(dispatcher.map("times", range(50), chunksize=8)) == list(range(50))


def test_two_threads_may_submit_to_members_at_once(caller, member, dispatch):
    dispatcher = dispatch(caller.live("compute"), slots=4)
    found = []

    def work():
        found.extend(future.result(20)[1] for future in [dispatcher(n) for n in range(50)])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted(list(range(50)) * 4)


async def test_members_of_an_async_cluster_work_for_who_awaits(ajoin, dispatch):
    caller, member = await ajoin(), await ajoin("compute")
    member.expose(lambda value: value + 1, name="work")
    await caller.wait_for_exposed("work")
    dispatcher = dispatch(caller.live("compute"), slots=8)
    assert await dispatcher(1) == 2
    assert await asyncio.gather(*map(dispatcher, range(100))) == list(range(1, 101))
    with pytest.raises(RemoteError):
        await dispatcher("no number")
    await asyncio.to_thread(dispatcher.close)


@pytest.mark.parametrize(
    "wait",
    [
        lambda dispatcher: dispatcher(1).result(),
        lambda dispatcher: dispatcher(1).exception(3),
        lambda dispatcher: list(dispatcher.map("work", [1, 2])),
        lambda dispatcher: (dispatcher(1), dispatcher.close()),
        lambda dispatcher: (dispatcher(1), dispatcher.shutdown()),
    ],
)
async def test_who_waits_in_the_loop_that_members_need_is_told_so(ajoin, dispatch, wait):
    caller, member = await ajoin(), await ajoin("compute")
    member.expose(lambda value: value, name="work")
    await caller.wait_for_exposed("work")
    dispatcher = dispatch(caller.live("compute"))
    with pytest.raises(ClusterError, match="await it"):
        wait(dispatcher)


async def test_in_that_loop_nobody_waits_for_room_either(ajoin, dispatch):
    caller, member = await ajoin(), await ajoin("compute")
    member.expose(lambda value: value, name="work")
    await caller.wait_for_exposed("work")
    dispatcher = dispatch(caller.live("compute"), max_open=1)
    first = dispatcher(1)
    with pytest.raises(Congested):
        dispatcher(2)
    assert await first == 1
    assert await dispatcher(3) == 3


async def test_in_that_loop_it_is_closed_when_nothing_is_open(ajoin, dispatch):
    caller, member = await ajoin(), await ajoin("compute")
    member.expose(lambda value: value, name="work")
    await caller.wait_for_exposed("work")
    with dispatch(caller.live("compute")) as dispatcher:
        assert await dispatcher(1) == 1


def test_callbacks_do_not_run_in_the_members_own_thread(caller, member, dispatch):
    dispatcher = dispatch(caller.live("compute"))
    found = []
    future = dispatcher(1)
    future.add_done_callback(lambda future: found.append(threading.current_thread().name))
    future.result(20)
    until(lambda: found)
    assert found[0] in ("meshcluster-dispatcher", threading.current_thread().name)


def test_callbacks_may_submit_more_to_members(caller, member, dispatch):
    dispatcher = dispatch(caller.live("compute"))
    found, enough = [], threading.Event()

    def further(future):
        found.append(future.result()[1])
        if len(found) < 10:
            dispatcher(len(found)).add_done_callback(further)
        else:
            enough.set()

    dispatcher(0).add_done_callback(further)
    assert enough.wait(20)
    assert found == list(range(10))


# --- errors -------------------------------------------------------------------------------------


def test_what_the_function_raised_is_final(caller, member, dispatch):
    calls = []

    def wrong():
        calls.append(1)
        raise KeyError("x")

    expose(caller, member, wrong)
    future = dispatch(caller.live("compute")).submit("wrong")
    with pytest.raises(RemoteError, match="KeyError") as caught:
        future.result(20)
    assert "in wrong" in caught.value.traceback
    assert [each.outcome for each in future.attempts] == ["raised"]
    assert len(calls) == 1


def test_it_is_tried_again_if_asked_for(caller, member, dispatch):
    calls = []

    def wrong():
        calls.append(1)
        if len(calls) < 3:
            raise KeyError("x")
        return "in the end"

    expose(caller, member, wrong)
    dispatcher = dispatch(caller.live("compute"), retry_on=RemoteError)
    assert dispatcher.submit("wrong").result(20) == "in the end"


def test_arguments_that_do_not_fit_are_an_error(caller, member, dispatch):
    expose(caller, member, lambda x: x, "f")
    dispatcher = dispatch(caller.live("compute"))
    with pytest.raises(ArgumentError):
        dispatcher.submit("f", 1, 2).result(20)
    with pytest.raises(EncodeError):
        dispatcher.submit("f", object()).result(20)
    with pytest.raises(MessageTooLarge):
        dispatcher.submit("f", bytes(2 << 30 >> 4)).result(20)
    assert dispatcher.submit("f", 1).result(20) == 1


def test_what_nobody_exposes_is_an_error_that_says_so(caller, member, dispatch):
    dispatcher = dispatch(caller.live("compute"))
    wrong = dispatcher.submit("nothing_like_it")
    right = [dispatcher(number) for number in range(3)]
    with pytest.raises(NotExposed, match="nothing_like_it"):
        wrong.result(20)
    assert [future.result(20)[1] for future in right] == [0, 1, 2]  # it harms no others


def test_what_one_of_two_exposes_is_done_by_that_one(caller, member, join, dispatch):
    other = join("compute", name="other")
    expose(caller, other, lambda: "the other", "rare")
    dispatcher = dispatch(caller.live("compute"))
    until(lambda: len(dispatcher.servers) == 2)
    assert [dispatcher.submit("rare").result(20) for _ in range(5)] == ["the other"] * 5


def test_a_call_that_takes_too_long_is_ended(caller, member, dispatch):
    ended = threading.Event()

    async def nap():
        try:
            await asyncio.sleep(40)
        finally:
            ended.set()

    expose(caller, member, nap)
    dispatcher = dispatch(caller.live("compute"), timeout=0.1)
    with pytest.raises(TaskTimeout):
        dispatcher.submit("nap").result(20)
    assert ended.wait(20)
    assert dispatcher(1).result(20)[1] == 1


def test_a_call_that_is_cancelled_is_ended_there(caller, member, dispatch):
    began, ended = threading.Event(), threading.Event()

    async def nap():
        began.set()
        try:
            await asyncio.sleep(40)
        finally:
            ended.set()

    expose(caller, member, nap)
    dispatcher = dispatch(caller.live("compute"))
    future = dispatcher.submit("nap")
    assert began.wait(20)
    assert future.cancel()
    assert ended.wait(20)
    assert dispatcher(1).result(20)[1] == 1


# --- they come and go ---------------------------------------------------------------------------


def test_a_member_that_comes_later_gets_work(caller, join, dispatch):
    dispatcher = dispatch(caller.live("compute"), patience=40)
    future = dispatcher(1)
    member = join("compute", name="late")
    member.expose(lambda value: value + 1, name="work")
    assert future.result(30) == 2
    assert [each.name for each in dispatcher.servers] == ["late"]


def test_where_nobody_comes_tasks_are_given_up_after_a_while(caller, dispatch):
    dispatcher = dispatch(caller.live("compute"), patience=0.2)
    began = time.monotonic()
    with pytest.raises(NoWorkers, match=r"no server for 0\.2 s"):
        dispatcher(1).result(20)
    assert 0.15 < time.monotonic() - began < 10


def test_as_many_calls_as_a_member_says_are_open_at_once(caller, join, dispatch):
    holding = Holding()
    big = join("compute", name="big", props={"slots": 3})
    expose(caller, big, holding.hold)
    dispatcher = dispatch(caller.live("compute"))
    futures = [dispatcher.submit("hold", n) for n in range(5)]
    for _ in range(3):
        assert holding.begun.acquire(timeout=20)
    assert [each.running for each in dispatcher.servers] == [3]
    holding.end.set()
    assert [future.result(20) for future in futures] == list(range(5))
    assert holding.most == 3


@pytest.mark.parametrize("told", [0, -1, "many", 1_000_000, True, None])
def test_a_member_that_says_nonsense_of_its_slots_has_as_many_as_usual(
    caller, join, dispatch, told
):
    odd = join("compute", name="odd", props={"slots": told})
    expose(caller, odd, lambda: 1, "one")
    dispatcher = dispatch(caller.live("compute"), slots=2)
    assert [dispatcher.submit("one").result(20) for _ in range(3)] == [1, 1, 1]
    assert [len(place.slots) for place in dispatcher._engine.pool.places] == [2]


def test_a_member_that_is_no_longer_meant_finishes_what_it_has(caller, member, join, dispatch):
    holding = Holding()
    expose(caller, member, holding.hold)
    dispatcher = dispatch(caller.live("compute"))
    held = dispatcher.submit("hold", 1)
    assert holding.begun.acquire(timeout=20)
    other = join("compute", name="other")
    expose(caller, other, lambda: "other", "who")
    expose(caller, member, lambda: "member", "who")
    caller.wait_for_exposed("who", 2)
    until(lambda: len(dispatcher.servers) == 2)
    member.tags.remove("compute")
    until(lambda: len(caller.live("compute")) == 1)
    assert {dispatcher.submit("who").result(20) for _ in range(5)} == {"other"}
    holding.end.set()
    assert held.result(20) == 1
    until(lambda: [each.name for each in dispatcher.servers] == ["other"])


@pytest.mark.process
def test_a_task_of_a_member_that_is_killed_is_done_by_another(
    caller, talk, beacon_port, dispatch, tmp_path
):
    talkers = [talk(MEMBER, beacon_port, name) for name in ("a", "b")]
    pids = [talker.hear() for talker in talkers]
    caller.wait_for_exposed("work", 2)
    dispatcher = dispatch(caller.live("compute"))
    futures = [dispatcher(["hold", str(tmp_path / "open")]) for _ in range(2)]
    assert [talker.hear() for talker in talkers] == ["begun", "begun"]
    talkers[0].popen.kill()
    until(lambda: any(future.attempts for future in futures))
    (tmp_path / "open").touch()
    assert [future.result(20) for future in futures] == [pids[1]] * 2
    (lost,) = [future for future in futures if len(future.attempts) == 2]
    assert [(each.server, each.outcome) for each in lost.attempts] == [("a", "lost"), ("b", "done")]
    until(lambda: [each.name for each in dispatcher.servers] == ["b"])


@pytest.mark.process
def test_a_task_that_may_run_once_is_lost_with_its_member(
    caller, talk, beacon_port, dispatch, tmp_path
):
    talker = talk(MEMBER, beacon_port, "a")
    talker.hear()
    caller.wait_for_exposed("work")
    dispatcher = dispatch(caller.live("compute"), attempts=1, patience=0.5)
    future = dispatcher(["hold", str(tmp_path / "open")])
    assert talker.hear() == "begun"
    talker.popen.kill()
    with pytest.raises(WorkerLost, match="a: "):
        future.result(20)
    with pytest.raises(NoWorkers):
        dispatcher(["pid"]).result(20)


def test_when_our_own_cluster_leaves_tasks_end_with_an_error(beacon_port, member, dispatch):
    from meshcluster import Cluster

    with Cluster().join(port=beacon_port) as caller:
        caller.wait_for_exposed("work")
        dispatcher = dispatch(caller.live("compute"), patience=0.2)
        assert dispatcher(1).result(20)[1] == 1
    with pytest.raises(NoWorkers):
        dispatcher(2).result(20)
    dispatcher.close()


def test_a_loop_that_has_ended_is_an_error_too(beacon_port, member, dispatch):
    from meshcluster import AsyncCluster

    async def begin():
        async with AsyncCluster().join(port=beacon_port) as caller:
            await caller.wait_for_exposed("work")
            dispatcher = dispatch(caller.live("compute"), patience=0.2)
            assert (await dispatcher(1))[1] == 1
            return dispatcher

    dispatcher = asyncio.run(begin())
    with pytest.raises(NoWorkers):
        dispatcher(2).result(20)
    dispatcher.close()


# --- the end --------------------------------------------------------------------------------------


def test_closed_it_waits_for_calls_that_are_open(caller, member, dispatch):
    holding = Holding()
    expose(caller, member, holding.hold)
    dispatcher = dispatch(caller.live("compute"))
    held = dispatcher.submit("hold", 1)
    assert holding.begun.acquire(timeout=20)
    with pytest.raises(TimeoutError):
        held.result(0.01)
    dispatcher.shutdown(wait=False)
    holding.end.set()
    dispatcher.close()
    assert held.result(0) == 1


def test_closed_without_draining_calls_are_given_up(caller, member, dispatch):
    holding = Holding()
    expose(caller, member, holding.hold)
    dispatcher = dispatch(caller.live("compute"))
    held = dispatcher.submit("hold", 1)
    assert holding.begun.acquire(timeout=20)
    dispatcher.close(drain=False)
    assert "closed" in str(held.exception(0))
    holding.end.set()


def test_a_closed_one_and_a_forgotten_one_follow_the_mesh_no_longer(caller, member, dispatch):
    def watchers():
        return len(caller._cluster._hooks.hooks("service.changed"))

    before = watchers()
    for end in ("close", "shutdown"):
        dispatcher = dispatch(caller.live("compute"))
        assert dispatcher(1).result(20)
        assert watchers() == before + 1
        getattr(dispatcher, end)()
        assert watchers() == before
    dispatcher = Dispatcher(caller.live("compute"))
    assert dispatcher(1).result(20)
    del dispatcher

    def forgotten():
        gc.collect()
        return watchers() == before

    until(forgotten)
