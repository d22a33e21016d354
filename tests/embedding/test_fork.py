"""A forked child: it has no part in its parent's members, and may have members of its own."""

import os
import socket
import sys
import threading
from contextlib import closing

import pytest

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork"),
]

FORK = """
def forks(child):
    '''Runs a function in a child, which then ends as a program does; waits for that.'''
    if (pid := os.fork()) == 0:
        child()
        sys.exit(0)
    assert os.waitpid(pid, 0)[1] == 0

def refused(*functions):
    '''The numbers of those that do not say whose cluster it is.'''
    wrong = []
    for number, function in enumerate(functions):
        try:
            function()
        except ForkedClusterError as error:
            assert "new Cluster in the child" in str(error)
        else:
            wrong.append(number)
    return wrong

def awaited(make):
    return lambda: asyncio.run(make())
"""


@pytest.fixture
def answer(watcher):
    """The watcher answers questions once this is set."""
    allowed = threading.Event()
    watcher.cluster.hook("query")(lambda question: allowed.wait(20) and "answer")
    yield allowed
    allowed.set()


def test_every_handle_of_a_blocking_cluster_refuses_in_the_child(start, watcher, answer):
    process = start(
        FORK
        + """
cluster = Cluster()
cluster.join(["parent"], name="parent", port=PORT)
service, = cluster.wait_for_services()
query = cluster.query("slow")
tags = cluster.tags

def child():
    tell("refused", refused(
        lambda: cluster.join(port=PORT), lambda: cluster.services, lambda: cluster.tags[0],
        lambda: cluster.tags.append("x"), lambda: tags.replace([]), lambda: list(tags),
        lambda: cluster.resolve("x"), lambda: cluster.dropped, cluster.wait_for_services,
        lambda: cluster.send(1, services=(service,)), lambda: cluster.send(1, resolve="watcher"),
        lambda: cluster.broadcast(1), cluster.query, cluster.run_forever, query.wait,
        lambda: list(query), lambda: cluster.hook("event")(print), lambda: cluster.unhook(print),
    ))
    query.cancel()
    with query, cluster:
        cluster.leave()

forks(child)
tell("parent", list(query.wait(20).values()), list(tags))
told()
"""
    )
    watcher.hears("discovered", "parent")
    assert process.hear() == ["refused", []]
    answer.set()
    assert process.hear() == ["parent", ["answer"], ["parent"]]
    assert watcher.heard.empty()
    process.say()
    assert watcher.loses("parent") == "left"
    process.ends()


def test_every_handle_of_an_async_cluster_refuses_in_the_child(start, watcher, answer):
    process = start(
        FORK
        + """
async def main():
    cluster = AsyncCluster()
    await cluster.join(["parent"], name="parent", port=PORT)
    service, = await cluster.wait_for_services()
    query = cluster.query("slow")
    waiting = asyncio.create_task(query.wait())
    await asyncio.sleep(0)
    if (pid := os.fork()) == 0:
        async def leave():
            async with cluster:
                await cluster.leave()
        tell("refused", refused(
            awaited(lambda: cluster.join(port=PORT)), lambda: cluster.services,
            lambda: cluster.tags[0], lambda: cluster.tags.append("x"),
            lambda: cluster.resolve("x"), lambda: cluster.dropped,
            awaited(cluster.wait_for_services),
            awaited(lambda: cluster.send(1, services=(service,))),
            awaited(lambda: cluster.send(1, resolve="watcher")),
            awaited(lambda: cluster.broadcast(1)), cluster.query, awaited(cluster.run_forever),
            awaited(query.wait), lambda: cluster.hook("event")(print),
            lambda: cluster.unhook(print),
        ))
        asyncio.run(leave())
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    tell("parent", list((await waiting).values()), list(cluster.tags))
    await asyncio.to_thread(told)
    await cluster.leave()

run(main())
"""
    )
    watcher.hears("discovered", "parent")
    assert process.hear() == ["refused", []]
    answer.set()
    assert process.hear() == ["parent", ["answer"], ["parent"]]
    assert watcher.heard.empty()
    process.say()
    assert watcher.loses("parent") == "left"
    process.ends()


@pytest.mark.parametrize(
    "child",
    ["os._exit(0)", "gc.collect()", "cluster.leave()", "cluster.__exit__(None, None, None)"],
    ids=["gone at once", "an ordinary exit", "leaves", "ends its with"],
)
def test_the_parent_is_not_disturbed_however_a_child_ends(start, watcher, child):
    process = start(
        FORK
        + f"""
import multiprocessing
parent = os.getpid()
cluster = join(name="parent", answer=lambda question: os.getpid() == parent)

def child():
    {child}

told()
forks(child)
spawned = multiprocessing.get_context("fork").Process(target=child)
spawned.start()
spawned.join()
assert spawned.exitcode == 0
tell("forked")
late = join(name="late")
cluster.wait_for_services(2)  # its epoll set still tells of beacons
told()
late.leave()
cluster.leave()
"""
    )
    watcher.hears("discovered", "parent")
    assert watcher.ask("linked", "parent") is True
    process.say()
    assert process.hear() == ["forked"]
    watcher.hears("discovered", "late")
    assert watcher.ask("still there?", "parent") is True
    assert watcher.heard.empty()
    process.say()
    assert watcher.loses("late") == watcher.loses("parent") == "left"
    process.ends()


@pytest.mark.parametrize("linked", [True, False], ids=["linked", "not linked"])
@pytest.mark.parametrize("face", ["blocking", "async"])
def test_a_living_child_does_not_make_a_killed_parent_look_alive(
    start, watcher, soon, runtime_dir, linked, face
):
    forking = """
    if (pid := os.fork()) == 0:
        tell("child", os.getpid())
        told()  # shares the parent's stdin, and reads on when that is dead
        os._exit(0)
"""
    if face == "blocking":
        main = f"""
cluster = join(name="parent", answer=lambda question: "here")
told()
if True:{forking}
told()
time.sleep(60)
"""
    else:
        main = f"""
async def main():
    cluster = await AsyncCluster().join(name="parent", port=PORT)
    cluster.hook("query")(lambda question: "here")
    await asyncio.to_thread(told){forking}
    await asyncio.sleep(60)
run(main())
"""
    process = start(main)
    watcher.hears("discovered", "parent")
    if linked:
        assert watcher.ask("x", "parent") == "here"
    process.say()
    _, child = process.hear()
    (service,) = watcher.cluster.services
    (name,) = [e.props["name"] for e in service.endpoints if e.scheme == "unix"]
    process.popen.kill()
    assert watcher.loses("parent") == "crashed"
    with closing(socket.socket(socket.AF_UNIX)) as caller, pytest.raises(ConnectionRefusedError):
        caller.connect(str(runtime_dir / name))
    os.kill(child, 0)  # lives all the time
    os.kill(child, 9)
    soon(lambda: not os.path.exists(f"/proc/{child}"))


def test_a_child_holds_no_socket_and_no_lock_of_a_member(start, watcher):
    process = start("""
def shared():
    return [name for name in open_files() if name.startswith("socket:") or name.endswith(".lock")]

async def main():
    before = shared()
    async with AsyncCluster().join(name="parent", port=PORT) as cluster:
        await cluster.wait_for_services()
        await cluster.query()
        assert len(shared()) - len(before) >= 6  # two of UDP, two listeners, a lock, a link
        if (pid := os.fork()) == 0:
            tell(shared() == before)
            os._exit(0)
        os.waitpid(pid, 0)
run(main())
""")
    assert process.hear() == [True]
    process.ends()


def test_children_of_a_prefork_server_join_the_cluster_that_was_made_before(start, watcher):
    process = start("""
cluster = Cluster()
cluster.hook("query")(lambda question: os.getpid())
children = []
for number in range(3):
    if (pid := os.fork()) == 0:
        cluster.join(name=f"worker-{number}", port=PORT)
        cluster.wait_for_services(3)
        tell("complete", os.getpid())
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        signal.pause()
    children.append(pid)
assert sorted(watched[1] for watched in [json.loads(told()) for _ in children]) == children
for pid in children:
    os.kill(pid, signal.SIGTERM)
for pid in children:
    assert os.waitpid(pid, 0)[1] == 0
tell("all ended")
""")
    discovered = {watcher.heard.get(timeout=20) for _ in range(3)}
    assert discovered == {("discovered", f"worker-{number}") for number in range(3)}
    completed = [process.hear() for _ in range(3)]
    answers = watcher.cluster.query().wait(20)
    assert sorted(answers.values()) == sorted(pid for _, pid in completed)
    for told in completed:
        process.say(f'["complete", {told[1]}]')
    assert process.hear() == ["all ended"]
    assert {watcher.heard.get(timeout=20) for _ in range(3)} == {
        ("lost", f"worker-{number}") for number in range(3)
    }
    assert set(watcher.reasons.values()) == {"left"}
    process.ends()


def test_a_child_of_a_member_may_have_a_member_of_its_own(start, watcher):
    process = start("""
inherited = join(name="parent", protocols=["memory", "unix"])
told()
if (pid := os.fork()) == 0:
    with Cluster().join(name="child", port=PORT, protocols=["memory", "unix"]) as cluster:
        assert {s.name for s in cluster.wait_for_services(2)} == {"parent", "watcher"}
        inherited.hook
        cluster.query("x", resolve="parent").wait(20)  # not by the memory of the other process
    sys.exit()
inherited.hook("query")(lambda question: "answer")
assert os.waitpid(pid, 0)[1] == 0
tell("ended")
told()
""")
    watcher.hears("discovered", "parent")
    process.say()
    watcher.hears("discovered", "child")
    assert watcher.loses("child") == "left"
    assert process.hear() == ["ended"]
    process.say()
    assert watcher.loses("parent") == "left"
    process.ends()


@pytest.mark.parametrize("point", ["event", "query", "receive"])
def test_a_hook_that_forks_and_returns_goes_on_in_the_parent_only(start, watcher, point):
    process = start(f"""
import logging
logging.getLogger("meshcluster").setLevel(logging.ERROR)  # it does take long
cluster = join(name="parent")
parent = os.getpid()
seen = []

@cluster.hook("{point}")
def hook(message):
    seen.append(message.data)
    if message.data == "fork":
        if (pid := os.fork()) == 0:
            return None
        tell("child ended", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    else:
        tell("next")
    return message if "{point}" == "receive" else "answer"

tell("placed")
told()
tell(seen, os.getpid() == parent)
cluster.leave()
""")
    watcher.hears("discovered", "parent")
    assert process.hear() == ["placed"]
    for data in ("fork", "next"):
        if point == "query":
            assert watcher.ask(data, "parent") == "answer"
        else:
            watcher.cluster.send(data, resolve="parent")
        assert process.hear() == (["child ended", 0] if data == "fork" else ["next"])
    process.say()
    assert process.hear() == [["fork", "next"], True]
    assert watcher.loses("parent") == "left"
    process.ends()


def test_children_forked_while_threads_join_and_leave_hang_in_nothing(start):
    process = start("""
stop = threading.Event()
clusters = [Cluster() for _ in range(3)]

def join_and_leave(cluster):
    while not stop.is_set():
        with cluster.join(port=PORT):
            cluster.query()

threads = [threading.Thread(target=join_and_leave, args=(cluster,)) for cluster in clusters]
for thread in threads:
    thread.start()
for number in range(30):
    if (pid := os.fork()) == 0:
        signal.alarm(20)
        for cluster in clusters:
            cluster.leave()
            try:
                cluster.services
            except (ForkedClusterError, NotJoined):
                pass
            try:
                if number % 4 == 0:
                    cluster.join(port=PORT).leave()
            except ForkedClusterError:
                pass
        sys.exit()
    assert os.waitpid(pid, 0)[1] == 0, number
stop.set()
for thread in threads:
    thread.join()
tell("done")
""")
    assert process.hear(50) == ["done"]
    process.ends()


@pytest.mark.skipif(sys.platform != "linux", reason="epoll")
def test_why_a_child_only_closes_a_reader_that_it_removes_is_removed_in_the_parent(start):
    process = start("""
import socket
async def main():
    loop, heard = asyncio.get_running_loop(), asyncio.Event()
    here, there = socket.socketpair()
    loop.add_reader(here, heard.set)
    await asyncio.sleep(0.01)
    if (pid := os.fork()) == 0:
        loop.remove_reader(here)
        os._exit(0)
    os.waitpid(pid, 0)
    there.send(b"x")
    try:
        await asyncio.wait_for(heard.wait(), 0.5)
        tell("heard")
    except TimeoutError:
        tell("deaf")
asyncio.run(main())
""")
    assert process.hear() == ["deaf"]
