"""``meshcluster send``: told, and seen delivered."""

import os
import signal

import pytest

from meshcluster.cli import observing as module
from meshcluster.cli.observing import observing
from meshcluster.cli.options import Settings
from meshcluster.cli.send import undelivered

pytestmark = pytest.mark.process


def test_everybody_is_told_and_it_says_to_how_many(command, member) -> None:
    members = [member("--name", name) for name in ("b", "a")]
    done = command("send", "hello")
    assert done == (0, "delivered to 2 of 2: a, b\n", "")
    for each in members:
        assert each.fact("event")["data"] == "hello"


def test_words_choose_and_json_says_who(command, member) -> None:
    web, other = member("--name", "w", "--tag", "web"), member("--name", "o")
    done = command("send", "--json", "-r", "web", "--", "--hello")
    assert done.code == 0
    event = web.fact("event", data="--hello")
    (told,) = done.document["delivered"]
    assert (told["name"], len(told["id"])) == ("w", 32)
    assert done.document["missing"] == []
    assert event["name"].startswith("send-")
    other.end(signal.SIGTERM)
    assert not any("event" in line for line in other.rest())


def test_nobody_who_matches_is_exit_code_4(command) -> None:
    done = command("send", "hello", "--timeout", "0.3")
    assert (done.code, done.out) == (4, "")


def test_one_that_does_not_take_it_is_named_and_exit_code_3(member, monkeypatch) -> None:
    monkeypatch.setattr(module, "QUIET_SECONDS", 1.0)
    settings = Settings(port=int(os.environ["MESHCLUSTER_PORT"]), timeout=0.5)
    member("--name", "awake")
    stopped = member("--name", "stopped")
    with observing(settings, "test") as cluster:
        assert cluster.known_services == 2
        stopped.process.send_signal(signal.SIGSTOP)
        sent = cluster.broadcast("hello")
        missing = undelivered(cluster, sent, 0.5)
        stopped.process.send_signal(signal.SIGCONT)
    assert {service.name: why for service, why in missing.items()} == {
        "stopped": "no acknowledgement in 0.5 s"
    }


def test_one_that_dies_before_it_has_it_is_named(member) -> None:
    settings = Settings(port=int(os.environ["MESHCLUSTER_PORT"]), timeout=0.5)
    victim = member("--name", "victim")
    with observing(settings, "test") as cluster:
        (service,) = cluster.services
        victim.process.send_signal(signal.SIGSTOP)
        cluster.send("hello", services=[service])
        victim.process.kill()
        victim.wait()
        assert undelivered(cluster, (service,), 5) == {service: "it left or died"}
