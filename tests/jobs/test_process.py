"""A command runs to its end or is ended; nothing of it is left here, whatever it does."""

import asyncio
import contextlib
import io
import os
import shlex
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from meshcluster.errors import ConfigError, JobError
from meshcluster.jobs import process as process_module
from meshcluster.jobs.process import GRACE_SECONDS, LAST_SECONDS, Ending, Script, conduct
from tests.waiting import until

from ..ssh.ways import lives

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="needs sh and POSIX signals"),
]

EXITED = Ending("exited")
BIG = bytes(range(256)) * 4096


class Ear:
    """Keeps what it hears, and gives a password."""

    def __init__(self, password=""):
        self.stdout, self.stderr, self.answer = b"", b"", password
        self.begun = asyncio.Event()
        self.heard = asyncio.Event()

    def began(self):
        self.begun.set()

    async def wrote(self, stream, data):
        setattr(self, stream, getattr(self, stream) + data)
        self.heard.set()

    async def password(self):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def by_sh(text):
    return ("sh", "-c", text)


async def ran(command, argv_of=by_sh, ear=None, **settings):
    """How it ended, and who has heard it."""
    ear = ear or Ear()
    return await conduct(argv_of, Script(command, **settings), ear), ear


async def begun(command, **settings):
    """A task that runs it, and the process whose number it has written."""
    ear = Ear()
    task = asyncio.create_task(conduct(by_sh, Script(command, **settings), ear))
    async with asyncio.timeout(20):
        while not ear.stdout.endswith(b"\n"):
            await ear.heard.wait()
            ear.heard.clear()
    return task, *[psutil.Process(int(word)) for word in ear.stdout.split()]


async def cancelled(task):
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# --- to its end -----------------------------------------------------------------------------------


async def test_it_ends_with_its_status_and_all_it_wrote():
    ending, ear = await ran("echo out; echo err >&2; exit 3")
    assert (ending.what, ending.returncode) == ("exited", 3)
    assert (ear.stdout, ear.stderr, ear.begun.is_set()) == (b"out\n", b"err\n", True)


async def test_three_megabytes_are_heard_whole():
    _, ear = await ran("head -c 3000000 /dev/zero; head -c 100000 /dev/zero >&2")
    assert (len(ear.stdout), len(ear.stderr)) == (3_000_000, 100_000)


@pytest.mark.parametrize("data", [b"", b"\0\xff\n", BIG], ids=len)
async def test_it_reads_what_it_is_given_and_then_the_end(data, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(data)
    for stdin in (data, file):
        ending, ear = await ran("cat", stdin=stdin)
        assert (ending, ear.stdout == data) == (EXITED, True)


@pytest.mark.parametrize(
    "command", ["head -c 3", "printf '\\0\\1\\2'", "exec <&-; printf '\\0\\1\\2'"]
)
async def test_it_need_not_read_all_that_it_is_given(command):
    ending, ear = await ran(command, stdin=BIG)
    assert (ending, ear.stdout) == (EXITED, b"\0\1\2")


async def test_what_a_file_has_more_in_the_meantime_is_not_read(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"first")

    def growing(text):
        file.write_bytes(b"first and more")
        return by_sh(text)

    assert (await ran("cat", growing, stdin=file))[1].stdout == b"first"


async def test_a_file_that_becomes_shorter_ends_it(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"first")

    def shrinking(text):
        file.write_bytes(b"f")
        return by_sh(text)

    with pytest.raises(JobError, match="4 bytes shorter"):
        await ran("cat", shrinking, stdin=file)
    with pytest.raises(JobError, match="No such file"):
        await ran("cat", lambda text: file.unlink() or by_sh(text), stdin=file)


async def test_a_file_that_cannot_be_read_to_its_end_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "none", Path("a\0b")):
        with pytest.raises(ConfigError, match=r"^stdin="):
            await ran("cat", stdin=path)


async def test_what_it_leaves_running_with_its_output_is_waited_for_a_little_and_left_alone():
    began = time.monotonic()
    ending, ear = await ran("sleep 60 & echo $!")
    assert LAST_SECONDS <= time.monotonic() - began < 10 * LAST_SECONDS
    assert ending == EXITED
    left = psutil.Process(int(ear.stdout))
    assert lives(left)
    left.kill()


async def test_what_it_leaves_running_by_itself_is_not_waited_for():
    began = time.monotonic()
    ending, ear = await ran("nohup sleep 60 >/dev/null 2>&1 </dev/null & echo $!")
    assert ending == EXITED
    assert time.monotonic() - began < LAST_SECONDS
    left = psutil.Process(int(ear.stdout))
    assert lives(left)
    left.kill()


def test_the_same_in_a_loop_of_uvloops():
    uvloop = pytest.importorskip("uvloop")
    began = time.monotonic()
    ending, ear = uvloop.run(ran("cat; nohup sleep 60 >/dev/null 2>&1 & echo $!", stdin=b"1\n"))
    assert ending == EXITED
    assert time.monotonic() - began < LAST_SECONDS
    psutil.Process(int(ear.stdout.split()[-1])).kill()


@pytest.mark.parametrize("held", ["", "setsid sleep 60 & echo $!; "])
async def test_where_all_of_it_is_killed_it_is_lost_though_something_holds_its_output(held):
    ending, ear = await ran(f"{held}kill -9 0")
    assert ending.what == "lost"
    for left in ear.stdout.split():
        psutil.Process(int(left)).kill()


HOLDER = (
    "exec 3<&0; printf 'token b\\n'; printf 'token b\\n' >&2;"
    "sleep 60 >/dev/null 2>&1 & echo $!; exec >&- 2>&-; sleep 0.2"
)
"""Begins, leaves something running that has its input, ends its output, and goes without a word."""


async def test_what_nobody_reads_is_dropped_though_something_holds_the_input(monkeypatch):
    monkeypatch.setattr(process_module.secrets, "token_hex", lambda count: "token")
    before = psutil.Process().num_fds()
    ending, ear = await ran("true", lambda _: by_sh(HOLDER), stdin=BIG)
    await asyncio.sleep(0)
    assert (ending.what, psutil.Process().num_fds()) == ("lost", before)
    psutil.Process(int(ear.stdout)).kill()


async def test_noise_before_the_command_is_not_its_own():
    ending, ear = await ran(
        "echo out; echo err >&2; exit 2",
        lambda text: by_sh(f"echo motd; echo banner >&2; printf half; {text}"),
    )
    assert (ending.returncode, ear.stdout, ear.stderr) == (2, b"out\n", b"err\n")


async def test_what_never_begins_tells_why():
    ending, ear = await ran("true", lambda _: by_sh("echo no such host >&2; exit 255"))
    assert (ending.what, ending.returncode, ending.noise) == ("never", 255, "no such host")
    assert (ear.begun.is_set(), ear.stdout, ear.stderr) == (False, b"", b"")


async def test_a_program_that_there_is_not_is_an_error_with_its_name():
    with pytest.raises(JobError, match="nosuch-program cannot be started: No such file"):
        await ran("true", lambda text: ("nosuch-program", text))


# --- a password -----------------------------------------------------------------------------------

ASKS = 'printf "%s ? " "$0" >&2; IFS= read -r p; '


def asking(text):
    """Asks as sudo does, and has the command see what it was told."""
    words = shlex.split(text)
    token = words[words.index("-p") + 1].split()[0]
    rest = shlex.join(words[words.index("--") + 1 :])
    return "sh", "-c", f'{ASKS}[ "$p" = "secret" ]||{{ echo Sorry >&2;{ASKS} }};{rest}', token


async def test_sudo_gets_its_password_before_the_command_begins():
    ending, ear = await ran("cat; echo err >&2", asking, Ear("secret"), sudo="", stdin=b"in")
    assert (ending, ear.stdout, ear.stderr) == (EXITED, b"in", b"err\n")


async def test_a_password_may_have_any_bytes():
    ear = Ear("a\udcffb é")
    ending, _ = await ran("true", asking, ear, sudo="")
    assert ending == EXITED


async def test_what_is_raised_instead_of_a_password_ends_it():
    with pytest.raises(KeyError, match="none"):
        await ran("true", asking, Ear(KeyError("none")), sudo="")


async def test_what_looks_like_sudos_question_gets_no_password():
    """`ps` shows it, for one."""
    shows = 'tr "\\0" "\\n" </proc/$PPID/cmdline >&2; ps -o args= >&2; head -c 1'
    ending, ear = await ran(shows, asking, Ear("secret"), sudo="", stdin=b"in")
    assert (ending, ear.stdout, b"secret\n" in ear.stderr) == (EXITED, b"i", False)


# --- ended ----------------------------------------------------------------------------------------

HANDS = "sleep 60 & echo $$ $!; wait"
DEAF = "trap '' TERM; sleep 60 & echo $$ $!; while :; do sleep 60; done"


async def test_where_it_is_cancelled_it_and_what_it_started_have_ended():
    task, *processes = await begun(HANDS)
    await cancelled(task)
    until(lambda: not any(map(lives, processes)))


async def test_what_it_says_when_it_is_ended_is_heard():
    ear = Ear()
    script = Script("trap 'echo bye; exit' TERM; echo hi; while :; do sleep 0.01; done")
    task = asyncio.create_task(conduct(by_sh, script, ear))
    await ear.heard.wait()
    await cancelled(task)
    assert ear.stdout == b"hi\nbye\n"


async def test_what_does_not_listen_is_killed():
    began = time.monotonic()
    task, *processes = await begun(DEAF)
    await cancelled(task)
    assert GRACE_SECONDS <= time.monotonic() - began < 10 * GRACE_SECONDS
    until(lambda: not any(map(lives, processes)))


async def test_two_cancels_in_a_row_leave_nothing_either(monkeypatch):
    monkeypatch.setattr(process_module, "STOP_SECONDS", 0.3)
    task, *processes = await begun(DEAF)
    task.cancel()
    await asyncio.sleep(0)
    await cancelled(task)
    until(lambda: not any(map(lives, processes)))


async def test_one_that_does_not_read_what_it_is_given_is_ended_too(monkeypatch):
    monkeypatch.setattr(process_module, "STOP_SECONDS", 0.3)
    task, *processes = await begun(HANDS, stdin=BIG)
    await cancelled(task)
    until(lambda: not any(map(lives, processes)))


async def test_what_its_listener_raises_ends_it():
    class Deaf(Ear):
        async def wrote(self, stream, data):
            await super().wrote(stream, data)
            raise BrokenPipeError("nobody looks")

    ear = Deaf()
    with pytest.raises(BrokenPipeError, match="nobody looks"):
        await ran(HANDS, ear=ear)
    until(lambda: not any(psutil.pid_exists(int(pid)) for pid in ear.stdout.split()))


@pytest.mark.parametrize("turns", range(10))
async def test_one_that_is_being_started_is_ended_too(turns):
    """Whatever asyncio is about to do when it is cancelled."""
    before = set(psutil.Process().children())
    task = asyncio.create_task(ran("sleep 60"))
    for _ in range(turns):
        await asyncio.sleep(0)
    async with asyncio.timeout(20):
        await cancelled(task)
    assert [each for each in set(psutil.Process().children()) - before if lives(each)] == []


async def test_one_that_has_not_begun_is_ended_at_once():
    told, before = io.StringIO(), set(psutil.Process().children())
    began = time.monotonic()
    with contextlib.redirect_stdout(told), pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await ran("true", lambda _: by_sh("sleep 60; :"))
    assert time.monotonic() - began < GRACE_SECONDS
    assert [each for each in set(psutil.Process().children()) - before if lives(each)] == []


KILLED = """
import asyncio, sys
from meshcluster.jobs.shell import Shell
Shell().run(sys.argv[1], stdin=b"x" * int(sys.argv[2]))
"""


@pytest.mark.parametrize(
    ("number", "stdin_bytes"),
    [(signal.SIGKILL, 0), (signal.SIGKILL, 1_000_000), (signal.SIGINT, 0)],
)
async def test_where_this_process_is_killed_the_command_ends(number, stdin_bytes):
    ours = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, HANDS, str(stdin_bytes),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    line = await asyncio.wait_for(ours.stdout.readline(), 20)
    processes = [psutil.Process(int(word)) for word in line.split()]
    ours.send_signal(number)
    errors = (await ours.communicate())[1]
    assert (b"KeyboardInterrupt" in errors) == (number == signal.SIGINT)
    until(lambda: not any(map(lives, processes)))


async def test_who_takes_it_slowly_gets_all_of_it():
    class Slow(Ear):
        async def wrote(self, stream, data):
            await super().wrote(stream, data)
            if stream == "stdout":
                await asyncio.sleep(len(data) / 100_000)  # which is its slowness, not a wait

    ending, ear = await ran("head -c 200000 /dev/zero; exit 3", ear=Slow())
    assert (len(ear.stdout), ending) == (200_000, Ending("exited", 3))
