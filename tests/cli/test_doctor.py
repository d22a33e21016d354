"""`meshcluster doctor`: a table, tabs, JSON; exit code 1 when something is broken."""

import sys

import pytest

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform != "linux", reason="multicast on loopback is Linux's"),
]


def test_in_a_pipe_a_check_is_a_line(command):
    done = command("doctor")
    assert done.code == 0, done.out
    rows = {tuple(row[:2]): row[2:] for row in done.rows}
    assert rows["scope", "ttl=0"][0] == "good"
    assert rows["protocol", "tcp"][0] == "good"
    assert {len(row) for row in done.rows} == {5}
    assert done.err == "nothing is broken\n"


def test_json_has_the_same(command):
    document = command("doctor", "--json").document
    assert document["broken"] == 0
    assert {tuple(each) for each in document["checks"]} == {
        ("check", "of", "state", "found", "next")
    }


def test_what_is_broken_has_its_next_step_and_exit_code_1(command, runtime_dir):
    runtime_dir.chmod(0o755)
    done = command("doctor", "--json")
    assert done.code == 1
    (broken,) = [each for each in done.document["checks"] if each["state"] == "broken"]
    assert broken["check"] == "directory"
    assert broken["next"].startswith("set MESHCLUSTER_RUNTIME_DIR to a directory of your own")


def test_a_peer_on_this_host(command, start):
    start("join", "--json", "--name", "there").fact("joined")
    done = command("doctor", "--json", "--peer", "127.0.0.1")
    peer = {
        each["of"]: each["state"] for each in done.document["checks"] if each["check"] == "peer"
    }
    assert peer["there unix"] == peer["there tcp"] == "good"
    assert done.code == 0


def test_the_key_in_use_is_told_and_who_uses_another_one(command, start, tmp_path):
    path = str(tmp_path / "shop.key")
    assert command("keygen", path).code == 0
    start("join", "--json", "--name", "there", "--secret-file", path).fact("joined")
    rows = {tuple(row[:2]): row[2:] for row in command("doctor", "--secret-file", path).rows}
    state, text, _ = rows["secret", path]
    assert state == "good"
    assert rows["heard", "cluster 'default'"][:2] == ["good", "1 member"]
    key_id = text.split()[1]
    rows = {tuple(row[:2]): row[2:] for row in command("doctor").rows}
    assert rows["secret", "host key"][0] == "good"
    assert rows["heard", "other secret"][0] == "note"
    assert f"seal with key {key_id}" in rows["heard", "other secret"][1]


def test_a_peer_that_is_unknown(command):
    done = command("doctor", "--peer", "no-such-host.invalid")
    assert done.code == 1
    assert "unknown host" in done.out


def test_a_port_that_cannot_be_is_a_wrong_usage(command):
    assert command("doctor", "--port", "0").code == 2
