"""``cluster.live(...)``: a selection that follows the mesh, of both kinds of cluster."""

import asyncio
import threading

import pytest

from meshcluster import AsyncCluster, Cluster, Live


@pytest.fixture
def pair(beacon_port):
    with Cluster().join(["one", "both"], port=beacon_port, name="one") as one:
        with Cluster().join(["other", "both"], port=beacon_port, name="other") as other:
            one.wait_for_services()
            other.wait_for_services()
            yield one, other


class Changes:
    """Notes each change, and lets a test wait for what it wants to see."""

    def __init__(self):
        self.count = 0
        self._changed = threading.Condition()

    def __call__(self):
        with self._changed:
            self.count += 1
            self._changed.notify_all()

    def until(self, condition):
        with self._changed:
            assert self._changed.wait_for(condition, 20), "not in twenty seconds"


def names(live):
    return [service.name for service in live]


def test_it_has_the_members_that_have_all_words(pair):
    one, _ = pair
    assert names(one.live()) == names(one.live("other")) == names(one.live("other", "both"))
    assert names(one.live("other")) == ["other"]
    assert names(one.live("one")) == []
    assert len(one.live("both")) == 1
    assert one.live("both").services == one.resolve("both")
    assert isinstance(one.live(), Live)


def test_it_reads_as_one_line(pair):
    one, _ = pair
    assert repr(one.live("other", "both")) == "<Live other both: 1>"
    assert repr(one.live()) == "<Live all: 1>"


def test_it_follows_who_comes_changes_and_goes(pair, beacon_port):
    one, other = pair
    live, changes = one.live("compute"), Changes()
    end = live.watch(changes)
    assert names(live) == []
    with Cluster().join(["compute"], port=beacon_port, name="third"):
        changes.until(lambda: names(live) == ["third"])
        other.tags.append("compute")
        changes.until(lambda: set(names(live)) == {"third", "other"})
        other.tags.remove("compute")
        changes.until(lambda: names(live) == ["third"])
    changes.until(lambda: names(live) == [])
    end()


def test_who_watches_may_be_told_who_is_lost_and_why(pair, beacon_port):
    one, _ = pair
    heard, changes = [], Changes()
    end = one.live("compute").watch(changes, lost=lambda service: heard.append(service))
    with Cluster().join(["compute"], port=beacon_port, name="third"):
        changes.until(lambda: len(one.live("compute")) == 1)
        assert heard == []
    changes.until(lambda: heard)
    assert [(service.name, service.reason) for service in heard] == [("third", "left")]
    end()


def test_it_has_the_number_of_our_own_run_as_long_as_there_is_one(pair, beacon_port):
    one, other = pair
    ((service,), live) = other.live("one").services, one.live()
    assert live.boot == service.boot
    one.leave()
    assert live.boot is None
    with one.join(port=beacon_port):
        assert live.boot > service.boot


def test_who_watches_no_longer_is_not_told(pair):
    one, other = pair
    watched, left = Changes(), Changes()
    end = one.live().watch(left)
    one.live().watch(watched)
    end()
    before = left.count
    other.tags.append("more")
    watched.until(lambda: watched.count)
    assert left.count == before
    end()


def test_it_is_empty_when_its_cluster_has_left(beacon_port):
    cluster = Cluster()
    live = cluster.live()
    assert (names(live), len(live)) == ([], 0)
    with cluster.join(port=beacon_port):
        assert len(live) == 0
    assert (names(live), repr(live)) == ([], "<Live all: 0>")


def test_a_function_of_a_member_is_called_from_any_thread(pair):
    one, other = pair
    other.expose(lambda x, y=0: (x, y), name="f")
    one.wait_for_exposed("f")
    (service,) = live = one.live("other")
    assert live.go(service, "f", (1,), {"y": 2}, 20.0).result(20) == (1, 2)
    assert not live.is_inside()


async def test_members_of_an_async_cluster_are_called_from_other_threads(beacon_port):
    async with (
        AsyncCluster().join(["one"], port=beacon_port) as one,
        AsyncCluster().join(["other"], port=beacon_port) as other,
    ):
        other.expose(lambda x: x + 1, name="f")
        await one.wait_for_exposed("f")
        (service,) = live = one.live("other")

        def call():
            assert not live.is_inside()
            return live.go(service, "f", (1,), {}, 20.0).result(20)

        assert await asyncio.to_thread(call) == 2
        assert live.is_inside()


async def test_watchers_of_an_async_cluster_are_told_in_its_loop(beacon_port):
    async with AsyncCluster().join(port=beacon_port) as one:
        told = asyncio.Queue()
        end = one.live("new").watch(lambda: told.put_nowait(threading.get_ident()))
        async with AsyncCluster().join(["new"], port=beacon_port):
            assert await asyncio.wait_for(told.get(), 20) == threading.get_ident()
            assert len(one.live("new")) == 1
        end()


def test_the_loop_of_an_async_cluster_may_have_ended(beacon_port):
    from meshcluster import NotJoined

    async def begin():
        async with (
            AsyncCluster().join(["one"], port=beacon_port) as one,
            AsyncCluster().join(["other"], port=beacon_port),
        ):
            (service,) = await one.wait_for_services()
            return one.live(), service

    live, service = asyncio.run(begin())
    assert len(live) == 0
    with pytest.raises(NotJoined):
        live.go(service, "f", (), {}, 1.0)


def test_an_async_cluster_has_it_in_its_loop_alone():
    with pytest.raises(RuntimeError, match="event loop"):
        AsyncCluster().live()
