"""A shell runs commands on one site; what did not end with status 0 is no success."""

import asyncio
import io
import logging
import shutil
import sys
import threading

import pytest

from meshcluster.errors import (
    CommandFailed,
    CommandTimeout,
    ConfigError,
    Interrupted,
    JobError,
    SiteUnreachable,
    SudoFailed,
)
from meshcluster.jobs.hearing import Told
from meshcluster.jobs.passwords import Passwords
from meshcluster.jobs.shell import Alone, AsyncShell, Shell
from meshcluster.jobs.site import Site
from tests.jobs.person import Person

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="needs sh and POSIX signals"),
]

SUDO = """#!/bin/sh
# A sudo that knows one user, whose password is secret, and asks as often as it likes.
[ "$1" = -S ] && [ "$2" = -p ] || exit 99
prompt=$3; shift 3
[ "$1" != -u ] || { MESHCLUSTER_USER=$2; export MESHCLUSTER_USER; shift 2; }
[ "$1" = -- ] || exit 98
shift
while printf '%s' "$prompt" >&2; IFS= read -r given; do
    echo x >>"$TRIED"
    [ "$given" != secret ] || exec "$@"
    sleep 0.01; echo 'Sorry, try again.' >&2
    [ "$(wc -l <"$TRIED")" -lt "${GIVES_UP:-99}" ] || { echo '3 incorrect attempts' >&2; exit 1; }
done
exit 1
"""


@pytest.fixture
def quiet():
    """A shell of this machine whose output nobody sees."""
    return Shell(stdout=io.BytesIO(), stderr=io.BytesIO())


# --- what it is -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shell", "name", "remote", "shown"),
    [
        (lambda: Shell(), "local", False, "<Shell local local>"),
        (lambda: Shell("localhost"), "localhost", True, "<Shell localhost localhost>"),
        (lambda: Shell("a@h:7"), "a@h:7", True, "<Shell a@h:7 a@h:7>"),
        (lambda: Shell("a@h", user="b", port=7), "a@h", True, "<Shell a@h a@h:7>"),
        (lambda: Shell(host="h", name="web"), "web", True, "<Shell web h>"),
        (lambda: Shell("[::1]:7"), "[::1]:7", True, "<Shell [::1]:7 [::1]:7>"),
        (lambda: Shell(Site("s", ("s",), {"host": "h"})), "s", True, "<Shell s h>"),
        (lambda: AsyncShell("h"), "h", True, "<AsyncShell h h>"),
    ],
)  # fmt: skip
def test_it_is_of_one_site_and_nothing_runs_by_itself(shell, name, remote, shown):
    made = shell()
    assert (made.name, made.site.name, made.remote, repr(made)) == (name, name, remote, shown)


@pytest.mark.parametrize(
    ("args", "config", "hint"),
    [
        ((7,), {}, "Shell(7)"), (("a:b:x",), {}, "no server"), (("",), {}, "no server"),
        (("-oX=y",), {}, "host="), (("h",), {"port": 0}, "port="), ((), {"stdout": 7}, "stdout=7"),
        ((Site("s"),), {"port": 7}, "port=: the site 's' says that itself"),
        (("h",), {"connect_timeout": 0}, "connect_timeout="),
    ],
)  # fmt: skip
def test_what_is_no_site_is_refused(args, config, hint):
    with pytest.raises(ConfigError) as caught:
        Shell(*args, **config)
    assert hint in str(caught.value)


# --- one command ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "returncode", "why"),
    [
        (r"printf 'a\033[2J\007\n' >&2; exit 4", 4, r"exit status 4: a\\x1b\[2J\\x07$"),
        ("echo a; echo no >&2; exit 3", 3, r"local: 'echo a; .*': exit status 3: no$"),
        ("kill -9 $$", -9, r"local: 'kill -9 \$\$': ended by SIGKILL$"),
        ("nosuch-program", 127, "exit status 127: .*nosuch-program.*not found"),
        (["echo a", "false", "echo b"], 1, "exit status 1$"), ("exit 255", 255, "status 255$"),
    ],
)  # fmt: skip
def test_what_fails_raises_and_says_why_unless_that_is_not_wanted(quiet, command, returncode, why):
    with pytest.raises(CommandFailed, match=why) as caught:
        quiet.run(command)
    result = quiet.run(command, check=False)
    assert caught.value.result.returncode == result.returncode == returncode
    assert not result
    assert result.stdout == ("a\n" if "echo a" in command else "")


@pytest.mark.parametrize("limit", [100, 5, 0])
def test_so_much_of_its_output_is_in_the_result_and_all_is_shown(limit):
    out = io.StringIO()
    result = Shell(stdout=out).run("echo hello, world!", limit=limit)
    assert (result.stdout, result.truncated) == ("hello, world!\n"[:limit], limit < 14)
    assert out.getvalue() == "hello, world!\n"


def test_more_is_cut_at_64_kib_or_where_one_likes(quiet):
    result = quiet.run("head -c 70000 /dev/zero; head -c 10 /dev/zero >&2")
    assert (len(result.stdout_bytes), len(result.stderr_bytes)) == (65_536, 10)
    assert result.truncated
    big = quiet.run("head -c 3000000 /dev/zero", limit=4_000_000)
    assert (len(big.stdout_bytes), big.truncated) == (3_000_000, False)
    assert quiet.run("seq 9", limit=4, tail=True, quiet=True).stdout == "1\n9\n"


def test_the_log_has_commands_and_endings_whatever_is_muted():
    log, out = io.StringIO(), io.StringIO()
    shell = Shell(stdout=out, stderr=out, log=log)
    shell.run("echo a; exit 3", silent=True, check=False)
    shell.note("that is all")
    first, second, third = log.getvalue().splitlines()
    assert (first, third) == ("local: $ echo a; exit 3", "local: that is all")
    assert second.startswith("local: exit status 3, 0.")
    assert out.getvalue() == ""


def test_where_it_runs_and_with_what_comes_from_the_site_and_the_call(tmp_path):
    (tmp_path / "in").mkdir()
    shell = Shell(stdout=io.BytesIO(), cwd=str(tmp_path), env={"A": "1", "B": "2"})
    assert shell.run("pwd; echo $A$B", env={"B": "3"}).stdout == f"{tmp_path}\n13\n"
    assert shell.run("pwd", cwd=f"{tmp_path}/in").stdout == f"{tmp_path}/in\n"
    assert shell.run("cat", stdin="é").stdout == "é"
    assert Shell(sh="bash", stdout=io.BytesIO()).run("echo $0").stdout == "bash\n"


def test_a_directory_that_there_is_not_fails_with_its_name(quiet):
    with pytest.raises(CommandFailed, match=r"exit status 1: .*/no such"):
        quiet.run("echo ran", cwd="/no such")


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"command": ""}, "empty"), ({"command": 7}, "text"), ({"command": "x" * 100_001}, "most"),
        ({"env": {"A-B": "x"}}, "A-B"), ({"env": ["A=x"]}, "dict"), ({"cwd": 7}, "cwd=7"),
        ({"stdin": 7}, "stdin=7"), ({"limit": -1}, "limit=-1"), ({"timeout": "x"}, "timeout="),
        ({"timeout": -1}, "timeout="), ({"command": "sudo "}, "empty"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_refused_before_anything_is(settings, hint):
    log = io.StringIO()
    with pytest.raises(ConfigError, match=hint):
        Shell(log=log).run(**{"command": "true", **settings})
    assert log.getvalue() == ""


def test_what_takes_too_long_is_ended_and_the_result_has_what_there_was(quiet):
    with pytest.raises(CommandTimeout, match=r"local: .* took longer than 0.5 s") as caught:
        quiet.run("echo a; sleep 60", timeout=0.5)
    result = caught.value.result
    assert (result.stdout, result.returncode, result.ok) == ("a\n", None, False)
    assert isinstance(caught.value, TimeoutError)


def test_a_stream_that_is_closed_is_the_callers_error():
    out = io.StringIO()
    out.close()
    with pytest.raises(ValueError, match="closed"):
        Shell(stdout=out).run("echo a; sleep 60")


def test_it_runs_on_any_thread_and_on_several_at_once(quiet):
    found = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(quiet.run(f"echo {n}").stdout))
        for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(found) == [f"{n}\n" for n in range(6)]


async def test_where_a_loop_runs_it_says_what_to_use_there(quiet):
    with pytest.raises(ConfigError, match="use AsyncShell"):
        quiet.run("true")
    assert (await AsyncShell(stdout=io.BytesIO()).run("echo a")).stdout == "a\n"


async def test_many_run_in_one_loop():
    shell = AsyncShell(stdout=io.BytesIO())
    results = await asyncio.gather(*(shell.run(f"echo {n}") for n in range(12)))
    assert [result.stdout for result in results] == [f"{n}\n" for n in range(12)]


# --- detached -------------------------------------------------------------------------------------


class Run(Alone):
    def __init__(self):
        super().__init__()
        self.kept = []

    def keep(self, task):
        self.kept.append(task)


def test_only_a_run_can_keep_what_is_detached(quiet):
    with pytest.raises(ConfigError, match="detach=True"):
        quiet.run("true", detach=True)


async def test_what_is_detached_is_kept_by_the_run_and_a_failure_of_it_is_logged(caplog):
    around = Run()
    shell = AsyncShell.of(Site("s"), Told(io.BytesIO()), around)
    result = await shell.run("exit 3", detach=True)
    assert (result.returncode, result.ok) == (None, False)
    with caplog.at_level(logging.WARNING, "meshcluster.jobs"):
        await asyncio.wait(around.kept)
    assert "exit status 3" in caplog.text


# --- sudo -----------------------------------------------------------------------------------------


@pytest.fixture
def sudo(tmp_path, monkeypatch):
    """A shell whose sudo asks; ``sudo.tried()`` is how many passwords it has had."""
    (tmp_path / "sudo").write_text(SUDO)
    (tmp_path / "sudo").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("TRIED", str(tmp_path / "tried"))
    streams = {name: io.StringIO() for name in ("stdout", "stderr", "log")}

    def shell(passwords, **config):
        made = Shell(passwords=passwords, **streams, **config)
        made.seen = lambda: "".join(stream.getvalue() for stream in streams.values())
        return made

    shell.tried = lambda: (tmp_path / "tried").read_text().count("x")
    return shell


def test_sudo_gets_the_password_and_nobody_sees_it_or_the_question(sudo):
    shell = sudo(passwords := Passwords(person := Person("secret")))
    result = shell.run("sudo cat; echo err >&2", stdin="in")
    assert (result.stdout, result.stderr) == ("in", "err\n")
    assert shell.seen().startswith("inerr\nlocal: $ cat; echo err >&2\n")
    assert "secret" not in shell.seen() + repr(result) + repr(passwords)
    assert " ? " not in shell.seen()
    assert [question.site for question in person.questions] == ["local"]
    assert shell.sudo(["echo a", "echo b | cat"]).stdout == "a\nb\n"
    assert len(person.questions) == 1


def test_sudo_runs_as_another_user_too(sudo):
    (passwords := Passwords(Person(""))).set("secret")
    assert sudo(passwords).sudo("echo $MESHCLUSTER_USER", user="ada b").stdout == "ada b\n"
    with pytest.raises(ConfigError, match="user=7"):
        sudo(passwords).sudo("true", user=7)


def test_a_wrong_password_is_tried_once_then_it_is_asked_for(sudo):
    (passwords := Passwords(person := Person("bad too", "secret"))).set("bad")
    assert sudo(passwords).sudo("true")
    assert [question.attempt for question in person.questions] == [2, 3]
    assert sudo.tried() == 3


def test_after_five_it_ends(sudo):
    shell = sudo(Passwords(lambda question: f"bad{question.attempt}"))
    with pytest.raises(SudoFailed, match="5 passwords were not right at local") as caught:
        shell.sudo("echo ran")
    assert sudo.tried() == 5
    assert "bad" not in shell.seen() + str(caught.value)


def test_a_password_that_sudo_ended_at_is_not_kept_for_others(sudo, monkeypatch):
    monkeypatch.setenv("GIVES_UP", "1")
    (passwords := Passwords(Person("secret"))).set("bad")
    with pytest.raises(SudoFailed, match="3 incorrect attempts"):
        sudo(passwords).sudo("true")
    assert repr(passwords) == "<Passwords empty>"


def test_an_interrupt_at_the_question_ends_the_command(sudo):
    def interrupted(question):
        raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        sudo(Passwords(interrupted)).sudo("echo ran")


def test_a_failing_command_of_sudos_is_a_failing_command(sudo):
    (passwords := Passwords(Person(""))).set("secret")
    with pytest.raises(CommandFailed, match="exit status 3"):
        sudo(passwords).sudo("exit 3")
    assert repr(passwords) == "<Passwords set>"


def test_options_of_sudo_are_for_sudo_itself(quiet, sudo):
    assert quiet.run("sudo -n true", check=False).returncode == 99


def test_a_machine_without_sudo_says_so(monkeypatch, tmp_path, quiet):
    for name in ("sh", "head", "cat"):
        (tmp_path / name).symlink_to(shutil.which(name))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SudoFailed, match="sudo: not found"):
        quiet.sudo("true")


# --- elsewhere ------------------------------------------------------------------------------------


def test_a_client_that_there_is_not_and_a_host_that_there_is_not_are_different_errors(tmp_path):
    with pytest.raises(JobError, match="nosuch-client cannot be started"):
        Shell("h", ssh="nosuch-client").run("true")
    fails = tmp_path / "fails"
    fails.write_text("echo 'ssh: no such host' >&2; exit 255")
    with pytest.raises(SiteUnreachable, match=r"^nosuch host is unreachable: ssh: no such host$"):
        Shell("nosuch host", ssh=["sh", str(fails)]).run("true")


def test_a_command_that_kills_its_parent_is_told_as_killed():
    result = Shell().run("kill -9 $PPID; exit 0", check=False, silent=True, timeout=30)
    assert (result.returncode, result.signal) == (-9, 9)
