"""Commands by the mesh: what its caller sees of one, and what becomes of it when somebody goes."""

import logging
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from meshcluster import Cluster, Passwords, Shell, allow_commands
from meshcluster.errors import (
    CommandFailed,
    CommandTimeout,
    ConfigError,
    SiteLost,
    SiteUnreachable,
    SudoFailed,
)

from .mesh import CALLER, MEMBER, Under, Written, site, wait_until_gone

LONG = "echo $$; exec sleep 60"
SECRET = "pä'ss$wörd"
SUDO = f"""#!/bin/sh
while [ "$1" != -- ]; do [ "$1" = -p ] && prompt=$2; shift; done; shift
for try in 1 2 3; do
    printf %s "$prompt" >&2
    read -r given
    [ "$given" = "{SECRET.replace("$", chr(92) + "$")}" ] && exec env AS=root "$@"
done
echo 'sudo: 3 incorrect password attempts' >&2
exit 1
"""


@pytest.fixture(autouse=True)
def settled(monkeypatch):
    """Nobody may still be appearing: a call of what nobody exposes fails at once."""
    monkeypatch.setattr("meshcluster.rpc.calls.APPEAR_SECONDS", 0.0)


@pytest.fixture
def one(join):
    return join(name="one")


@pytest.fixture
def host(join):
    cluster = join("app", name="app")
    allow_commands(cluster)
    return cluster


@pytest.fixture
def shell(host, one):
    return Shell(site(one))


@pytest.fixture
def far(one, talk, beacon_port):
    """A member in a process of its own."""
    talker = talk(MEMBER, beacon_port)
    assert talker.hear() == "joined"
    return talker


def test_a_command_tells_all_that_one_of_this_machine_does(shell):
    result = shell.run(
        'echo "$A" "$PWD"; cat; echo no >&2; exit 3', stdin="in", env={"A": "1 2"}, cwd="/",
        check=False, quiet=True, silent=True,
    )  # fmt: skip
    assert (result.stdout, result.stderr, result.returncode) == ("1 2 /\nin", "no\n", 3)
    assert (result.site, result.truncated) == ("app", False)
    with pytest.raises(CommandFailed, match="SIGKILL"):
        shell.run("kill -9 $$")
    with pytest.raises(ConfigError, match="100000 bytes at most"):
        shell.run("x" * 100_000)
    with pytest.raises(ConfigError, match="NUL"):
        shell.run("x\0")


def test_five_megabytes_are_brought_there_and_ten_come_back(shell, tmp_path):
    data = os.urandom(1000) * 5000
    file = tmp_path / "data"
    file.write_bytes(data)
    result = shell.run("cat; cat /dev/null", stdin=file, limit=1 << 24, quiet=True)
    assert (result.stdout_bytes == data, result.truncated) == (True, False)
    assert len(shell.run("yes | head -c 10000000", limit=1 << 24, quiet=True).stdout) == 10_000_000
    assert shell.run("exec true", stdin=data)  # which reads nothing of it
    with pytest.raises(ConfigError, match="nothing"):
        shell.run("cat", stdin=tmp_path / "nothing")


def test_many_one_after_the_other_and_at_once(shell):
    start = time.monotonic()
    for _ in range(50):
        shell.run("true")
    assert time.monotonic() - start < 50 * 0.2  # ten times 20 ms
    with ThreadPoolExecutor(20) as pool:
        ran = pool.map(lambda n: shell.run(f"echo {n}", quiet=True).stdout, range(20))
        assert list(ran) == [f"{n}\n" for n in range(20)]


def test_who_gives_a_command_up_ends_it(shell, host):
    written = Written()
    with pytest.raises(CommandTimeout, match=r"'echo .* took longer than 1 s"):
        Shell(shell.site, stdout=written).run(LONG, timeout=1)
    wait_until_gone(written.pid(), 1)  # it was waited for
    for seconds in (0.0, 0.001, 0.005, 0.02):  # however far its beginning had come
        with pytest.raises(CommandTimeout):
            shell.run("sleep 60", timeout=seconds)
    commands = host._functions.serving.exposed["commands.run"].function.__self__
    deadline = time.monotonic() + 5
    while commands._running:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_what_its_listener_raises_ends_it(shell):
    class Full:
        def write(self, data):
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        Shell(shell.site, stdout=Full()).run("echo x; sleep 60")


@pytest.mark.process
def test_a_command_ends_with_the_process_that_had_it_run(host, talk, beacon_port):
    talker = talk(CALLER, beacon_port, LONG)
    pid = talker.hear()
    talker.popen.kill()
    wait_until_gone(pid, 5)


@pytest.mark.process
def test_a_member_that_is_killed_is_lost_at_once_and_its_commands_end(far, one):
    app, written = site(one), Written()
    under = Under(Shell(app, stdout=written), LONG)
    pid = written.pid()
    far.popen.kill()
    error = under.outcome(3)
    assert isinstance(error, SiteLost)
    assert f"{error}" == f"app was lost while {LONG!r} ran"
    assert error.result.returncode is None
    wait_until_gone(pid, 5)
    with pytest.raises(SiteUnreachable, match=r"^app is unreachable"):
        Shell(app).run("true")


def test_a_member_that_leaves_is_lost_and_then_unreachable(shell, host):
    written = Written()
    under = Under(Shell(shell.site, stdout=written), LONG)
    pid = written.pid()
    host.leave(timeout=0.1)
    assert isinstance(under.outcome(), SiteLost)
    wait_until_gone(pid, 5)
    with pytest.raises(SiteUnreachable, match="app is unreachable") as caught:
        shell.run("true")
    assert "allow_commands" not in str(caught.value)


def test_who_leaves_hears_no_more_of_its_commands(shell, one):
    written = Written()
    under = Under(Shell(shell.site, stdout=written), LONG)
    pid = written.pid()
    one.leave(timeout=0.1)
    assert isinstance(under.outcome(), SiteLost)
    wait_until_gone(pid, 5)
    with pytest.raises(SiteUnreachable):
        shell.run("true")


@pytest.fixture
def sudo(tmp_path, monkeypatch):
    """What the member's process, begun later, finds as sudo."""
    program = tmp_path / "sudo"
    program.write_text(SUDO)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.process
def test_sudo_there_is_answered_here(sudo, far, one, caplog):
    asked = []

    def provide(question):
        asked.append((question.site, question.attempt))
        return "wrong" if question.attempt == 1 else SECRET

    app = site(one)
    app.config["passwords"] = passwords = Passwords(provide)
    with caplog.at_level(logging.DEBUG):
        shell = Shell(app)
        assert shell.run('sudo cat; echo "$AS"', stdin="in ", quiet=True).stdout == "in root\n"
        assert asked == [("app", 1), ("app", 2)]
        assert shell.sudo("true")
        assert len(asked) == 2
        passwords.reset()
        app.config["passwords"] = Passwords(lambda _: "wr\udcffong", attempts=2)
        with pytest.raises(SudoFailed, match="2 passwords were not right at app"):
            Shell(app).sudo("true")
    far.say()
    assert far.popen.wait(20) == 0
    for text in (caplog.text, "".join(far.log), repr(shell)):
        assert SECRET not in text
        assert "wrong" not in text


@pytest.mark.process
def test_a_command_that_says_what_sudo_says_is_not_told_the_password(sudo, far, one, tmp_path):
    """What an ordinary user runs for us must not get what makes one root."""
    told = []

    def provide(question):
        told.append(question)
        return SECRET

    app = site(one)
    app.config["passwords"] = Passwords(provide)
    trap = tmp_path / "trap"
    lines = f"trap >{trap}; word=$(sed 's/.*\" \\([0-9a-f]*\\) .*/\\1/' {trap}); echo $word"
    result = Shell(app).sudo(f"{lines}; printf '%s ? ' $word >&2; cat", stdin="in", quiet=True)
    word, read = result.stdout.split("\n")
    assert (len(word), read, len(told)) == (24, "in", 1)
    assert Shell(app).run(f"{lines}; printf '%s ? ' $word >&2; cat", stdin="in", quiet=True)
    assert len(told) == 1


@pytest.mark.process
def test_a_password_that_nobody_has_ends_the_command_at_once(sudo, far, one):
    def refuse(question):
        raise SudoFailed("nobody is here")

    app = site(one)
    app.config["passwords"] = Passwords(refuse)
    start = time.monotonic()
    with pytest.raises(SudoFailed, match="nobody is here"):
        Shell(app).sudo("true", stdin=bytes(1 << 20))
    assert time.monotonic() - start < 5


def test_a_slow_reader_holds_it_up_and_gets_all_of_it(shell):
    class Slow:
        got = 0
        most = 0

        def write(self, data):
            self.got += len(data)
            self.most = max(self.most, len(data))
            threading.Event().wait(0.02)

    slow = Slow()
    shell = Shell(shell.site, stdout=slow)
    result = shell.run("yes | head -c 10000000")
    assert (slow.got, result.truncated) == (10_000_000, True)
    assert slow.most < 2_000_000


def test_a_cluster_that_joins_again_still_runs_commands(beacon_port, one):
    cluster = Cluster()
    allow_commands(cluster)
    for _ in range(2):
        with cluster.join(port=beacon_port, name="app"):
            assert Shell(site(one)).run("true")
        while one.services:
            one.heartbeat()
