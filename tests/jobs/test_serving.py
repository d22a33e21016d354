"""A member that runs commands for others: for whom, which, how many, and none without leave."""

import asyncio
import logging
from concurrent.futures import wait

import pytest

from meshcluster import AsyncCluster, AsyncShell, Cluster, Shell, Site, allow_commands
from meshcluster.errors import ArgumentError, ConfigError, RemoteError, SiteUnreachable
from meshcluster.jobs import serving
from meshcluster.jobs.process import Script
from meshcluster.jobs.serving import in_words

from .mesh import Under, Written, site, wait_until_gone

PLAIN = (None, {}, "sh", None, 0)
LONG = "sleep 60"


@pytest.fixture(autouse=True)
def settled(monkeypatch):
    """Nobody may still be appearing: a call of what nobody exposes fails at once."""
    monkeypatch.setattr("meshcluster.rpc.calls.APPEAR_SECONDS", 0.0)


@pytest.fixture
def host():
    """A member that is about to run commands, once it has joined."""
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def enter(host, beacon_port):
    """Has it join."""
    return lambda **settings: host.join(["app"], port=beacon_port, name="app", **settings)


@pytest.fixture
def one(join):
    return join(name="one")


@pytest.fixture
def app(host, enter, one):
    """The site that runs commands for ``one``."""
    allow_commands(host)
    enter()
    return site(one)


def test_it_is_off_until_it_is_allowed(host, enter, one):
    enter()
    (service,) = one.wait_for_services()
    shell = Shell(Site("app", service=service, live=one.live()))
    with pytest.raises(
        SiteUnreachable,
        match=r"app runs no commands .*: allow_commands\(cluster\)"
        " there, or meshcluster join --allow-commands",
    ):
        shell.run("true")  # fmt: skip
    allow_commands(host)
    one.wait_for_exposed("commands.run")
    assert shell.run("true")


def test_it_is_allowed_once(host):
    for wrong in ("all", 7, asyncio.sleep):
        with pytest.raises(ConfigError, match=r"^allow=.*: a plain function of a Service and"):
            allow_commands(host, wrong)
    allow_commands(host)
    with pytest.raises(ConfigError, match="exposed already"):
        allow_commands(host)


def test_members_of_another_host_without_our_secret_are_refused(
    host, enter, join, monkeypatch, tmp_path
):
    asked = []
    allow_commands(host, lambda service, command: not asked.append(command))
    enter(ttl=1, mdns=False)
    # Elsewhere there is another host key, and no UNIX socket of ours.
    monkeypatch.setenv("MESHCLUSTER_RUNTIME_DIR", str(tmp_path))
    far = join(name="far", ttl=1, mdns=False)
    app = site(far)
    assert not app.service.authenticated
    with pytest.raises(SiteUnreachable, match="have our secret: join both with secret="):
        Shell(app).run("true")
    assert asked == []


def test_members_of_another_host_with_our_secret_are_not(host, enter, join, monkeypatch, tmp_path):
    allow_commands(host)
    enter(ttl=1, mdns=False, secret="correct horse battery")
    monkeypatch.setenv("MESHCLUSTER_RUNTIME_DIR", str(tmp_path))
    far = join(name="far", ttl=1, mdns=False, secret="correct horse battery")
    assert Shell(site(far)).run("echo hi", quiet=True).stdout == "hi\n"


def test_allow_says_for_whom_and_which(host, enter, one, caplog):
    asked = []

    def allow(service, command):
        asked.append((service.name, command))
        if command == "raise":
            raise RuntimeError("boom")
        return {"echo hi": True, "echo yes": "yes"}.get(command, False)

    allow_commands(host, allow)
    enter()
    app = site(one)
    shell = Shell(app)
    assert shell.run("echo hi", quiet=True).stdout == "hi\n"
    with caplog.at_level(logging.ERROR, "meshcluster.jobs"):
        for command in ("echo yes", "rm -rf /", "raise"):
            with pytest.raises(SiteUnreachable, match="does not run that command for you"):
                shell.run(command)
    assert caplog.text.count("allow= raised: the command is refused to one") == 1
    assert "boom" in caplog.text
    # What would make another command of one that is allowed is part of what is asked.
    for options in ({"cwd": "/tmp"}, {"env": {"PATH": "/evil"}}):
        with pytest.raises(SiteUnreachable, match="does not run that"):
            shell.run("echo hi", **options)
    with pytest.raises(SiteUnreachable, match="does not run that"):
        shell.sudo("echo hi")
    assert asked[-3:] == [
        ("one", "env -C /tmp sh -c 'echo hi'"),
        ("one", "env PATH=/evil sh -c 'echo hi'"),
        ("one", "sudo -- sh -c 'echo hi'"),
    ]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (Script("a 'b' | c"), "a 'b' | c"),
        (Script("make", sh="bash"), "bash -c make"),
        (
            Script("make it", "/s r v", {"A": "1 2"}, sudo="ada"),
            "sudo -u ada -- env -C '/s r v' env 'A=1 2' sh -c 'make it'",
        ),
    ],
)
def test_a_command_is_told_with_all_that_makes_it_another(script, words):
    assert in_words(script) == words


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (("true", None, {}, "sh", None, -1), "ConfigError"),
        (("true", None, {}, "sh", None, 1 << 63), "ConfigError"),
        (("tr\0ue", *PLAIN), "ConfigError"),
        (("true", None, {}, "s\0h", None, 0), "ConfigError"),
        (("true", None, {}, "sh", "r\0oot", 0), "ConfigError"),
        (("true", None, {"A=": "x"}, "sh", None, 0), "ConfigError"),
        (("x" * 100_000, *PLAIN), "ConfigError"),
    ],
)
def test_what_no_command_can_be_is_refused(app, one, arguments, kind):
    with pytest.raises(RemoteError) as caught:
        one.call("commands.run", 1, *arguments)
    assert caught.value.kind == kind
    assert Shell(app).run("true")


def test_what_is_of_another_type_is_refused(app, one):
    anything = [b"x", 1.5, [], {"A": 1}]
    for at in range(7):
        for value in anything:
            arguments = [1, "true", *PLAIN]
            arguments[at] = value
            with pytest.raises(ArgumentError):
                one.call("commands.run", *arguments)
    for call in (("more", "1"), ("put", 1, "text"), ("answer", 1, "text"), ("end", None)):
        with pytest.raises(ArgumentError):
            one.call(f"commands.{call[0]}", *call[1:])


def begin(cluster, number, command, stdin_bytes=0):
    """As a caller of its own making would."""
    call = cluster.go("commands.run", number, command, None, {}, "sh", None, stdin_bytes)
    while not (events := cluster.call("commands.more", number)):
        pass
    assert events[0][0] == "began"
    return call


def test_only_who_began_a_command_can_ask_about_it(app, one, join):
    other = join(name="other")
    other.wait_for_exposed("commands.run")
    call = begin(one, 7, LONG)
    for cluster, number in ((other, 7), (one, 8)):
        for name, *arguments in (("more",), ("put", b"x"), ("answer", b"x")):
            with pytest.raises(RemoteError, match="no such command of yours") as caught:
                cluster.call(f"commands.{name}", number, *arguments)
            assert caught.value.kind == "LookupError"
        cluster.call("commands.end", number)  # there is nothing to end
    assert not call.done()
    one.call("commands.end", 7)
    with pytest.raises(RemoteError) as caught:
        call.result(20)
    assert caught.value.kind == "CancelledError"


def test_a_number_is_that_of_one_command(app, one):
    begin(one, 7, LONG)
    with pytest.raises(RemoteError, match="number of another command of yours"):
        one.call("commands.run", 7, "true", *PLAIN)
    one.call("commands.end", 7)


def test_a_password_that_nothing_asks_for_is_not_kept(app, one):
    begin(one, 7, LONG)
    for _ in range(3):
        with pytest.raises(RemoteError, match="nothing asks for a password"):
            one.call("commands.answer", 7, b"x")
    one.call("commands.end", 7)


def test_no_more_is_taken_than_the_command_was_to_read(app, one):
    begin(one, 7, "cat >/dev/null", 3)
    one.call("commands.put", 7, b"ab")
    with pytest.raises(RemoteError, match="more than the command was to read"):
        one.call("commands.put", 7, b"cd")
    one.call("commands.end", 7)


def test_who_brings_faster_than_the_command_reads_waits(app, one, tmp_path):
    begin(one, 7, f"until [ -e {tmp_path}/end ]; do sleep 0.01; done", 1 << 30)
    for _ in range(5):  # pipes and buffers on the way take some of it
        waiting = one.go("commands.put", 7, bytes(1 << 20))
        if wait([waiting], timeout=0.2).not_done:
            break
    with pytest.raises(RemoteError, match="two pieces at once"):
        one.call("commands.put", 7, b"x")
    (tmp_path / "end").touch()
    assert one.call("commands.more", 7) == [("ended", ["exited", 0])]
    assert waiting.result(20) is None  # it waits for a command no longer than that is there


def test_so_many_run_at_once_and_no_more(app, one, monkeypatch):
    monkeypatch.setattr(serving, "MOST", 2)
    begin(one, 1, LONG)
    begin(one, 2, LONG)
    with pytest.raises(SiteUnreachable, match="2 commands run here for others: no more at once"):
        Shell(app).run("true")
    one.call("commands.end", 1)
    assert Shell(app).run("true")
    one.call("commands.end", 2)


def test_a_question_for_more_is_answered_though_there_is_nothing(app, one, monkeypatch):
    monkeypatch.setattr(serving, "POLL_SECONDS", 0.01)
    begin(one, 1, LONG)
    assert one.call("commands.more", 1) == []
    assert Shell(app).run("sleep 0.1; echo hi", quiet=True).stdout == "hi\n"
    one.call("commands.end", 1)


def test_however_it_writes_an_answer_has_so_much_and_no_more(app, one):
    call = begin(one, 7, "yes | head -c 5000000; for i in 1 2 3 4 5; do printf $i >&2; done")
    output, what = {"stdout": b"", "stderr": b""}, ""
    while what != "ended":
        events = one.call("commands.more", 7)
        assert sum(len(data) for _, data in events) < 1.2 * serving.WAITING_BYTES
        for what, data in events:
            if what != "ended":
                output[what] += data
    assert (output["stdout"], output["stderr"]) == (b"y\n" * 2_500_000, b"12345")
    assert call.result(20) is None


def test_who_leaves_ends_what_runs_for_others_and_may_come_back(host, enter, one):
    allow_commands(host)
    for _ in range(2):
        enter()
        app, written = site(one), Written()
        under = Under(Shell(app, stdout=written), f"echo $$; exec {LONG}")
        pid = written.pid()
        host.leave(timeout=0.1)
        assert type(under.outcome()).__name__ == "SiteLost"
        wait_until_gone(pid, 5)
        while one.services:
            one.heartbeat()


async def test_in_an_event_loop_both_ends_may_be_the_same_one(beacon_port):
    host = AsyncCluster()
    allow_commands(host)
    async with host.join(["app"], port=beacon_port, name="app"):
        async with AsyncCluster().join(port=beacon_port) as caller:
            (service,) = await caller.wait_for_exposed("commands.run")
            shell = AsyncShell(Site("app", service=service, live=caller.live()))
            results = await asyncio.gather(*(shell.run(f"echo {n}", quiet=True) for n in range(20)))
            assert [int(result.stdout) for result in results] == list(range(20))
            with pytest.raises(ConfigError, match="use AsyncShell"):
                Shell(shell.site).run("true")
