"""AsyncCluster: joining and leaving, members and tags, hooks, messages."""

import asyncio
import threading
import time
from contextlib import AsyncExitStack
from functools import partial

import psutil
import pytest

from meshcluster import (
    AsyncCluster,
    ConfigError,
    Congested,
    HookRejected,
    MessageTooLarge,
    NoRoute,
    NoServices,
    NotJoined,
    PluginError,
)
from meshcluster.config import ClusterConfig, Limits


@pytest.fixture
async def join(beacon_port):
    """Joins members of a mesh of this test's own; all leave at the end."""
    async with AsyncExitStack() as stack:

        async def join(*tags, cluster=None, cluster_name=None, **settings):
            if cluster_name is not None:
                settings["cluster"] = cluster_name
            joining = (cluster or AsyncCluster()).join(tags, port=beacon_port, **settings)
            return await stack.enter_async_context(joining)

        yield join


@pytest.fixture
async def pair(join):
    one, other = await join("one"), await join("other")
    await one.wait_for_services()
    await other.wait_for_services()
    return one, other


def soon(awaitable):
    return asyncio.wait_for(awaitable, 10)


def queue_of(cluster, point, **filters):
    """What a hook gets, to wait for."""
    got = asyncio.Queue()
    cluster.hook(point, **filters)(got.put_nowait)
    return got


# --- joining and leaving -------------------------------------------------------------------


async def test_joining_twice_is_an_error_and_changes_nothing(join):
    one = await join("one")
    with pytest.raises(ConfigError, match="joined already"):
        await join("two", cluster=one)
    assert one.tags == ["one"]


async def test_joining_twice_at_once_lets_one_through(join):
    cluster = AsyncCluster()
    joins = [join(str(n), cluster=cluster, protocols=["tcp"]) for n in range(2)]
    results = await asyncio.gather(*joins, return_exceptions=True)
    assert sorted(type(result) for result in results if result is not cluster) == [ConfigError]


async def test_leaving_is_idempotent_and_needs_no_joining(join):
    await AsyncCluster().leave()
    one = await join()
    await one.leave()
    await one.leave()


async def test_who_left_may_join_again_as_a_new_run(join, beacon_port):
    watcher, one = await join(), AsyncCluster()
    found, lost = queue_of(watcher, "service.discovered"), queue_of(watcher, "service.lost")
    async with one.join(["first"], port=beacon_port):
        first = await soon(found.get())
    assert await soon(lost.get()) == first
    async with one.join(["second"], port=beacon_port):
        second = await soon(found.get())
    assert (second.id, second.tags) == (first.id, ("second",))
    assert second.boot > first.boot
    assert second != first


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"tags": "web"}, ConfigError, r"tags=\['web'\]"),
        ({"ttl": 256}, ConfigError, "ttl=256: 0 to 255"),
        ({"name": "a\nb"}, ConfigError, "printable"),
        ({"cluster": ""}, ConfigError, "cluster=''"),
        ({"address": "10.0.0.1"}, ConfigError, "multicast"),
        ({"heartbeat_seconds": 0}, ConfigError, "heartbeat_seconds=0"),
        ({"expire_seconds": 1}, ConfigError, "twice heartbeat"),
        ({"channels": [-1]}, ConfigError, "channel=-1"),
        ({"protocols": "tcp"}, ConfigError, r"\['tcp'\]"),
        ({"protocols": []}, ConfigError, "at least one"),
        ({"protocols": ["unix", "smoke"]}, PluginError, "'smoke'"),
        ({"protocols": ["unix", "tcp"], "protocol_options": {"tcp": {"speed": 1}}}, ConfigError,
         "speed"),
        ({"protocol_options": {"tcp": {"port": 70000}}}, ConfigError, "70000.*0 to 65535"),
        ({"protocol_options": {"tpc": {"port": 0}}}, ConfigError, "'tpc' is not offered: .*tcp"),
        ({"protocols": ["unix"], "protocol_options": {"tcp": {}}}, ConfigError, "'tcp' .*: unix$"),
        ({"protocol_options": {"tcp": 4000}}, ConfigError, "protocol_options=.*a dict of dicts"),
        ({"protocol_options": ["tcp"]}, ConfigError, "protocol_options=.*a dict of dicts"),
        ({"tags": ["x" * 60 + str(n) for n in range(1100)]}, MessageTooLarge, "tags, props"),
        ({"interfaces": "eth0"}, ConfigError, r"interfaces=\['eth0'\]"),
        ({"interfaces": ["10.0.0.0/99"]}, ConfigError, "no network"),
    ],
)  # fmt: skip
async def test_a_join_that_fails_says_why_and_leaves_nothing_behind(
    beacon_port, runtime_dir, settings, error, text
):
    cluster, held = AsyncCluster(), psutil.Process().num_fds()
    with pytest.raises(error, match=text):
        await cluster.join(**{"port": beacon_port, **settings})
    await asyncio.sleep(0)
    assert psutil.Process().num_fds() == held
    left = [path.name for path in runtime_dir.rglob("*") if not path.is_dir()]
    assert left in ([], ["host-key"])  # which is every member's, and stays
    await cluster.join(port=beacon_port)
    await cluster.leave()


async def test_run_forever_ends_when_the_cluster_is_left(join):
    one = await join()
    running = asyncio.create_task(one.run_forever())
    await asyncio.sleep(0)
    assert not running.done()
    await one.leave()
    await soon(running)
    await soon(one.run_forever())


async def test_a_runtime_directory_that_cannot_be_used_is_named(beacon_port, runtime_dir, caplog):
    """What a read-only file system does, and root can be shown too."""
    cluster = AsyncCluster()
    async with cluster.join(port=beacon_port):
        (folder,) = (path for path in runtime_dir.glob("????????") if path.is_dir())
    folder.rmdir()
    folder.touch()
    with pytest.raises(ConfigError, match=f"{folder.name}.*set MESHCLUSTER_RUNTIME_DIR"):
        await cluster.join(port=beacon_port)


async def test_run_forever_without_having_joined_says_so():
    with pytest.raises(NotJoined, match="await join"):
        await soon(AsyncCluster().run_forever())


# --- members -------------------------------------------------------------------------------


async def test_members_of_other_names_or_ports_are_not_seen(join, beacon_port):
    one = await join("one", cluster=AsyncCluster())
    async with AsyncCluster().join(["b"], cluster="elsewhere", port=beacon_port) as stranger:
        friend = await join("friend")
        assert await friend.wait_for_services() == friend.resolve("one")
        assert stranger.services == ()
    assert [service.tags for service in one.services] == [("friend",)]


async def test_a_cluster_shows_who_it_is_and_whom_it_knows(join):
    cluster = AsyncCluster()
    assert repr(cluster) == "<AsyncCluster not joined>"
    await join(cluster=cluster, name="one")
    assert repr(cluster) == "<AsyncCluster one in default, 0 services known>"
    await join()
    await cluster.wait_for_services()
    assert repr(cluster) == "<AsyncCluster one in default, 1 services known>"


async def test_the_default_port_is_the_environments(beacon_port, monkeypatch):
    monkeypatch.setenv("MESHCLUSTER_PORT", str(beacon_port))
    async with AsyncCluster().join() as one, AsyncCluster().join(port=beacon_port) as other:
        (found,) = await one.wait_for_services()
        assert found.name == other.config.name


async def test_resolve_matches_tags_name_id_host_address_and_localhost(join):
    one, _ = await join(), await join("web", "blue", name="web-1")
    (web,) = await one.wait_for_services()
    for words in [(), ("web",), ("blue", "web"), ("web-1",), (web.id,), (web.host,), ("127.0.0.1",),
                  ("localhost",), ("web", "localhost", "web-1")]:  # fmt: skip
        assert one.resolve(*words) == (web,), words
    assert one.resolve("web", "red") == one.resolve("we") == ()


async def test_two_live_members_may_share_a_name(join):
    one = await join()
    for _ in range(3):
        await join("twin", name="twin")
    assert len(await one.wait_for_services(3, resolve="twin")) == 3


async def test_wait_for_services_says_how_many_there_were(join):
    one, _ = await join(), await join("web")
    await one.wait_for_services()
    (name,) = [service.name for service in one.services]
    there = f"1 member is known: {name}$"
    with pytest.raises(
        TimeoutError, match=rf"^1 of 2 services with resolve='web' after 0\.05 s; {there}"
    ):
        await one.wait_for_services(2, resolve="web", timeout=0.05)
    with pytest.raises(TimeoutError, match=rf"^1 of 3 services after 0\.05 s; {there}"):
        await one.wait_for_services(3, timeout=0.05)


async def test_wait_for_services_names_a_few_of_those_who_are_there(join):
    one = await join()
    for number in range(6):
        await join(name=f"member-{number}")
    await one.wait_for_services(6)
    with pytest.raises(TimeoutError, match=r"6 members are known: (member-\d, ){5}\.\.\.$"):
        await one.wait_for_services(resolve="nobody", timeout=0)


@pytest.mark.parametrize(
    ("ttl", "where"),
    [(0, r"on this host \(ttl=0; the LAN: ttl=1\)"), (1, "within ttl=1")],
)
async def test_who_is_alone_is_told_where_it_looked(join, ttl, where):
    one = await join(ttl=ttl, cluster_name="orders")
    alone = f"nobody else is in cluster 'orders' {where}$"
    with pytest.raises(TimeoutError, match=f"^0 of 1 services after 0 s; {alone}"):
        await one.wait_for_services(timeout=0)
    with pytest.raises(NoServices, match=f"^{alone}"):
        await one.query("x").wait()
    with pytest.raises(NoServices, match=f"^{alone}"):
        await one.send("x", resolve=())
    with pytest.raises(NoServices, match=f"^nobody matches resolve='web'; {alone}"):
        await one.send("x", resolve="web")


async def test_wait_for_services_ends_when_the_cluster_is_left(join):
    one = await join()
    waiting = asyncio.create_task(one.wait_for_services(5, timeout=60))
    await asyncio.sleep(0)
    await one.leave()
    with pytest.raises(NotJoined):
        await soon(waiting)


async def test_changed_tags_are_told_and_resolved_by(pair):
    one, other = pair
    changed = queue_of(one, "service.changed")
    other.tags.append("new", "other")
    assert (await soon(changed.get())).tags == ("other", "new")
    other.tags.remove("other", "absent")
    assert (await soon(changed.get())).tags == ("new",)
    other.tags.replace(["a", "b", "a"])
    assert (await soon(changed.get())).tags == other.tags == ("a", "b")
    (service,) = await one.wait_for_services(resolve=["a", "b"])
    assert one.resolve("new") == ()
    assert service == one.services[0]


async def test_changed_tags_are_told_over_an_open_link_too(pair):
    one, other = pair
    changed = queue_of(one, "service.changed")
    await one.send("open", resolve="other")
    other.tags.append("new")
    assert (await soon(changed.get())).tags == ("other", "new")
    other.tags.append("new")
    other.tags.remove("absent")
    await other.send("after", resolve="one")
    assert changed.empty(), "a change that changes nothing is not told"


async def test_service_validate_refuses_members(join):
    picky = AsyncCluster()
    picky.hook("service.validate")(lambda service: "good" in service.tags)
    await join("picky", cluster=picky)
    found = queue_of(picky, "service.discovered")
    bad = await join("bad")
    await bad.wait_for_services(resolve="picky")
    await join("good")
    assert (await soon(found.get())).tags == ("good",)
    assert [service.tags for service in picky.services] == [("good",)]
    bad.tags.append("good")
    assert (await soon(found.get())).tags == ("bad", "good")


async def test_a_refused_member_cannot_send(join):
    picky = AsyncCluster()
    picky.hook("service.validate")(lambda service: False)
    await join("picky", cluster=picky)
    events = queue_of(picky, "event")
    bad = await join("bad")
    await bad.wait_for_services()
    query = bad.query("x")
    assert await soon(query.wait()) == {}
    (error,) = query.errors.values()
    assert isinstance(error, NoRoute)
    assert "refused us" in str(error)
    await bad.broadcast("x")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(events.get(), 0.1)


# --- hooks ---------------------------------------------------------------------------------


async def test_a_hook_placed_before_joining_hears_everything(join):
    await join("old")
    one = AsyncCluster()
    found = queue_of(one, "service.discovered")
    await join(cluster=one)
    await join("new")
    assert {(await soon(found.get())).tags for _ in range(2)} == {("old",), ("new",)}


async def test_unhook_takes_a_function_from_every_point(pair):
    one, other = pair
    heard, seen = asyncio.Queue(), []
    other.hook("event")(seen.append)
    other.hook("receive")(seen.append)
    assert other.unhook(seen.append) == 2
    assert other.unhook(seen.append) == 0
    other.hook("event")(heard.put_nowait)
    await one.send("x", resolve="other")
    await soon(heard.get())
    assert seen == []


async def test_interceptors_keep_replace_and_veto_in_their_order(pair):
    one, other = pair
    heard = queue_of(other, "event")
    one.hook("send", order=2)(lambda message: message.replace(data=message.data + "b"))
    one.hook("send", order=1)(lambda message: message.replace(data=message.data + "a"))
    one.hook("send")(lambda message: None)
    other.hook("receive")(lambda message: message.replace(data=message.data + "c"))

    @other.hook("receive")
    def veto(message):
        if message.data.startswith("no"):
            raise HookRejected("not here")

    await one.send("no", resolve="other")
    await one.send("x", resolve="other")
    assert (await soon(heard.get())).data == "xabc"
    assert other.dropped["receive: HookRejected"] == 1


def slow(_):
    time.sleep(0.06)


async def test_interceptors_that_hold_the_member_up_are_told(join):
    cluster = AsyncCluster()
    assert cluster.slow_hooks == {}
    for point in ("send", "receive", "service.validate"):
        cluster.hook(point)(slow)
    one, other = await join("one", cluster=cluster), await join("other")
    heard = queue_of(one, "event")
    await one.wait_for_services()
    await other.wait_for_services()
    (name,) = one.slow_hooks
    assert name == f"hook {__name__}.slow"
    validated = one.slow_hooks[name]
    await one.send("x", resolve="other")
    assert one.slow_hooks[name] == validated + 1
    await other.send("x", resolve="one")
    await soon(heard.get())
    assert one.slow_hooks[name] == validated + 2
    assert other.slow_hooks == {}


async def test_a_veto_is_raised_at_the_sender(pair):
    one, _ = pair

    @one.hook("send")
    def veto(message):
        raise HookRejected("never on Sundays")

    for call in (one.send("x", resolve="other"), one.broadcast("x")):
        with pytest.raises(HookRejected, match="never on Sundays"):
            await call
    with pytest.raises(HookRejected, match="never on Sundays"):
        one.query("x")


async def test_event_hooks_may_want_one_channel_or_one_protocol(join):
    one, other = await join(), await join("other", channels=[7])
    await one.wait_for_services()
    seven = queue_of(other, "event", channel=7)
    tcp = queue_of(other, "event", protocol="tcp")
    last = queue_of(other, "event")
    await one.send("0", resolve="other")
    await one.send("7", resolve="other", channel=7)
    await one.send("t", resolve="other", protocols=["tcp"])
    await one.send("end", resolve="other", channel=7, protocols=["tcp"])
    assert sorted([(await soon(last.get())).data for _ in range(4)]) == ["0", "7", "end", "t"]
    assert sorted(seven.get_nowait().data for _ in range(seven.qsize())) == ["7", "end"]
    assert [tcp.get_nowait().data for _ in range(tcp.qsize())] == ["t", "end"]


async def test_a_hook_that_cannot_be_is_refused(pair):
    one, _ = pair
    for point, text in [("evnt", "no hook point 'evnt'.*event"), ("send", "plain functions only")]:
        with pytest.raises(ConfigError, match=text):

            @one.hook(point)
            async def hook(message):
                pass


# --- messages ------------------------------------------------------------------------------


async def test_a_message_says_who_sent_it_by_what_and_where(pair):
    one, other = pair
    heard = queue_of(other, "event")
    sent = await one.send({"a": (1, {2})}, resolve="other")
    message = await soon(heard.get())
    assert (message.data, message.channel, message.protocol) == ({"a": (1, {2})}, 0, "unix")
    assert message.service.tags == ("one",)
    assert [service.tags for service in sent] == [("other",)]


async def test_a_send_to_nobody_says_what_was_asked_for(pair):
    one, _ = pair
    with pytest.raises(NoServices, match=r"resolve=, resolver= or services=; broadcast\(\)"):
        await one.send("x")
    with pytest.raises(NoServices, match="resolve='nobody'; 1 member is known: "):
        await one.send("x", resolve="nobody")
    with pytest.raises(NoServices, match=r"resolver=\['-not', 'other'\]"):
        await one.send("x", resolver=["-not", "other"])
    with pytest.raises(NoServices):
        await one.send("x", services=[])


async def all_acknowledged(cluster):
    while cluster.undelivered:  # noqa: ASYNC110 - nothing tells of an acknowledgement
        await asyncio.sleep(0)


async def test_it_says_who_has_not_acknowledged_what_was_sent(pair):
    one, other = pair
    heard = queue_of(other, "event")
    assert one.undelivered == ()
    sent = await one.send("x", resolve="other")
    assert one.undelivered == sent
    await soon(heard.get())

    await soon(all_acknowledged(one))
    await one.send("y", resolve="other")
    await other.leave()
    await soon(all_acknowledged(one))  # who is gone is not waited for


async def test_a_broadcast_to_nobody_is_no_error(join):
    one = await join()
    assert await one.broadcast("x") == ()


async def test_a_broadcast_reaches_every_member_once(join):
    one, others = await join(), [await join() for _ in range(4)]
    await one.wait_for_services(4)
    queues = [queue_of(other, "event") for other in others]
    assert len(await one.broadcast("x")) == 4
    await one.broadcast("end")
    for queue in queues:
        assert [(await soon(queue.get())).data for _ in range(2)] == ["x", "end"]


async def test_a_receiver_that_does_not_take_its_messages_holds_its_senders_up(join, monkeypatch):
    window, count = 512 * 1024, 100
    limits = Limits(event_window_bytes=window, waiting_messages=count, send_seconds=0.2)
    with monkeypatch.context() as patch:
        small = partial(ClusterConfig, limits=limits)
        patch.setattr("meshcluster.cluster.ClusterConfig", small)
        one, other = await join(), await join("slow")
    await one.wait_for_services()
    go, heard, sent = asyncio.Event(), asyncio.Queue(), 0

    @other.hook("event")
    async def slow(message):
        await go.wait()
        heard.put_nowait(message.data[0])

    other.hook("query")(lambda question: "awake")

    async def flood():
        nonlocal sent
        while await one.send([sent, b"x" * 10_000], resolve="slow"):
            sent += 1

    with pytest.raises(Congested, match=r"did not take .* 0\.2 s"):
        await flood()
    held = (sent - count) * 10_000
    assert held < window + 2 * 64 * 1024, "what the receiver holds is bounded by its credit"
    assert list((await soon(one.query("?").wait())).values()) == ["awake"]
    go.set()
    await one.send([sent, b""], resolve="slow")
    assert [await soon(heard.get()) for _ in range(sent + 1)] == list(range(sent + 1))


async def test_no_thread_is_started(pair):
    assert not [t.name for t in threading.enumerate() if t.name.startswith("meshcluster")]
