"""``meshcluster members``: who is there, for people and for programs, once or as it changes."""

import json
import re
import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.process

KEYS = ("id", "name", "state", "protocol", "address", "tags", "local")


@pytest.fixture
def web(member):
    return member("--name", "web-1", "--tag", "web", "--tag", "blue")


@pytest.fixture
def plain(member):
    return member("--name", "日本")


def test_in_a_pipe_each_member_is_a_line(command, web, plain) -> None:
    done = command("members")
    assert done.code == 0
    assert done.rows == [
        ["web-1", "alive", "unix", "127.0.0.1", "yes", "web blue"],
        ["日本", "alive", "unix", "127.0.0.1", "yes", "-"],
    ]
    assert done.err == ""


def test_as_json_it_is_a_list_of_objects(command, web) -> None:
    (found,) = command("members", "--json").document
    values = {key: found[key] for key in KEYS}
    assert re.fullmatch("[0-9a-f]{32}", values.pop("id"))
    assert values == {
        "name": "web-1", "state": "alive", "protocol": "unix", "address": "127.0.0.1",
        "tags": ["web", "blue"], "local": True,
    }  # fmt: skip
    assert 0 <= found["last_seen"] < 5
    assert found["endpoints"][0]["scheme"] == "unix"


def test_words_choose(command, web, plain) -> None:
    assert [row[0] for row in command("members", "-r", "web", "-r", "localhost").rows] == ["web-1"]
    none = command("members", "--resolve", "web", "--resolve", "日本")
    assert (none.code, none.out) == (4, "")
    assert "nobody has 'web' and '日本'" in none.err
    assert "there are " in none.err


def test_nobody_there_is_said_and_is_exit_code_4(command) -> None:
    done = command("--json", "members", "--timeout", "0.2")
    assert (done.code, done.out) == (4, "")
    assert done.err == (
        "meshcluster: nobody is there in cluster 'default' on this host (the LAN: --ttl 1)\n"
    )


def test_a_person_sees_a_table(terminal, web, plain) -> None:
    done = terminal("members").done()
    assert done.code == 0
    assert done.out.splitlines() == [
        "NAME   STATE  PROTOCOL  ADDRESS    LOCAL  TAGS",
        "web-1  \x1b[32malive\x1b[0m  unix      127.0.0.1  yes    web blue",
        "日本   \x1b[32malive\x1b[0m  unix      127.0.0.1  yes    -",
    ]


def test_on_a_narrow_terminal_tags_go_on_below(terminal, member, monkeypatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    member("--name", "m", *[f"--tag=tag-number-{n}" for n in range(4)])
    lines = terminal("members", columns=60).done().out.splitlines()
    assert lines[1].endswith("yes    tag-number-0")
    assert lines[2].strip() == "tag-number-1"
    assert all(len(line) <= 60 for line in lines)


def test_watching_in_a_pipe_is_one_line_a_change(start, web, member) -> None:
    watch = start("members", "-w")
    assert watch.line().split("\t")[:3] == ["discovered", "web-1", "alive"]
    new = member("--name", "new")
    assert watch.line().split("\t")[:2] == ["discovered", "new"]
    new.end(signal.SIGKILL)
    assert watch.line("lost").split("\t")[:3] == ["lost", "new", "crashed"]
    assert watch.end(signal.SIGTERM) == 0
    assert watch.err == ""


def test_watching_as_json_is_one_object_a_change(start, web, plain) -> None:
    watch = start("members", "--watch", "--json", "-r", "web")
    found = watch.fact("discovered")
    assert found["tags"] == ["web", "blue"]
    assert list(found)[:3] == ["what", "time", "id"]
    web.end(signal.SIGTERM)
    lost = watch.fact("lost")
    assert (lost["id"], lost["state"], lost["reason"]) == (found["id"], "gone", "left")
    assert watch.end(signal.SIGINT) == 130
    assert watch.rest() == [], "the other one is not meant"


def test_watching_shows_who_is_suspect(start, web) -> None:
    watch = start("members", "-w", "--json")
    watch.fact("discovered")
    web.process.send_signal(signal.SIGSTOP)
    try:
        watch.fact("changed", state="suspect")
    finally:
        web.process.send_signal(signal.SIGCONT)


def test_a_person_who_watches_sees_the_table_again_at_each_change(terminal, web, member) -> None:
    screen = terminal("members", "-w")
    screen.until("web-1")
    member("--name", "new")
    screen.until("new")
    screen.press(b"\x03")
    done = screen.done()
    assert done.code == 130
    first, second = done.out.split("\x1b[H\x1b[2J")[1:3]
    assert first.startswith("1 member in cluster 'default' at ")
    assert second.startswith("2 members in cluster")
    assert "Traceback" not in done.out


def test_when_nobody_reads_it_any_more_it_ends(web, plain) -> None:
    line = f"{sys.executable} -m meshcluster members -w | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=20)
    change, code = done.stdout.splitlines()
    assert change.startswith("discovered\t")
    assert (code, done.stderr) == ("0", "")


def test_members_do_not_notice_who_looks(command, web, plain) -> None:
    web.fact("discovered", name="日本")
    for arguments in (["members"], ["query", "x"], ["send", "y"]):
        command(*arguments)
    web.fact("event", data="y")
    plain.end(signal.SIGTERM)
    web.fact("lost", name="日本")
    web.end(signal.SIGTERM)
    facts = [json.loads(line) for line in [*web.seen, *web.rest()]]
    noticed = [(f["what"], f["name"]) for f in facts if "service" in f]
    assert noticed == [("discovered", "日本"), ("lost", "日本")]
