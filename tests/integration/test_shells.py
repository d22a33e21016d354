"""Shells here, behind a real ssh server and on a member of a mesh: a command is the same by each of
the ways, and what became of it is never guessed.
"""

import asyncio
import io
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack

import psutil
import pytest

from meshcluster import Cluster
from meshcluster.errors import (
    CommandFailed,
    CommandTimeout,
    Interrupted,
    SiteLost,
    SiteUnreachable,
    SudoFailed,
)
from meshcluster.jobs import process
from meshcluster.jobs.passwords import Passwords
from meshcluster.jobs.serving import allow_commands
from meshcluster.jobs.shell import AsyncShell, Shell
from meshcluster.jobs.site import Site
from tests.jobs.person import Person
from tests.ssh.ways import lives
from tests.waiting import until

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals"),
]

SSHD = pytest.mark.parametrize("way", ["sshd"], indirect=True, scope="session")


@pytest.fixture
def member(beacon_port):
    """A site that is a member which runs commands for others."""
    with ExitStack() as stack:
        serving, asking = Cluster(), Cluster()
        allow_commands(serving)
        for cluster, tag in ((serving, "serves"), (asking, "asks")):
            stack.enter_context(cluster.join((tag,), port=beacon_port))
        live = asking.live("serves")
        until(lambda: live.services)
        (service,) = live.services
        yield Site("member", ("member",), {}, service, live)


@pytest.fixture
def far_shell(way):
    """Makes shells of hosts behind the private ssh server."""

    def far_shell(host, kind=Shell, **config):
        streams = {"stdout": io.BytesIO(), "stderr": io.BytesIO()}
        return kind(host, **{**streams, **config}, ssh=list(way.ssh))

    return far_shell


@pytest.fixture(params=["local", "ssh", "member"])
def shell(request, far_shell):
    """A shell by each of the ways, whose output can be had as ``shown``."""
    streams = {name: io.BytesIO() for name in ("stdout", "stderr", "log")}
    if request.param == "ssh":
        made = far_shell("w1", **streams)
    else:
        site = request.getfixturevalue("member") if request.param == "member" else None
        made = Shell(site, **streams)
    made.shown = lambda: tuple(streams[name].getvalue() for name in ("stdout", "stderr", "log"))
    return made


# --- a command is the same everywhere -------------------------------------------------------------


@SSHD
def test_ps_a6_shell_facts(shell, tmp_path):
    for command, returncode in (
        ("exit 3", 3), ("exit 255", 255), ("kill -9 $$", -9), ("nosuch-program", 127),
    ):  # fmt: skip
        assert shell.run(command, check=False).returncode == returncode
    stopped = shell.run(["echo a", "false", "echo b"], check=False)
    assert (stopped.returncode, stopped.stdout) == (1, "a\n")
    for limit, kept in ((100, "hello, world!\n"), (5, "hello"), (0, "")):
        assert shell.run("echo hello, world!", limit=limit).stdout == kept
    cut = shell.run("head -c 70000 /dev/zero; echo err >&2", silent=True)
    assert (len(cut.stdout_bytes), cut.stderr, cut.truncated) == (65_536, "err\n", True)
    whole = shell.run("head -c 3000000 /dev/zero", limit=4_000_000, silent=True)
    assert (len(whole.stdout_bytes), whole.truncated) == (3_000_000, False)
    data = bytes(range(256)) * 1000
    assert shell.run("cat", stdin=data, limit=len(data), silent=True).stdout_bytes == data
    assert shell.run("true", stdin=data)
    hard = 'printf %s \'q\\\' \\\\ "\\"" ! é\n'
    assert shell.run(hard, silent=True).stdout_bytes == b'q\\\\"!\xc3\xa9'
    placed = shell.run("pwd; echo $A", cwd=str(tmp_path), env={"A": "b 'c"}, silent=True)
    assert placed.stdout == f"{tmp_path}\nb 'c\n"
    with pytest.raises(CommandFailed, match=r"exit status 1: .*/no such"):
        shell.run("echo ran", cwd="/no such", silent=True)


@SSHD
def test_ps_a6_what_is_shown_and_what_is_only_kept(shell):
    both = "echo out; echo err >&2"
    for muted in ({}, {"quiet": True}, {"silent": True}):
        result = shell.run(both, **muted)
        assert (result.stdout, result.stderr) == ("out\n", "err\n")
    out, err, log = shell.shown()
    assert (out, err) == (b"out\n", b"err\n" * 2)
    assert log.count(b"$ echo out") == log.count(b"exit status 0") == 3


@SSHD
def test_where_it_takes_too_long_it_and_what_it_started_have_ended(shell):
    with pytest.raises(CommandTimeout) as caught:
        shell.run("sleep 60 & echo $$ $!; wait", timeout=1.0)
    assert all_gone(caught.value.result.stdout)


def all_gone(pids):
    """Waits for the end of the processes whose numbers are written."""
    wanted = {int(word) for word in pids.split()}
    until(lambda: not any(each.pid in wanted and lives(each) for each in psutil.process_iter()))
    return bool(wanted)


@SSHD
def test_what_it_leaves_running_is_left_alone(shell):
    result = shell.run("nohup sleep 60 >/dev/null 2>&1 </dev/null & echo $!")
    left = psutil.Process(int(result.stdout))
    assert lives(left)
    left.kill()


# --- a site that is away --------------------------------------------------------------------------


@SSHD
async def test_ps_a7_unreachable_is_no_exit_status(far_shell, took):
    async def ran(host, command):
        shell = far_shell(host, AsyncShell, connect_timeout=2)
        try:
            return await shell.run(command)
        except (SiteUnreachable, CommandFailed) as error:
            return error

    with took("one ran, two were unreachable", 3.5 * 4):
        good, bad, closed, dark = await asyncio.gather(
            ran("w1", "echo a"), ran("w1", "exit 255"), ran("closed", "echo a"), ran("dark", "true")
        )
    assert good.stdout == "a\n"
    assert bad.result.returncode == 255
    assert "closed is unreachable: ssh: connect to host 127.0.0.1" in str(closed)
    assert "dark is unreachable: " in str(dark)
    assert {type(closed), type(dark)} == {SiteUnreachable}


class Watched(io.BytesIO):
    """Tells the processes whose numbers are written, when a line is whole."""

    def __init__(self, then):
        super().__init__()
        self._then = then

    def write(self, data):
        super().write(data)
        if self.getvalue().endswith(b"\n"):
            self._then([psutil.Process(int(word)) for word in self.getvalue().split()])


@SSHD
def test_ps_a7_a_session_that_is_killed_in_the_middle_is_lost(far_shell, way):
    seen = []

    def kill(processes):
        seen.extend(processes)
        for session in way.server.sessions_of(processes[0].pid):
            if "sshd" in session.name():
                session.kill()

    shell = far_shell("w1", stdout=Watched(kill))
    with pytest.raises(SiteLost, match="w1 was lost while 'echo") as caught:
        shell.run("echo $$; sleep 60")
    assert caught.value.result.stdout.strip() == str(seen[0].pid)
    until(lambda: not lives(seen[0]))


@SSHD
def test_a_command_that_kills_all_of_its_session_is_lost(far_shell):
    with pytest.raises(SiteLost):
        far_shell("w1").run("kill -9 0")


OURS = """
import sys
from meshcluster.jobs.shell import Shell
command, *ssh = sys.argv[1:]
Shell("w1", ssh=ssh).run(command)
"""


@SSHD
def test_where_this_process_is_killed_the_command_ends_there(way):
    argv = [sys.executable, "-c", OURS, "sleep 60 & echo $$ $!; wait", *way.ssh]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as ours:
        processes = [psutil.Process(int(word)) for word in ours.stdout.readline().split()]
        os.kill(ours.pid, signal.SIGKILL)
    assert len(processes) == 2
    until(lambda: not any(map(lives, processes)))


@SSHD
def test_one_that_does_not_read_what_it_is_given_is_ended_there_too(far_shell, monkeypatch):
    """What waits to be read hides the end of its input: the client is ended, which it notices."""
    monkeypatch.setattr(process, "STOP_SECONDS", 0.3)
    with pytest.raises(CommandTimeout) as caught:
        far_shell("w1").run("sleep 60 & echo $$ $!; wait", stdin=bytes(3_000_000), timeout=1.0)
    assert all_gone(caught.value.result.stdout)


@SSHD
def test_twelve_at_once_at_one_host_are_all_reached(far_shell):
    async def all_of_them():
        shell = far_shell("w1", AsyncShell)
        return await asyncio.gather(*(shell.run(f"echo {n}") for n in range(12)))

    assert [result.stdout for result in asyncio.run(all_of_them())] == [f"{n}\n" for n in range(12)]


# --- sudo -----------------------------------------------------------------------------------------

CLIENT = """
while [ "$1" != -- ]; do shift; done
PATH=$(dirname "$0"):$PATH SITE=$2 exec sh -c "$3"
"""
SUDO = """#!/bin/sh
[ "$1 $2" = "-S -p" ] || exit 99
prompt=$3; shift 4
folder=$(dirname "$0")
echo $$ >"$folder/pid.$SITE"
while echo x >>"$folder/asked.$SITE"; printf '%s' "$prompt" >&2; IFS= read -r given; do
    [ "$given" != secret ] || exec "$@"
    echo 'Sorry, try again.' >&2
done
exit 1
"""
SITES = ("s1", "s2", "s3", "s4", "s5")


class Sudo:
    """Five sites whose sudo takes "secret", as a client of ssh's that stands for it has them."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "client").write_text(CLIENT)
        (folder / "sudo").write_text(SUDO)
        (folder / "sudo").chmod(0o755)
        self.seen = io.StringIO()

    async def run(self, passwords):
        """What became of one command at each of them."""
        ssh = ["sh", str(self.folder / "client")]
        streams = dict.fromkeys(("stdout", "stderr", "log"), self.seen)
        shells = [AsyncShell(site, ssh=ssh, passwords=passwords, **streams) for site in SITES]
        runs = [shell.sudo("echo out; echo err >&2") for shell in shells]
        found = await asyncio.gather(*runs, return_exceptions=True)
        for text in (self.seen.getvalue(), *map(repr, found), *map(str, found)):
            assert "secret" not in text
            assert "bad" not in text
            assert " ? " not in text
            assert "Sorry" not in text
        return found

    def asked(self):
        """How often the sudo of each has asked."""
        return [(self.folder / f"asked.{site}").read_text().count("x") for site in SITES]

    def left(self):
        """The sudos that still run."""
        pids = [int(file.read_text()) for file in self.folder.glob("pid.*")]
        return [pid for pid in pids if psutil.pid_exists(pid)]


@pytest.fixture
def sudo(tmp_path):
    return Sudo(tmp_path)


def all_ok(found):
    return [(each.returncode, each.stdout, each.stderr) for each in found] == [
        (0, "out\n", "err\n")
    ] * len(SITES)


async def test_ps_a8_i_a_known_password_is_asked_of_nobody(sudo):
    (passwords := Passwords(person := Person(""))).set("secret")
    assert all_ok(await sudo.run(passwords))
    assert (person.questions, sudo.asked()) == ([], [1] * 5)
    assert sudo.seen.getvalue().splitlines().count("out") == 5


async def test_ps_a8_ii_five_sites_ask_one_question(sudo):
    assert all_ok(await sudo.run(Passwords(person := Person("secret"))))
    assert len(person.questions) == 1


async def test_ps_a8_iii_a_wrong_one_is_tried_once_at_each_site_and_dropped(sudo):
    (passwords := Passwords(person := Person("secret"))).set("bad")
    assert all_ok(await sudo.run(passwords))
    assert len(person.questions) == 1
    assert set(sudo.asked()) <= {1, 2}
    assert max(sudo.asked()) == 2


async def test_ps_a8_iv_always_wrong_stops_after_five_and_nothing_is_left(sudo):
    found = await sudo.run(Passwords(Person(*(f"bad{n}" for n in range(99)))))
    assert {type(each) for each in found} == {SudoFailed}
    assert max(sudo.asked()) <= 6
    until(lambda: not sudo.left())


async def test_ps_a8_v_an_interrupt_ends_all_who_wait(sudo):
    together = threading.Event()

    def interrupted(question):
        until(lambda: len(list(sudo.folder.glob("asked.*"))) == 5)
        together.set()
        raise KeyboardInterrupt

    began = time.monotonic()
    found = await sudo.run(Passwords(interrupted))
    assert together.is_set()
    assert {type(each) for each in found} == {Interrupted}
    assert time.monotonic() - began < 20
    until(lambda: not sudo.left())
