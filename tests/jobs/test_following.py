"""Members of the mesh as sites: their names, how they are reached, what became of them."""

import asyncio
import threading

import pytest

from meshcluster import AsyncCluster, Cluster
from meshcluster.errors import ConfigError
from meshcluster.jobs.sites import Sites

MEMBER = """
import json, sys
from meshcluster import Cluster

with Cluster().join(["app"], port=int(sys.argv[1]), name=sys.argv[2]):
    print(json.dumps("joined"), flush=True)
    sys.stdin.readline()
"""


class Seen:
    """Sites, and a way to wait until they are as a test wants."""

    def __init__(self, sites):
        self._changed = threading.Condition()
        self.end = sites.watch(self._told)

    def _told(self):
        with self._changed:
            self._changed.notify_all()

    def until(self, condition):
        with self._changed:
            assert self._changed.wait_for(condition, 20), "not in twenty seconds"


@pytest.fixture
def one(join):
    return join(name="one")


@pytest.fixture
def sites():
    with Sites() as sites:
        yield sites


@pytest.fixture
def seen(sites):
    return Seen(sites)


def test_members_are_sites_as_they_come_change_and_go(one, join, sites, seen):
    sites.follow(one.live("app"))
    assert sites.list() == []
    web = join("app", "primary", "not a role", name="web")
    seen.until(lambda: sites.list("app") == ["web"])
    found = sites.get("web")
    assert found.roles == ("web", "app", "primary")
    assert (found.via, found.address, found.config) == ("mesh", "web", {"name": "web"})
    assert found.service == found.server.service == one.resolve("web")[0]
    web.tags.append("more")
    seen.until(lambda: sites.list("more") == ["web"])
    assert sites.fate("web") == ""
    web.tags.remove("app")
    seen.until(lambda: sites.list() == [])
    assert sites.fate("web") == "left"  # it lives, but is not meant any more
    web.tags.append("app")
    seen.until(lambda: "web" in sites)
    assert sites.fate("web") == ""
    web.leave()
    seen.until(lambda: len(sites) == 0)
    assert (sites.fate("web"), sites.get("web")) == ("left", None)


def test_sites_that_were_added_come_first_and_keep_their_names(one, join, sites, seen):
    sites.add("web", "db")
    web = join("app", name="web")
    (service,) = one.wait_for_services()
    sites.follow(one.live("app"), roles="db", config={"items": []})
    named = f"web-{service.id[:8]}"
    assert sites.list() == sites.list("db") == ["web", named]
    assert sites.list("web") == ["web"]
    assert sites.get(named).roles == (named, "app", "db")
    sites.get(named)["items"].append(1)
    assert sites.get(named)["items"] == []
    assert sites.roles()["db"] == ["web", named]
    assert sites.update("db", color="red") == ["web"]
    sites.defaults("app", color="blue")
    assert [site["color"] for site in sites] == ["red", "blue"]
    with pytest.raises(ConfigError, match=r"no site .* that was added"):
        sites.remove(named)
    web.leave()
    seen.until(lambda: sites.list("db") == ["web"])


def test_members_of_one_name_are_told_apart_and_keep_the_names_they_have(one, join, sites, seen):
    sites.follow(one.live("app"))
    twin = join("app", name="twin")
    seen.until(lambda: sites.list() == ["twin"])
    join("app", name="twin")
    seen.until(lambda: len(sites) == 2)
    first, second = sites
    assert (first.name, second.name) == ("twin", f"twin-{second.service.id[:8]}")
    with Sites() as others:
        others.follow(one.live("app"))
        names = [site.name for site in others]
        assert names == [f"twin-{site.service.id[:8]}" for site in sites]
    sites.add("twin")  # whose name it is now
    assert sites.list("app") == [f"twin-{first.service.id[:8]}", second.name]
    twin.leave()
    seen.until(lambda: sites.list("app") == [second.name])


def test_what_no_site_may_have_in_its_name_is_replaced(one, join, sites):
    join("app", name="my web (1)")
    one.wait_for_services()
    sites.follow(one.live("app"))
    (site,) = sites
    assert (site.name, site.address) == ("my_web__1_", "my web (1)")


def test_a_member_that_is_followed_twice_is_one_site(one, join, sites):
    join("app", "db", name="both")
    join("db", name="web")
    one.wait_for_services(2)
    sites.follow(one.live("app"), roles="x", config={"by": 1})
    sites.follow(one.live("db"), roles="y", config={"by": 2})
    assert {site.name: (site.roles, site["by"]) for site in sites} == {
        "both": (("both", "app", "db", "x", "y"), 1),
        "web": (("web", "db", "y"), 2),
    }


def test_members_may_be_reached_by_ssh_or_as_a_function_says(one, join, sites, caplog):
    def via(service):
        if service.name == "bad":
            return {"port": "x"}
        return None if service.name == "left out" else {"host": f"{service.name}.lan", "n": [1]}

    for name in ("web", "left out", "bad"):
        join("app", name=name)
    one.wait_for_services(3)
    sites.follow(one.live("app"), via=via, config={"user": "ada"})
    (site,) = sites
    assert site.config == {"name": "web", "host": "web.lan", "n": [1], "user": "ada"}
    assert (site.via, site.address, site.service.name) == ("ssh", "ada@web.lan", "web")
    assert (sites.get("web").name, sites.get("bad")) == ("web", None)
    assert caplog.text.count("via= raised: bad is left out") == 1
    with Sites() as others:
        others.follow(one.live("web"), via="ssh", config={"port": 22})
        (site,) = others
        assert (site.via, site.address) == ("ssh", f"{site.service.address}:22")


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"via": "carrier pigeon"}, "^via='carrier pigeon': 'mesh', 'ssh' or a function"),
        ({"config": {"port": 0}}, "^follow: port=0"),
        ({"config": {"host": "h"}}, "^follow: host='h': via='mesh' needs no host"),
        ({"roles": "web-*"}, "^roles="),
        ({"live": ["web"]}, r"^follow\(\['web'\]\): what cluster\.live"),
    ],
)
def test_what_cannot_be_followed_is_refused(sites, settings, text):
    with pytest.raises(ConfigError, match=text):
        sites.follow(**{"live": Cluster().live(), **settings})


@pytest.mark.process
def test_a_member_that_is_killed_is_lost_until_one_of_its_name_comes(
    one, join, sites, seen, talk, beacon_port
):
    sites.follow(one.live("app"))
    talker = talk(MEMBER, beacon_port, "web")
    assert talker.hear() == "joined"
    seen.until(lambda: "web" in sites)
    talker.popen.kill()
    seen.until(lambda: "web" not in sites)
    assert sites.fate("web") == "lost"
    again = join("app", name="web")
    seen.until(lambda: sites.list() == ["web"])
    assert sites.fate("web") == ""
    again.leave()
    seen.until(lambda: sites.list() == [])
    assert sites.fate("web") == "left"


def test_who_has_gone_is_there_until_it_is_known_why(one, join, sites, seen):
    reached, go_on = threading.Event(), threading.Event()

    @one.hook("service.lost", order=-1)
    def hold(service):
        reached.set()
        assert go_on.wait(20)

    sites.follow(one.live("app"))
    web = join("app", name="web")
    seen.until(lambda: sites.list() == ["web"])
    old = sites.get("web").service
    web.leave()
    assert reached.wait(20)
    assert (one.services, old.state) == ((), "gone")
    assert (sites.list("app"), sites.fate("web")) == (["web"], "")
    new = join("app", name="web")
    one.wait_for_services()
    assert [site.service != old for site in sites] == [True]  # the name is the new one's
    go_on.set()
    new.leave()
    seen.until(lambda: sites.list() == [])
    assert sites.fate("web") == "left"


def test_members_are_no_sites_any_more_when_we_leave_or_follow_no_longer(
    one, join, sites, seen, beacon_port
):
    web = join("app", name="web")
    one.wait_for_services()
    sites.follow(one.live("app"))
    sites.add("s1")
    assert sites.list() == ["s1", "web"]
    one.leave()
    assert (sites.list(), sites.fate("web")) == (["s1"], "lost")  # nobody knows
    web.leave()
    with one.join(port=beacon_port):
        assert (sites.list(), sites.fate("web")) == (["s1"], "lost")
        join("app", name="web")
        seen.until(lambda: sites.list() == ["s1", "web"])
        sites.close()
        assert (sites.list(), sites.fate("web")) == (["s1"], "left")
        sites.close()


async def test_an_async_clusters_members_are_sites_too_from_any_thread(beacon_port):
    async with AsyncCluster().join(port=beacon_port) as one:
        told = asyncio.Event()
        with Sites() as sites:
            sites.follow(one.live("app"))
            sites.watch(told.set)
            async with AsyncCluster().join(["app"], name="web", port=beacon_port):
                await asyncio.wait_for(told.wait(), 20)
                assert await asyncio.to_thread(sites.list, "app") == ["web"]
