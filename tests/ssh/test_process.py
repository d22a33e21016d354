"""A worker's process is heard from its hello to its end, whatever it does, and leaves nothing."""

import asyncio
import os
import signal
import sys
import threading
import time

import psutil
import pytest

from meshcluster.ssh import process as process_module
from meshcluster.ssh.far import framing
from meshcluster.ssh.far.framing import Frame
from meshcluster.ssh.process import NOISE_BYTES, STDERR_BYTES, Process

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="the programs here are POSIX's"),
]
SECONDS = 30

HELLO = r"""
import os, sys, time, signal
def say(data): os.write(1, data)
def hello(told=b'{"pid": %d}'):
    told = told.replace(b"%d", b"%d" % os.getpid())
    say(b"meshcluster-worker 1 %d\n%s" % (len(told), told))
"""


class Owner:
    """Keeps what it is told, in its order."""

    def __init__(self):
        self.hellos = []
        self.frames = []
        self.ends = []
        self.done = asyncio.Event()
        self.news = threading.Event()
        self._loop = asyncio.get_running_loop()

    def greeted(self, hello):
        self.hellos.append(hello)
        self.news.set()

    def came(self, frames):
        assert not self.ends, "it was over"
        self.frames += frames
        self.news.set()

    def over(self, reason, stderr):
        self.ends.append((reason, stderr))
        self.done.set()

    async def until(self, condition):
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < deadline, (self.hellos, self.frames[:9], self.ends)
            await asyncio.sleep(0.005)


@pytest.fixture
async def started():
    """``started(code)`` runs a program of Python; ``argv=`` is any."""
    processes = []

    async def started(code="", *, argv=None, first=b"", body_bytes=1 << 20):
        owner = Owner()
        process = Process(owner, asyncio.get_running_loop(), body_bytes)
        process.owner = owner
        await process.start(argv or [sys.executable, "-c", HELLO + code], first)
        processes.append(process)
        return process

    yield started
    for process in processes:
        process.end(politely=False)
        await asyncio.wait_for(process.exited.wait(), SECONDS)
        await asyncio.wait_for(process.owner.done.wait(), SECONDS)
        assert len(process.owner.ends) == 1


async def over(process):
    """How it ended, and the last of its standard error."""
    await asyncio.wait_for(process.owner.done.wait(), SECONDS)
    return process.owner.ends[0]


# --- what it says -------------------------------------------------------------------------------


async def test_its_hello_is_told_and_then_frames(started):
    process = await started(
        'hello(b\'{"pid": 5, "host": "h", "python": "3.8.1", "serializer": "s",'
        ' "callback": false, "types": ["t"], "pings": false}\')\n'
        "say(b'out 3 2\\nhidone 3 1 7\\nN')"
    )
    assert await over(process) == ("ended with exit status 0", "")
    (hello,) = process.owner.hellos
    assert hello == (5, "h", "3.8.1", "s", False, ("t",), False)
    assert process.owner.frames == [Frame(b"out", 3, b"hi", 0), Frame(b"done", 3, b"N", 7)]


async def test_a_hello_may_say_nothing(started):
    process = await started("hello(b'{}')")
    await over(process)
    assert process.owner.hellos == [(0, "", "", "", True, (), True)]


async def test_what_a_login_shell_says_before_is_skipped(started):
    process = await started(
        "say(b'Welcome to w1\\nrun 1 5\\nmeshcluster-\\xff\\n'); hello(); say(b'pong 1 0\\n')"
    )
    await over(process)
    assert len(process.owner.hellos) == 1
    assert process.owner.frames == [Frame(b"pong", 1, b"", 0)]


async def test_a_hello_may_come_byte_by_byte(started):
    process = await started(
        "for byte in b'noise\\nmeshcluster-worker 1 2\\n{}pong 1 0\\n':\n"
        "    say(bytes([byte])); time.sleep(0.002)"
    )
    await over(process)
    assert len(process.owner.hellos) == 1
    assert process.owner.frames == [Frame(b"pong", 1, b"", 0)]


async def test_a_large_frame_may_follow_the_hello_at_once(started):
    size = 2 * NOISE_BYTES
    process = await started(
        f"sys.stdout.buffer.write(b'meshcluster-worker 1 2\\n{{}}out 0 {size}\\n' + b'x' * {size})"
    )
    await over(process)
    assert process.owner.frames == [Frame(b"out", 0, b"x" * size, 0)]


async def test_a_large_answer_comes_whole(started):
    size = 20_000_000
    process = await started(
        f"hello(); sys.stdout.buffer.write(b'done 1 {size}\\n' + b'x' * {size})", body_bytes=size
    )
    await process.owner.until(lambda: process.owner.frames)
    assert process.owner.frames == [Frame(b"done", 1, b"x" * size, 0)]
    await over(process)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("hello(); say(b'Traceback (most recent\\n')", "no frame: b'Traceback"),
        ("hello(); say(b'done 1 2000000\\n')", "2000000 bytes at once, of 1048576 allowed"),
        ("say(b'meshcluster-worker 2 2\\n{}')", "a worker of protocol 2; this is 1"),
        ("hello(b'[]')", "a hello that is no JSON object"),
        ("hello(b'{')", "Expecting property name"),
        ("hello(b'\\xff')", "codec can't decode"),
        ('hello(b\'{"pid": "x"}\')', "invalid literal"),
        ("hello(b'{\"pid\": []}')", "int"),
        ("hello(b'{\"pid\": 1e999}')", "cannot convert float infinity"),
        ("hello(b'[' * 60000)", "recursion"),
        ("say(b'meshcluster-worker 1 99999999\\n')", "99999999 bytes at once"),
        ("say(b'x' * 70000)", "no worker: it said b'xxxx"),
    ],
)
async def test_who_says_what_means_nothing_is_ended_and_heard_no_further(started, code, reason):
    process = await started(code + "\nsay(b'pong 1 0\\n' * 3)\ntime.sleep(60)")
    found, _ = await over(process)
    assert reason in found
    assert process.owner.frames == []


async def test_what_was_said_before_it_meant_nothing_is_told_where_it_came_before(started):
    process = await started(
        "hello(); say(b'done 1 1\\nN'); sys.stdin.buffer.read(1); say(b'garbage\\n' * 9)"
    )
    await process.owner.until(lambda: process.owner.frames)
    process.write(b"x")
    assert (await over(process))[0].startswith("no frame")
    assert process.owner.frames == [Frame(b"done", 1, b"N", 0)]


async def test_who_is_told_may_fail_and_the_process_is_ended(started, caplog):
    process = await started(
        "hello(); sys.stdin.buffer.read(1); say(b'pong 1 0\\n'); time.sleep(60)"
    )
    await process.owner.until(lambda: process.owner.hellos)
    process.owner.came = lambda frames: 1 // 0
    process.write(b"x")
    assert "ZeroDivisionError" in (await over(process))[0]
    assert "could not be taken" in caplog.text


# --- how it ended -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("hello(); sys.exit(3)", "ended with exit status 3"),
        ("hello(); os.kill(os.getpid(), 9)", "killed by SIGKILL"),
        ("hello(); os.kill(os.getpid(), 15)", "killed by SIGTERM"),
        ("sys.exit(4)", "ended with exit status 4 before it said hello"),
        ("say(b'permission denied\\n')",
         "ended with exit status 0 before it said hello; it said 'permission denied'"),
        ("say(b'meshcluster-worker 1 50\\n{')", "ended with exit status 0 before it said hello; "
         "it said 'meshcluster-worker 1 50\\n{'"),
        ("hello(); os.close(1); time.sleep(60)", "it has closed its output"),
    ],
)  # fmt: skip
async def test_its_end_is_told_with_its_cause(started, code, reason):
    process = await started(code)
    assert (await over(process))[0] == reason


async def test_the_last_of_its_standard_error_is_kept(started):
    process = await started(
        f"hello(); sys.stderr.write('first' + 'x' * {STDERR_BYTES * 3} + 'last\\n'); sys.exit(1)"
    )
    _, stderr = await over(process)
    assert len(stderr) == STDERR_BYTES
    assert stderr.endswith("xlast\n")


async def test_a_tasks_own_words_are_kept_with_it(started):
    process = await started("hello(); sys.stdin.read()")
    await process.owner.until(lambda: process.owner.hellos)
    process.note(b"from a task\n")
    process.end(politely=True)
    assert (await over(process))[1] == "from a task\n"


async def test_a_grandchild_that_keeps_its_output_open_does_not_delay_its_end(started):
    process = await started("hello(); os.fork() or time.sleep(5); sys.exit(7)")
    began = time.monotonic()
    assert (await over(process))[0] == "ended with exit status 7"
    assert time.monotonic() - began < 4


@pytest.mark.parametrize(
    "argv", [["/nowhere/at/all"], ["/"], ["a\0b"], [sys.executable, "x" * 10_000_000]]
)
async def test_what_cannot_be_started_is_an_error_at_once(argv):
    owner = Owner()
    process = Process(owner, asyncio.get_running_loop(), 100)
    with pytest.raises(OSError, match=r"."):
        await process.start(argv, b"shipment")
    await asyncio.wait_for(process.exited.wait(), 1)
    process.write(b"into nothing")
    process.end(politely=True)
    await asyncio.sleep(process_module.LAST_SECONDS * 2)  # nothing comes of it later, too
    assert owner.ends == []


# --- what it is told ----------------------------------------------------------------------------


async def test_what_it_reads_first_comes_first(started):
    process = await started(
        "say(sys.stdin.buffer.read(5)); hello(); sys.stdin.read()", first=b"first"
    )
    process.write(b"second")
    process.end(politely=True)
    await over(process)
    assert len(process.owner.hellos) == 1


async def test_more_than_it_reads_at_once_comes_whole_and_in_order(started):
    """From several threads; each writes at once where it can, and hands the rest over."""
    process = await started(
        "hello(); time.sleep(0.3)\n"
        "lines = [sys.stdin.buffer.readline() for _ in range(4000)]\n"
        "for who in b'abcd':\n"
        "    mine = [line for line in lines if line[0] == who]\n"
        "    assert mine == [b'%c%d %s\\n' % (who, n, b'x' * 3000) for n in range(1000)], who\n"
        "say(b'done 1 0\\n')\n"
        "sys.stdin.read()"
    )
    await process.owner.until(lambda: process.owner.hellos)

    def write(who):
        for number in range(1000):
            process.write(b"%s%d %s\n" % (who, number, b"x" * 3000))

    await asyncio.gather(*(asyncio.to_thread(write, who) for who in (b"a", b"b", b"c", b"d")))
    await process.owner.until(lambda: process.owner.frames or process.owner.ends)
    assert process.owner.frames == [Frame(b"done", 1, b"", 0)], process.owner.ends


async def test_what_is_written_to_who_does_not_read_delays_nobody(started):
    process = await started("hello(); time.sleep(60)")
    await process.owner.until(lambda: process.owner.hellos)
    began = time.monotonic()
    for _ in range(50):
        process.write(b"x" * 1_000_000)
    assert time.monotonic() - began < 10


async def test_nothing_is_written_into_another_file_once_its_input_is_closed(started, tmp_path):
    """The number of a descriptor that asyncio has closed is soon another file's."""
    process = await started("hello(); os.close(0); say(b'out 1 0\\n'); time.sleep(60)")
    await process.owner.until(lambda: process.owner.frames)
    await process.owner.until(lambda: process._stdin._pipe is None)  # asyncio has closed it
    numbers = [os.open(tmp_path / str(number), os.O_CREAT | os.O_RDWR) for number in range(20)]
    try:
        for _ in range(3):
            process.write(b"for the worker alone")
        await asyncio.sleep(0.05)
        assert {os.fstat(number).st_size for number in numbers} == {0}
    finally:
        for number in numbers:
            os.close(number)


async def test_what_is_written_after_its_end_goes_nowhere(started):
    process = await started("hello()")
    await over(process)
    process.write(b"late")
    assert process.owner.ends == [("ended with exit status 0", "")]


# --- its end ------------------------------------------------------------------------------------


async def test_politely_it_is_told_goodbye_and_its_input_ends(started):
    process = await started(
        "hello(); told = sys.stdin.buffer.read(); sys.exit(told != b'bye 0 0\\n')"
    )
    await process.owner.until(lambda: process.owner.hellos)
    process.end(politely=True)
    assert await over(process) == ("ended with exit status 0", "")


@pytest.mark.parametrize(
    ("code", "reason"),
    [("", "killed by SIGTERM"), ("signal.signal(15, signal.SIG_IGN);", "killed by SIGKILL")],
)
async def test_who_does_not_heed_that_is_ended(started, monkeypatch, code, reason):
    monkeypatch.setattr(process_module, "END_SECONDS", 0.2)
    process = await started(code + "hello(); time.sleep(60)")
    await process.owner.until(lambda: process.owner.hellos)
    process.end(politely=True)
    assert (await over(process))[0] == reason


async def test_at_once_it_is_killed_with_its_children(started, tmp_path):
    process = await started("os.fork(); hello(); time.sleep(60)")
    await process.owner.until(lambda: len(process.owner.frames) == 1)
    group = process.owner.hellos[0].pid
    process.end(politely=False)
    assert (await over(process))[0] == "killed by SIGKILL"
    await process.owner.until(lambda: not exists(group))


def exists(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


async def test_who_is_told_to_end_twice_ends_once(started):
    process = await started("hello(); sys.stdin.read()")
    await process.owner.until(lambda: process.owner.hellos)
    process.end(politely=True)
    process.end(politely=False)
    await over(process)
    process.end(politely=False)
    assert len(process.owner.ends) == 1


async def test_many_leave_nothing(started):
    """Threads and files are counted by tests/conftest.py; zombies here."""
    for _ in range(4):
        crowd = [await started("hello(); sys.exit(2)") for _ in range(5)]
        for process in crowd:
            assert (await over(process))[0] == "ended with exit status 2"
    assert zombies() == []


def zombies():
    """Children of ours that have ended and that nobody has waited for."""
    states = [each.status() for each in psutil.Process().children()]
    return [state for state in states if state == psutil.STATUS_ZOMBIE]


def test_it_works_in_other_loops_of_asyncio_too():
    uvloop = pytest.importorskip("uvloop")

    async def main():
        owner = Owner()
        process = Process(owner, asyncio.get_running_loop(), 1000)
        await process.start(
            [
                sys.executable,
                "-c",
                HELLO + "hello(); say(sys.stdin.buffer.read(9)); sys.stdin.read()",
            ],
            b"",
        )
        process.write(framing.frame(framing.PING, 1))
        await owner.until(lambda: owner.frames)
        process.end(politely=True)
        await asyncio.wait_for(owner.done.wait(), SECONDS)
        await asyncio.wait_for(process.exited.wait(), SECONDS)
        assert owner.frames == [Frame(b"ping", 1, b"", 0)]
        assert owner.ends == [("ended with exit status 0", "")]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
