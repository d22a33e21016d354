"""Exposing as it goes on: before and after joining, again after leaving, and what does not fit."""

import asyncio
import gc
import weakref
from contextlib import suppress

import pytest

from meshcluster import AsyncCluster, ConfigError, MessageTooLarge, NotExposed
from meshcluster.rpc.letters import MAILBOX
from tests.waiting import eventually


def soon(awaitable):
    return asyncio.wait_for(awaitable, 10)


def echo(x):
    return x


async def test_who_only_calls_offers_nothing_and_is_asked_nothing(two, settled):
    await two.expose(echo)
    assert await two.caller.call("echo", 1) == 1
    assert two.server.services[0].offers == {}
    assert two.server.exposed == {}
    with pytest.raises(NotExposed):
        two.server.go("echo", 1)


async def test_who_called_may_expose_and_who_exposes_may_call(two):
    await two.expose(echo)
    assert await two.caller.call("echo", 1) == 1
    waiting = two.caller.go("echo", 2)
    two.caller.expose(echo, name="back")
    assert await waiting == 2
    await two.server.wait_for_exposed("back")
    assert await two.server.call("back", 3) == 3
    assert await two.caller.call("echo", 4) == 4


async def test_what_is_exposed_is_told_at_once_and_so_is_its_end(two):
    changes = []
    two.caller.hook("service.changed")(lambda service: changes.append(list(two.caller.exposed)))
    for name in "ab":
        two.server.expose(echo, name=name)
        await eventually(lambda name=name: name in two.caller.exposed)
    two.server.unexpose("a")
    await eventually(lambda: list(two.caller.exposed) == ["b"])
    two.server.unexpose("b")
    await eventually(lambda: two.caller.exposed == {})
    two.server.expose(echo, name="c")
    await two.caller.wait_for_exposed("c")
    assert await two.caller.call("c", 1) == 1
    assert changes[0] == ["a"]


async def test_exposed_is_a_copy(two):
    await two.expose(echo)
    two.caller.exposed.clear()
    assert list(two.caller.exposed) == ["echo"]


async def test_a_newcomer_knows_what_is_exposed_when_it_knows_the_member(two, join):
    await two.expose(echo)
    newcomer = await join()
    await newcomer.wait_for_services(1, resolve="server")
    assert list(newcomer.exposed) == ["echo"]
    assert newcomer.exposed["echo"] == newcomer.resolve("server")


@pytest.mark.parametrize("first", [True, False], ids=["the first", "a later one"])
async def test_more_than_a_member_may_say_of_itself_is_refused_and_changes_nothing(two, first):
    class Large: ...

    for number in range(2000):
        setattr(Large, f"a_method_with_a_long_name_{number:06}", lambda self, a=1: a)
    if not first:
        await two.expose(echo)
    with pytest.raises(MessageTooLarge):
        two.server.expose(Large())
    await two.expose(echo, "second")
    assert list(two.caller.exposed) == (["second"] if first else ["echo", "second"])
    assert await two.caller.call("second", 1) == 1
    assert two.server.unexpose("Large") == 0


async def test_what_was_exposed_too_large_before_joining_is_told_when_joining(beacon_port):
    class Large: ...

    for number in range(2000):
        setattr(Large, f"a_method_with_a_long_name_{number:06}", lambda self, a=1: a)
    cluster = AsyncCluster()
    with suppress(MessageTooLarge):
        cluster.expose(Large())
        async with cluster.join(port=beacon_port):
            pytest.fail("nobody can hear of that")


async def test_exposing_before_joining_and_between(join, beacon_port):
    caller, server = await join(), AsyncCluster()
    server.expose(echo, name="first")
    with pytest.raises(ConfigError, match="exposed already"):
        server.expose(echo, name="first")
    async with server.join(port=beacon_port):
        await caller.wait_for_exposed("first")
        server.expose(echo, name="second")
        await caller.wait_for_exposed("second")
    await eventually(lambda: caller.exposed == {})
    server.expose(echo, name="third")
    assert server.unexpose("first") == 1
    async with server.join(port=beacon_port):
        await caller.wait_for_exposed("third")
        assert list(caller.exposed) == ["second", "third"]
        assert [await caller.call(name, 1) for name in ("second", "third")] == [1, 1]


async def test_a_member_that_is_left_and_dropped_is_freed(beacon_port):
    cluster = AsyncCluster()
    cluster.expose(echo)
    async with cluster.join(port=beacon_port):
        pass
    ref = weakref.ref(cluster._functions)
    del cluster
    await asyncio.sleep(0)
    gc.collect()
    assert ref() is None


async def test_the_name_of_its_mailbox_is_taken_and_that_is_said(join):
    member = await join()
    member.mailbox(MAILBOX)
    with pytest.raises(ConfigError, match="open already"):
        member.expose(echo)
