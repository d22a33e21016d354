"""A command that is over in a moment sees everybody, and is seen by nobody."""

import asyncio
import contextlib
import os
import queue
import sys
import threading
import time

import pytest

from meshcluster import AsyncCluster, Cluster, NoServices, join
from meshcluster.cli import observing as module
from meshcluster.cli.observing import LOOK_SECONDS, found, look, observing
from meshcluster.cli.options import Settings


@pytest.fixture
def settings(beacon_port) -> Settings:
    return Settings(port=int(os.environ["MESHCLUSTER_PORT"]), timeout=5.0)


def test_it_looks_until_nobody_new_has_come_for_a_moment(monkeypatch) -> None:
    monkeypatch.setattr(module, "QUIET_SECONDS", 0.2)
    news: queue.SimpleQueue = queue.SimpleQueue()
    timers = [threading.Timer(after, news.put, ["somebody"]) for after in (0.1, 0.2)]
    started = time.monotonic()
    for timer in timers:
        timer.start()
    look(news, lambda: True, 20)
    assert 0.35 < time.monotonic() - started < 15
    assert news.empty()
    for timer in timers:
        timer.join()


def test_it_looks_on_while_nobody_who_is_meant_has_come_but_not_for_ever() -> None:
    news: queue.SimpleQueue = queue.SimpleQueue()
    news.put("somebody else")
    started = time.monotonic()
    look(news, lambda: False, 0.4)
    assert time.monotonic() - started >= 0.4


def test_it_knows_who_is_there_in_a_moment(settings) -> None:
    with join(["web"], name="one", **settings.joining):
        started = time.monotonic()
        with observing(settings, "test") as cluster:
            took = time.monotonic() - started
            (one,) = found(cluster, settings, ("web",))
            assert (one.name, one.state, one.local) == ("one", "alive", True)
        assert took < LOOK_SECONDS + 3


def test_nobody_there_or_nobody_meant_says_where_it_looked_and_who_is_there(settings) -> None:
    with observing(settings, "test") as cluster:
        with pytest.raises(NoServices, match=r"^nobody is there in cluster 'default' on this host"):
            found(cluster, settings, ())
        with join(name="one", **settings.joining):
            cluster.wait_for_services()
            text = r"^nobody has 'web' and 'db' in cluster 'default' on this host .*there are one$"
            with pytest.raises(NoServices, match=text):
                found(cluster, settings, ("web", "db"))


def test_members_do_not_notice_who_looks_asks_and_tells(settings) -> None:
    noticed: list[object] = []
    asked: list[str] = []
    one = Cluster()
    for point in ("service.discovered", "service.changed", "service.lost"):
        one.hook(point)(noticed.append)
    one.hook("query")(lambda question: question.service.name)
    with one.join(name="one", **settings.joining):
        with observing(settings, "test") as cluster:
            cluster.hook("query")(lambda question: asked.append(question.data))
            name = cluster.config.name
            assert list(cluster.query("who am I?").wait().values()) == [name]
            cluster.send("hello", resolve="one")
            assert one.services == ()
            one.discover()
            with pytest.raises(NoServices):
                one.query("anybody?").wait()
            assert one.broadcast("anybody?") == ()
        with join(name="two", **settings.joining):
            one.wait_for_services()
            assert [service.name for service in one.services] == ["two"]
    assert {service.name for service in noticed} == {"two"}
    assert asked == []


def test_others_who_look_are_not_seen(settings) -> None:
    with observing(settings, "one") as one, observing(settings, "two") as two:
        assert one.services == two.services == ()


@pytest.mark.process
async def test_it_sees_thirty_members_at_once(settings, tmp_path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        members = [AsyncCluster() for _ in range(30)]
        for number, member in enumerate(members):
            await stack.enter_async_context(
                member.join(["all", f"n{number}"], name=f"m{number}", **settings.joining)
            )
        for number, member in enumerate(members):
            member.hook("query")(lambda question, number=number: number * int(question.data))
        seen = await command("members")
        assert sorted(row[0] for row in seen) == sorted(f"m{n}" for n in range(30))
        answers = await command("query", "3", "-r", "all")
        assert sorted(int(row[1]) for row in answers) == [3 * n for n in range(30)]
        heard: asyncio.Queue[str] = asyncio.Queue()
        for member in members:
            member.hook("event")(lambda event: heard.put_nowait(event.data))
        ((told,),) = await command("send", "hello")
        assert told.startswith("delivered to 30 of 30")
        assert [await heard.get() for _ in range(30)] == ["hello"] * 30
        assert all(member.known_services == 29 for member in members)


async def command(*arguments: str) -> list[list[str]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "meshcluster", *arguments,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode == 0
    return [line.split("\t") for line in out.decode().splitlines()]
