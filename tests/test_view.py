"""What both faces of a cluster can be asked and told at any time, from any thread."""

import asyncio
import inspect
import threading
from contextlib import AsyncExitStack

import pytest

from meshcluster import (
    AsyncCluster,
    Cluster,
    ConfigError,
    MessageTooLarge,
    NoServices,
    NotJoined,
)
from tests.waiting import eventually


@pytest.fixture(params=[Cluster, AsyncCluster], ids=["blocking", "async"])
async def join(request, beacon_port):
    """Joins members with either face; all leave at the end."""
    async with AsyncExitStack() as stack:

        async def join(*tags, cluster=None, **settings):
            cluster = cluster or request.param()
            settings = {"port": beacon_port, **settings}
            if isinstance(cluster, AsyncCluster):
                return await stack.enter_async_context(cluster.join(tags, **settings))
            joined = await asyncio.to_thread(cluster.join, tags, **settings)
            stack.push_async_callback(asyncio.to_thread, joined.leave)
            return joined

        join.face = request.param
        yield join


async def done(value):
    """What a call gives, on either face: awaited where it must be."""
    return await value if inspect.isawaitable(value) else value


async def call(function, *args, **settings):
    """Makes a call that may block."""
    if inspect.iscoroutinefunction(function):
        return await function(*args, **settings)
    return await done(await asyncio.to_thread(function, *args, **settings))


@pytest.fixture
async def pair(join):
    one, other = await join("one", name="one"), await join("other", name="other")
    await call(one.wait_for_services)
    await call(other.wait_for_services)
    return one, other


# --- the others --------------------------------------------------------------------------------


async def test_services_are_the_others_in_the_order_of_their_discovery(pair, join):
    one, other = pair
    assert one.known_services == 1
    await join("third")
    await call(one.wait_for_services, 2)
    assert [service.tags[0] for service in one.services] == ["other", "third"]
    assert one.known_services == 2
    await call(other.leave)
    await eventually(lambda: one.known_services == 1)


async def test_resolve_and_resolver_find_members_by_their_words(pair):
    one, _ = pair
    (service,) = one.services
    assert one.resolve() == one.resolve("other", "localhost", service.id) == (service,)
    assert one.resolve("one") == one.resolve("other", "nobody") == ()
    assert one.resolver("-has", "other", "-not", ["old"]) == (service,)
    assert one.resolver("-not", "other") == ()
    with pytest.raises(ConfigError):
        one.resolver("-unknown", "other")


async def test_what_others_would_find_us_by_can_be_asked(pair):
    one, other = pair
    (me,) = other.services
    for words in (["one"], ["localhost"], [me.id, me.host, me.address], [], ["other"], ["one", ""]):
        assert one.resolve_self(*words) == me.resolve(*words)
    assert one.resolver_self("-has", "one", "-not", "other")
    assert one.resolver_self("-exact", ["one"])
    assert not one.resolver_self("-match", "-has", "o*", "-not", "on?")
    one.tags.append("new")
    assert one.resolve_self("new")


async def test_uuid_is_what_others_see(pair):
    one, other = pair
    assert one.uuid == other.services[0].uuid == f"{other.services[0].id}@{other.services[0].host}"


async def test_config_is_what_we_joined_with(join):
    one = await join("one", name="ada", channels=[7])
    assert (one.config.name, one.config.tags, one.config.channels) == ("ada", ("one",), (7,))


# --- ourselves ---------------------------------------------------------------------------------


async def test_props_are_seen_by_others_and_each_change_reaches_them(join):
    one = await join("one", props={"rack": 3})
    other = await join()
    await call(other.wait_for_services)
    assert other.services[0].props == {"rack": 3}
    one.props["rack"] = 4
    one.props.update(row=[1, {"seat": None}], free=True)
    wanted = {"rack": 4, "row": [1, {"seat": None}], "free": True}
    assert one.props == wanted
    await eventually(lambda: other.services[0].props == wanted)
    del one.props["row"]
    await eventually(lambda: other.services[0].props == {"rack": 4, "free": True})
    one.props.clear()
    await eventually(lambda: other.services[0].props == {})


async def test_many_changes_in_one_turn_are_told_once(pair):
    one, other = pair
    changed = []
    other.hook("service.changed")(changed.append)

    def change():
        for number in range(20):
            one.tags.append(f"tag-{number}")
            one.props[f"prop-{number}"] = number

    one._in_loop(change)
    await eventually(lambda: changed)
    one.tags.replace(["end"])
    await eventually(lambda: len(changed) == 2)
    assert len(changed[0].tags) == 21
    assert len(changed[0].props) == 20
    assert changed[1].tags == ("end",)


async def test_a_change_that_says_nothing_new_is_not_told(pair):
    one, other = pair
    changed = []
    other.hook("service.changed")(changed.append)
    one.props["a"] = 1
    await eventually(lambda: len(changed) == 1)
    one.props["a"] = 1
    one.tags.append("one")
    one.tags.remove("not there")
    one.props["a"] = True  # equal, yet something else
    await eventually(lambda: len(changed) == 2)
    assert changed[1].props["a"] is True


async def test_what_is_too_much_or_cannot_travel_is_refused_and_changes_nothing(pair):
    one, _ = pair
    before = dict(one.props), list(one.tags)
    with pytest.raises(MessageTooLarge):
        one.props["large"] = "x" * 70_000
    with pytest.raises(MessageTooLarge):
        one.tags.replace([f"{n:060}" for n in range(1200)])
    with pytest.raises(ConfigError):
        one.props["set"] = {1, 2}
    assert (dict(one.props), list(one.tags)) == before


async def test_a_prop_changed_in_place_later_is_as_it_was_told(pair):
    one, other = pair
    shelf = [1]
    one.props["shelf"] = shelf
    shelf.append(2)
    one.tags.append("later")
    await eventually(lambda: "later" in other.services[0].tags)
    assert other.services[0].props == {"shelf": [1]}
    assert one.props == {"shelf": [1]}


async def test_channels_are_joined_and_left_at_any_time(pair):
    one, other = pair
    heard = []
    other.hook("event")(lambda message: heard.append((message.channel, message.data)))
    other.channels.join(7)
    await call(one.broadcast, "joined", channel=7)
    await eventually(lambda: heard == [(7, "joined")])
    other.channels.leave(7)
    await call(one.broadcast, "left", channel=7)
    await call(one.broadcast, "end")
    await eventually(lambda: len(heard) == 2)
    assert heard[1] == (0, "end")
    assert other.dropped["messages on channels not joined"] == 1
    assert list(one.channels) == [0, 1, 2]


async def test_channels_may_be_joined_before_joining(join):
    cluster = join.face()
    cluster.channels.join(9)
    await join(cluster=cluster, channels=[8])
    assert list(cluster.channels) == [0, 1, 2, 8, 9]


async def test_channels_1_and_2_reach_members_on_this_host(pair):
    one, other = pair
    heard = []
    other.hook("event")(lambda message: heard.append(message.channel))
    for channel in (1, 2):
        await call(one.send, "near", resolve="other", channel=channel)
    await eventually(lambda: heard == [1, 2])


async def test_heartbeat_announces_us_now(join):
    one = await join(heartbeat_seconds=1000, expire_seconds=5000)
    await eventually(lambda: one.dropped.get("datagrams: own copies", 0) == 3)  # no more by itself
    one.heartbeat()
    await eventually(lambda: one.dropped["datagrams: own copies"] == 4)


async def test_discover_asks_everybody_once_in_five_seconds(pair):
    one, _ = pair
    assert one.discover() is True
    assert one.discover() is False


# --- a member at hand --------------------------------------------------------------------------


async def test_a_service_can_be_told_and_asked_itself(pair):
    one, other = pair
    heard = []
    other.hook("event")(lambda message: heard.append((message.data, message.channel)))
    other.hook("query")(lambda question: question.data * 2)
    other.channels.join(7)
    (service,) = one.services
    assert await call(service.send, "told", channel=7, protocols=["tcp"]) == (service,)
    await eventually(lambda: heard == [("told", 7)])
    assert await call(service.query(21, timeout=10).wait) == {service: 42}


async def test_its_standing_is_that_of_now(pair):
    one, other = pair
    (service,) = one.services
    assert service.state == "alive"
    assert 0 <= service.last_seen < 10
    assert service.protocol in ("unix", "tcp")
    assert service.info["state"] == "alive"
    await call(other.leave)
    await eventually(lambda: service.state == "gone")
    assert (service.last_seen, service.protocol) == (None, "")
    with pytest.raises(NoServices):
        await call(service.send, "too late")
    await call(one.leave)
    assert service.state == "gone"
    with pytest.raises(NotJoined):
        await call(service.send, "from nowhere")


async def test_services_come_with_hooks_and_messages_as_well(pair):
    one, other = pair
    got = []
    other.hook("event")(lambda message: got.append(message.service))
    await call(one.broadcast, "who am I?")
    await eventually(lambda: got)
    heard = []
    one.hook("event")(lambda message: heard.append(message.data))
    await call(got[0].send, "you are one")
    await eventually(lambda: heard == ["you are one"])


# --- joined or not -----------------------------------------------------------------------------


@pytest.mark.parametrize("face", [Cluster, AsyncCluster])
@pytest.mark.parametrize(
    "use",
    [
        lambda c: c.services,
        lambda c: c.known_services,
        lambda c: c.resolve("a"),
        lambda c: c.resolver("-has", "a"),
        lambda c: c.config,
        lambda c: c.uuid,
        lambda c: c.resolve_self("a"),
        lambda c: c.resolver_self("-has", "a"),
        lambda c: c.heartbeat(),
        lambda c: c.discover(),
        lambda c: c.dropped,
        lambda c: list(c.props),
        lambda c: c.props.update(a=1),
        lambda c: list(c.tags),
        lambda c: c.tags.append("a"),
    ],
)
def test_before_joining_there_is_nobody_to_ask(face, use):
    with pytest.raises(NotJoined):
        use(face())


@pytest.mark.parametrize("face", [Cluster, AsyncCluster])
def test_before_joining_hooks_channels_and_mailboxes_can_be_set_up(face):
    cluster = face()
    cluster.hook("event")(print)
    cluster.channels.join(7)
    cluster.mailbox("box", print).offer(1)
    assert cluster.slow_hooks == {}


def test_the_blocking_face_may_be_asked_and_told_by_many_threads_at_once(beacon_port):
    with Cluster().join(port=beacon_port) as one:

        def work(number):
            for count in range(50):
                one.tags.append(f"{number}-{count}")
                one.props[f"{number}"] = count
                one.channels.join(100 * number + count + 3)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert len(one.tags) == 200
        assert one.props == {str(number): 49 for number in range(4)}
        assert len(one.channels) == 203
