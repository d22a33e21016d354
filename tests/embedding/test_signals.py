"""The host's signals and other globals are its own; its ways to end all lead to a goodbye."""

import signal
import sys
import threading

import pytest

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals"),
]

GLOBALS = """
import builtins, gc, importlib, logging, locale, multiprocessing, random, socket, warnings

def snapshot():
    mask = os.umask(0)
    os.umask(mask)
    wakeup = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(wakeup)
    return {
        "signals": [signal.getsignal(each) for each in sorted(signal.valid_signals())],
        "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "wakeup": wakeup,
        "timer": signal.getitimer(signal.ITIMER_REAL),
        "logging": [logging.root.handlers[:], logging.root.level, logging.root.manager.disable,
                    logging.getLoggerClass(), logging.lastResort, logging.raiseExceptions,
                    [l for n, l in logging.root.manager.loggerDict.items()
                     if getattr(l, "handlers", None) or getattr(l, "level", 0)]],
        "policy": type(asyncio.get_event_loop_policy()),
        "switch": sys.getswitchinterval(),
        "hooks": [sys.excepthook, sys.unraisablehook, sys.displayhook, threading.excepthook,
                  sys.gettrace(), sys.getprofile(), threading.gettrace(),
                  sys.get_asyncgen_hooks(), sys.breakpointhook],
        "umask": mask, "cwd": os.getcwd(), "environ": dict(os.environ),
        "warnings": warnings.filters[:], "showwarning": warnings.showwarning,
        "gc": [gc.isenabled(), gc.get_threshold(), gc.callbacks[:], gc.get_debug()],
        "recursion": sys.getrecursionlimit(), "path": sys.path[:], "argv": sys.argv[:],
        "meta path": sys.meta_path[:], "path hooks": sys.path_hooks[:],
        "streams": [sys.stdin, sys.stdout, sys.stderr],
        "random": random.getstate(), "locale": locale.setlocale(locale.LC_ALL),
        "socket": [socket.getdefaulttimeout(), socket.socket, socket.getaddrinfo],
        "start method": multiprocessing.get_start_method(allow_none=True),
        "stack size": threading.stack_size(), "builtins": sorted(vars(builtins)),
    }

"""


@pytest.mark.parametrize("face", ["blocking", "async"])
def test_no_global_of_the_host_is_touched(start, watcher, face):
    using = """
        cluster.hook("query")(lambda question: "answer")
        cluster.tags.append("x")
        same("hooks and tags")
"""
    blocking = f"""
with meshcluster.join(port=PORT) as cluster:
        same("join")
        {using.strip()}
        cluster.wait_for_services()
        cluster.broadcast("x")
        cluster.query().wait()
        same("use")
same("leave")
"""
    asynchronous = f"""
async def main():
    global before
    before = snapshot()  # what asyncio itself sets is there
    async with AsyncCluster().join(port=PORT) as cluster:
        same("join")
        {using.strip()}
        await cluster.wait_for_services()
        await cluster.broadcast("x")
        await cluster.query()
        same("use")
    same("leave")
run(main())
"""
    process = start(
        f"""
for name in [name for name in sys.modules if name.startswith("meshcluster")]:
    del sys.modules[name]
{GLOBALS}
if {face == "async"} and sys.argv[2] == "uvloop":
    import uvloop
before = snapshot()

def same(when):
    now = snapshot()
    tell(when, [key for key in before if before[key] != now[key]])

import meshcluster
from meshcluster import AsyncCluster
same("import")
"""
        + (blocking if face == "blocking" else asynchronous)
    )
    for when in ("import", "join", "hooks and tags", "use", "leave"):
        assert process.hear() == [when, []]
    process.ends()


BUSY = {
    "working": "while True: sum(range(1000))",
    "sending": "while True: cluster.send(b'x', resolve='watcher')",
    "asking": "while True: cluster.query('x', resolve='watcher').wait()",
    "waiting for an answer": "cluster.query('x', resolve='watcher').wait()",
    "waiting for members": "cluster.wait_for_services(99, timeout=99)",
    "running for ever": "cluster.run_forever()",
    "logging": """
import logging
logging.basicConfig(level=logging.INFO, stream=open(os.devnull, "w"))
while True: logging.info("x")
""",
}


@pytest.fixture
def unanswered():
    """What a question waits for that gets no answer during the test."""
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.parametrize("way", ["sys.exit()", "cluster.leave(); sys.exit()", "cluster.leave()"])
@pytest.mark.parametrize("busy", BUSY)
def test_the_hosts_own_sigterm_handler_leads_to_a_goodbye(start, watcher, unanswered, busy, way):
    if busy == "waiting for an answer":
        watcher.cluster.hook("query")(lambda question: unanswered.wait(20))
    else:
        watcher.cluster.hook("query")(lambda question: "x")
    process = start(f"""
cluster = join(name="daemon")

def terminate(number, frame):
    {way}

signal.signal(signal.SIGTERM, terminate)
cluster.wait_for_services()
tell("runs")
try:
    exec({BUSY[busy]!r})
except NotJoined:
    pass  # as the handler wished
except Exception as error:
    if "cluster.leave()" not in {way!r}:
        raise
""")
    assert process.hear() == ["runs"]
    watcher.hears("discovered", "daemon")
    process.popen.send_signal(signal.SIGTERM)
    if way == "cluster.leave()" and busy in ("working", "logging"):
        assert watcher.loses("daemon") == "left"
        return  # works on, without us
    assert watcher.loses("daemon") == "left"
    process.ends()


@pytest.mark.parametrize(
    "way",
    [
        "loop.add_signal_handler(signal.SIGTERM, stopping.set)",
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit())",
    ],
)
def test_an_async_daemon_that_is_terminated_has_left(start, watcher, way):
    process = start(f"""
async def main():
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    {way}
    async with AsyncCluster().join(name="daemon", port=PORT) as cluster:
        await cluster.wait_for_services()
        tell("runs")
        await stopping.wait()

run(main())
""")
    assert process.hear() == ["runs"]
    watcher.hears("discovered", "daemon")
    process.popen.send_signal(signal.SIGTERM)
    assert watcher.loses("daemon") == "left"
    process.ends()


@pytest.mark.parametrize("end", ["", "sys.exit()", "raise SystemExit", "loop.close()"])
def test_an_async_daemon_that_ends_without_leaving_has_left(start, watcher, end):
    process = start(f"""
loop = asyncio.new_event_loop()
cluster = AsyncCluster()
loop.run_until_complete(cluster.join(name="daemon", port=PORT).__aenter__())
loop.run_until_complete(cluster.wait_for_services())
loop.run_until_complete(cluster.query())
tell("runs")
told()
{end}
""")
    assert process.hear() == ["runs"]
    watcher.hears("discovered", "daemon")
    process.say()
    assert watcher.loses("daemon") == "left"
    assert process.popen.wait(20) == 0


def test_asyncio_run_that_ends_without_leaving_has_left(start, watcher):
    process = start("""
async def main():
    cluster = await AsyncCluster().join(name="daemon", port=PORT)
    await cluster.wait_for_services()
    await asyncio.to_thread(told)

run(main())
""")
    watcher.hears("discovered", "daemon")
    process.say()
    assert watcher.loses("daemon") == "left"
    assert process.popen.wait(20) == 0


@pytest.mark.parametrize("raises", ["", "sys.exit()"], ids=["returns", "raises"])
def test_a_handler_may_leave_whatever_it_interrupts(start, raises):
    """Alarms at random times while the main thread does all it can do; none of them hangs."""
    process = start(f"""
import faulthandler, random
faulthandler.dump_traceback_later(45, exit=True)
chance = random.Random(1)
with join("peer", answer=lambda question: question.data) as peer:
    peer.hook("event")(lambda message: None)
    cluster, alarms, longest = Cluster(), 0, 0.0

    def alarm(number, frame):
        global alarms
        alarms += 1
        cluster.leave()
        {raises}

    signal.signal(signal.SIGALRM, alarm)
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        began = time.monotonic()
        try:
            signal.setitimer(signal.ITIMER_REAL, chance.choice((0.001, 0.003, 0.01, 0.03)))
            with cluster.join(port=PORT):
                cluster.wait_for_services(resolve="peer")
                while time.monotonic() < began + 0.2:  # an alarm before the join ends nothing
                    cluster.send(b"x", resolve="peer")
                    cluster.query("x", resolve="peer").wait()
                    cluster.dropped
                    cluster.hook("event")(print)
                    cluster.unhook(print)
        except (meshcluster.ClusterError, TimeoutError, SystemExit):
            pass
        signal.setitimer(signal.ITIMER_REAL, 0)
        cluster.leave()
        longest = max(longest, time.monotonic() - began)
    faulthandler.cancel_dump_traceback_later()
    names = sorted(thread.name for thread in threading.enumerate())
    tell(alarms, longest, names.count("meshcluster"))
""")
    alarms, longest, threads = process.hear(55)
    assert alarms > 10
    assert longest < 2  # milliseconds; a wait that only a limit ended would show
    assert threads == 1
    if raises:  # where an exception cannot get out, as in __del__, Python reports it
        assert process.popen.wait(20) == 0
    else:
        process.ends()
