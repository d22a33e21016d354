"""Programs that have better things to do than to be members, and are members all the same."""

import os
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.process


def test_an_asyncio_daemon_works_and_answers(start, watcher):
    process = start("""
async def main():
    cluster, worked = AsyncCluster(), 0

    @cluster.hook("query")
    async def answer(question):
        await asyncio.sleep(0)
        return worked

    @cluster.hook("event")
    async def event(message):
        if message.data == "stop":
            await cluster.leave()

    async with cluster.join(name="daemon", port=PORT):
        forever = asyncio.create_task(cluster.run_forever())
        while not forever.done():
            worked += 1
            await asyncio.sleep(0)
    tell("stopped")

run(main())
""")
    watcher.hears("discovered", "daemon")
    assert watcher.ask("how far?", "daemon") < watcher.ask("how far?", "daemon")
    watcher.cluster.send("stop", resolve="daemon")
    assert watcher.loses("daemon") == "left"
    assert process.hear() == ["stopped"]
    process.ends()


def test_a_threaded_daemon_whose_main_thread_never_rests_answers_and_stays(start, watcher):
    process = start("""
stop = False

def terminate(*_):
    global stop
    stop = True

signal.signal(signal.SIGTERM, terminate)
worked = 0
answer = lambda question: worked
with join(name="daemon", heartbeat_seconds=0.2, expire_seconds=2, answer=answer):
    while not stop:
        worked += 1
tell("stopped")
""")
    watcher.hears("discovered", "daemon")
    first = watcher.ask("how far?", "daemon")
    end = time.monotonic() + 3  # longer than it could stay unheard
    while time.monotonic() < end:
        watcher.ask("there?", "daemon")
    assert watcher.ask("how far?", "daemon") > first
    assert watcher.heard.empty()
    process.popen.terminate()
    assert watcher.loses("daemon") == "left"
    assert process.hear() == ["stopped"]
    process.ends()


def test_two_members_in_one_process_are_two(start, watcher):
    process = start("""
async def both():
    async with AsyncCluster().join(name="async", port=PORT) as other:
        other.hook("query")(lambda question: "async")
        cluster = join(name="blocking", answer=lambda question: "blocking")
        names = await other.wait_for_services(2)
        here = await asyncio.to_thread(cluster.wait_for_services, 2)
        answers = await asyncio.to_thread(cluster.query("x", resolve="async").wait)
        back = await other.query("x", resolve="blocking")
        tell(sorted(s.name for s in names), sorted(s.name for s in here))
        tell(*answers.values(), *back.values())
        await asyncio.to_thread(told)
        await asyncio.to_thread(cluster.leave)

run(both())
""")
    assert process.hear() == [["blocking", "watcher"], ["async", "watcher"]]
    assert process.hear() == ["async", "blocking"]
    assert watcher.ask("x", "async") == "async"
    assert watcher.ask("x", "blocking") == "blocking"
    process.say()
    process.ends()
    assert watcher.reasons == {"async": "left", "blocking": "left"}


def test_meshes_are_kept_apart_by_their_names_in_a_process_and_across(start):
    script = """
def member(mesh):
    cluster = join(name=f"{me}-{mesh}", cluster=mesh)
    cluster.hook("event")(lambda message: heard[mesh].put(message.data))
    return cluster

me, meshes = told(), ("red", "blue", "default")
heard = {mesh: queue.SimpleQueue() for mesh in meshes}
members = {mesh: member(mesh) for mesh in meshes}
for mesh, cluster in members.items():
    others = [service.name for service in cluster.wait_for_services()]
    cluster.broadcast(f"from {me} in {mesh}")
    tell(mesh, others)
first = {mesh: heard[mesh].get(timeout=20) for mesh in meshes}
told()
for mesh, cluster in members.items():
    cluster.leave()  # its hooks have taken what came
    tell(mesh, [first[mesh], *(heard[mesh].get() for _ in range(heard[mesh].qsize()))])
"""
    processes = {name: start(script) for name in ("one", "two")}
    for name, process in processes.items():
        process.say(name)
    for name, other in (("one", "two"), ("two", "one")):
        for mesh in ("red", "blue", "default"):
            assert processes[name].hear() == [mesh, [f"{other}-{mesh}"]]
    for name, other in (("one", "two"), ("two", "one")):
        processes[name].say()
        for mesh in ("red", "blue", "default"):
            assert processes[name].hear() == [mesh, [f"from {other} in {mesh}"]]
        processes[name].ends()


FAILURES = {
    "no such protocol": ("PluginError", 'protocols=["unix", "tcp", "nonsense"]'),
    "a wrong option": ("ConfigError", 'protocol_options={"tcp": {"nonsense": 1}}'),
    "the TCP port is taken": ("ConfigError", 'protocol_options={"tcp": {"port": taken}}'),
    "the beacon port is taken": ("ConfigError", "port=robbed"),
    "no such group": ("ConfigError", 'address="10.0.0.1"'),
    "too much to say": ("MessageTooLarge", 'props={"x": "x" * 70000}'),
    "a wrong setting": ("ConfigError", "heartbeat_seconds=-1"),
    "a handler that breaks": ("ZeroDivisionError", 'protocols=["unix", "broken"]'),
    "a handler that breaks late": ("ZeroDivisionError", 'protocols=["unix", "tcp", "late"]'),
}


@pytest.mark.parametrize("face", ["blocking", "async"])
def test_a_join_that_fails_leaves_nothing_behind(start, runtime_dir, face):
    process = start(f"""
import socket
from meshcluster.protocols import registry

class Broken:
    scheme, local_only = "broken", True
    def __init__(self, context):
        1 / 0

class Late:
    scheme, local_only = "late", True
    def __init__(self, context):
        pass
    async def listen(self, accept):
        await asyncio.sleep(0.01)
        1 / 0
    async def close(self):
        tell("closed")

registry.BUILT_IN.update(broken="__main__:Broken", late="__main__:Late")
taker = socket.create_server(("127.0.0.1", 0))
taken = taker.getsockname()[1]
robber = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
robber.bind(("", 0))
robbed = robber.getsockname()[1]

def held():
    files = [name for _, _, found in os.walk({str(runtime_dir)!r}) for name in found]
    tasks = len(asyncio.all_tasks(loop)) if loop else 0
    return open_files(), sorted(map(str, threading.enumerate())), files, tasks

def attempt(settings):
    settings = {{"port": PORT, **settings}}
    if loop is None:
        return lambda: Cluster().join(**settings)
    return lambda: loop.run_until_complete(AsyncCluster().join(**settings).__aenter__())

if {face == "async"}:
    loop = asyncio.new_event_loop()
    if sys.argv[2] == "uvloop":
        import uvloop
        loop.close()
        loop = uvloop.new_event_loop()
else:
    loop = None
try:
    attempt({{"protocols": ["unix", "tcp", "nonsense"]}})()
except meshcluster.PluginError:
    pass  # what is loaded once is there now
gc.collect()
for name, (error, settings) in {FAILURES!r}.items():
    before = held()
    try:
        attempt(eval(f"dict({{settings}})"))()
    except Exception as found:
        assert type(found).__name__ == error, (name, found)
    else:
        raise AssertionError(name)
    gc.collect()
    tell(name, held() == before)
if loop:
    async def cancelled(turns):
        task = asyncio.ensure_future(AsyncCluster().join(port=PORT).__aenter__())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        try:
            cluster = await task
        except asyncio.CancelledError:
            return False
        await cluster.leave()
        return True
    before, turns = held(), 0
    while not loop.run_until_complete(cancelled(turns)):
        turns += 1
        gc.collect()
        assert held() == before, turns
    tell("cancelled at every turn", held() == before)
    loop.close()
""")
    for name in FAILURES:
        if name.endswith("late"):
            assert process.hear() == ["closed"]
        assert process.hear() == [name, True]
    if face == "async":
        assert process.hear() == ["cancelled at every turn", True]
    process.ends()


def test_top_level_await_works_as_in_a_notebook(watcher, beacon_port):
    lines = f"""
import asyncio, meshcluster
cluster = meshcluster.AsyncCluster()
cluster = await cluster.join(name="notebook", port={beacon_port})
(service,) = await cluster.wait_for_services()
print("found", service.name)
print("answers", list((await cluster.query("x", resolve="watcher")).values()))
hook = cluster.hook("query")(lambda question: "from a cell")
print("tags", cluster.tags.append("x"), list(cluster.tags))
await asyncio.sleep(60)
"""
    watcher.cluster.hook("query")(lambda question: "from a daemon")
    notebook = subprocess.Popen(
        [sys.executable, "-m", "asyncio"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        notebook.stdin.write(lines)
        notebook.stdin.flush()
        watcher.hears("discovered", "notebook")
        assert watcher.ask("x", "notebook") == "from a cell"
        out = [notebook.stdout.readline() for _ in range(3)]
    finally:
        notebook.kill()
        _, log = notebook.communicate()
    assert "found watcher" in out[0]
    assert "answers ['from a daemon']" in out[1]
    assert "tags None ['x']" in out[2]
    assert "Error" not in log


def test_a_notebook_that_ends_has_left(watcher, beacon_port):
    lines = f"""
import meshcluster
cluster = await meshcluster.AsyncCluster().join(name="notebook", port={beacon_port})
_ = await cluster.wait_for_services()
"""
    done = subprocess.run(
        [sys.executable, "-m", "asyncio"],
        input=lines, capture_output=True, text=True, timeout=20, check=True,
    )  # fmt: skip
    watcher.hears("discovered", "notebook")
    assert watcher.loses("notebook") == "left"
    assert "Error" not in done.stderr


@pytest.mark.parametrize("face", ["blocking", "async"])
def test_leaving_twice_in_a_hook_and_joining_again(start, watcher, face):
    blocking = """
cluster = Cluster()
cluster.hook("event")(lambda message: (cluster.leave(), cluster.leave(), left.set()))
for number in range(3):
    left = threading.Event()
    cluster.join(name=f"daemon-{number}", port=PORT)
    cluster.run_forever()
    assert left.wait(20)
    cluster.leave()
    cluster.leave()
tell("done")
"""
    asynchronous = """
async def main():
    cluster = AsyncCluster()

    @cluster.hook("event")
    async def event(message):
        await cluster.leave()
        await cluster.leave()
        left.set()

    for number in range(3):
        left = asyncio.Event()
        async with cluster.join(name=f"daemon-{number}", port=PORT):
            await cluster.run_forever()
            await left.wait()
            await asyncio.gather(cluster.leave(), cluster.leave())
        await cluster.leave()
    tell("done")

run(main())
"""
    process = start(blocking if face == "blocking" else asynchronous)
    for number in range(3):
        watcher.hears("discovered", f"daemon-{number}")
        watcher.cluster.send("leave", resolve=f"daemon-{number}")
        assert watcher.loses(f"daemon-{number}") == "left"
    assert process.hear() == ["done"]
    process.ends()


def test_several_may_leave_at_once_and_all_wait_for_the_end(start, watcher):
    process = start("""
cluster = join(name="daemon")
cluster.wait_for_services()
told()

def leave():
    cluster.leave()
    try:
        cluster.services
    except NotJoined:
        ended.append(threading.active_count())

ended = []
threads = [threading.Thread(target=leave) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
tell(len(ended), threading.active_count())

async def main():
    cluster = await AsyncCluster().join(name="async", port=PORT)
    await cluster.wait_for_services()
    first = asyncio.create_task(cluster.leave())
    await asyncio.sleep(0)
    first.cancel()  # it says goodbye nevertheless
    await cluster.leave()
    tell(first.done() or bool(await asyncio.wait([first])))

run(main())
""")
    watcher.hears("discovered", "daemon")
    process.say()
    assert watcher.loses("daemon") == "left"
    assert process.hear() == [8, 1]
    watcher.hears("discovered", "async")
    assert watcher.loses("async") == "left"
    assert process.hear() == [True]
    process.ends()


def test_what_a_dead_process_left_is_gone_after_the_next_join(start, watcher, runtime_dir):
    process = start("""
cluster = join(name="victim")
time.sleep(60)
""")
    watcher.hears("discovered", "victim")
    assert len(list(runtime_dir.glob("*/*.sock"))) == 6  # of two: unix, zeromq, to be met
    process.popen.kill()
    watcher.loses("victim")
    next_process = start("""
with join(name="next"):
    told()
""")
    watcher.hears("discovered", "next")
    assert len(list(runtime_dir.glob("*/*.sock"))) == 6  # of two: unix, zeromq, to be met
    next_process.say()
    next_process.ends()
    watcher.hears("lost", "next")
    assert sorted(os.path.splitext(p)[1] for p in runtime_dir.glob("*/*")) == [
        *3 * [".lock"],
        *3 * [".sock"],
    ]
