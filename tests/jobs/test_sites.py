"""Sites by role: what is added, updated, removed, listed and looked up; see also test_following."""

import logging
import threading

import pytest

from meshcluster.errors import ConfigError
from meshcluster.jobs.site import Site
from meshcluster.jobs.sites import Sites


@pytest.fixture
def sites():
    return Sites()


class Cache:
    shared = True


# --- add ------------------------------------------------------------------------------------------


def test_a_site_is_in_its_roles_and_in_one_of_its_own_name(sites):
    sites.add("s1", "app")
    assert sites.list("s1") == sites.list("app") == ["s1"]
    assert sites.get("s1") == Site("s1", ("s1", "app"), {"name": "s1"})


def test_names_and_roles_are_single_or_in_nested_lists(sites):
    sites.add(["s1", ["s2", ("s3",)]], ["app", [["web"]]])
    assert sites.list("app") == sites.list("web") == ["s1", "s2", "s3"]
    assert sites.get("s2").roles == ("s2", "app", "web")


def test_all_that_is_added_together_has_all_roles_and_a_copy_of_config_each(sites):
    config = {"items": [1]}
    sites.add(["s1", "s2"], "app", config, color="red")
    sites.get("s1")["items"].append(2)
    config["items"].append(3)
    assert sites.get("s1").config == {"name": "s1", "items": [1], "color": "red"}
    assert sites.get("s2").config == {"name": "s2", "items": [1], "color": "red"}


def test_roles_may_be_left_out_before_config(sites):
    sites.add("s1", {"color": "red"})
    assert sites.get("s1") == Site("s1", ("s1",), {"name": "s1", "color": "red"})


def test_the_name_cannot_be_set_by_config(sites):
    sites.add("s1", config={"name": "other"})
    sites.defaults("s1", {"name": "third"})
    assert sites.get("s1")["name"] == "s1"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("a b",), "^names='a b': a name has letters"),
        (("",), "^names=''"),
        ((["good", None],), "^names=None"),
        (("good", "web-*"), r"^roles='web-\*'"),
        (("good", "app", {"port": "x"}), "^site 'good': port='x': a number"),
        ((["good", "fine"], "app", {"port": "x"}), "^sites good, fine: port='x'"),
        (("good", "app", [1]), "^site 'good': config="),
    ],
)
def test_what_cannot_work_is_refused_and_nothing_is_added(sites, arguments, text):
    with pytest.raises(ConfigError, match=text):
        sites.add(*arguments)
    assert len(sites) == 0


# --- add again ------------------------------------------------------------------------------------


def test_who_is_added_again_is_updated(sites):
    sites.add("s1", "app", {"a": {"x": 1, "y": 2}, "b": 1})
    sites.add("s1", "web", {"a": {"x": 3}, "c": 4})
    found = sites.get("s1")
    assert found.roles == ("s1", "app", "web")
    assert found.config == {"name": "s1", "a": {"x": 3}, "b": 1, "c": 4}  # nested ones go whole


def test_a_function_may_merge_in_place(sites):
    def merge(existing, new):
        existing["items"] += new["items"]

    sites.add("s1", config={"items": [1]}, merge=merge)  # there is nothing to merge yet
    sites.add(["s1", "s2"], config={"items": [2], "other": 1}, merge=merge)
    assert sites.get("s1").config == {"name": "s1", "items": [1, 2]}
    assert sites.get("s2").config == {"name": "s2", "items": [2], "other": 1}


def test_a_function_may_return_what_is_merged(sites):
    sites.add("s1", config={"a": 1})
    sites.add("s1", config={"b": 2}, merge=lambda existing, new: {**new, "had": list(existing)})
    assert sites.get("s1").config == {"name": "s1", "b": 2, "had": ["a"]}


@pytest.mark.parametrize(
    "wrong", [lambda a, b: a.update(port="x"), lambda a, b: 7, lambda a, b: 1 / 0]
)
def test_nothing_is_changed_by_a_merge_that_fails(sites, wrong):
    sites.add(["s1", "s2"], config={"a": 1})
    with pytest.raises((ConfigError, ZeroDivisionError)):
        sites.add(["new", "s1", "s2"], "app", {"b": 2}, merge=wrong)
    assert (sites.list(), sites.list("app")) == (["s1", "s2"], [])
    assert sites.get("s1").config == {"name": "s1", "a": 1}


def test_a_site_called_like_a_role_of_others_is_fine_but_warned_of_once(sites, caplog):
    sites.add(["s1", "s2"], "app")
    assert caplog.messages == []
    sites.add("app", "app")
    assert caplog.messages == ["app is the name of a site, and a role of others"]
    sites.add("app", "web")
    sites.add("s3", "app")
    assert len(caplog.messages) == 1
    assert sites.list("app") == ["s1", "s2", "app", "s3"]


def test_a_role_called_like_a_site_is_warned_of_too(sites, caplog):
    sites.add("s1", "s1")
    assert caplog.messages == []
    sites.add("s2", "s1")
    assert (len(caplog.messages), sites.list("s1")) == (1, ["s1", "s2"])
    sites.remove("s2")
    sites.add("s2", "s1")
    assert len(caplog.messages) == 2


# --- update, remove -------------------------------------------------------------------------------


def test_an_update_is_for_those_who_are_in_the_roles_now(sites):
    sites.add(["s1", "s2"], "app")
    assert sites.update("app", "new", {"color": "red"}) == ["s1", "s2"]
    sites.add("s3", "app")
    assert sites.list("new") == ["s1", "s2"]
    assert sites.get("s1")["color"] == "red"
    assert "color" not in sites.get("s3")


def test_an_update_makes_no_site(sites):
    assert sites.update("nobody", "new", color="red") == []
    assert (len(sites), sites.list("new")) == (0, [])


def test_an_update_merges_as_add_does(sites):
    sites.add("s1", "app", {"n": 1})
    sites.update("app", {"n": 2}, merge=lambda old, new: {"n": old["n"] + new["n"]})
    assert sites.get("s1")["n"] == 3


def test_a_site_that_is_removed_is_no_more(sites):
    sites.add(["site1", "site2"], "app")
    sites.remove("site1")
    assert (sites.list(), sites.list("app"), sites.list("site1")) == (["site2"], ["site2"], [])
    assert sites.get("site1") is None
    with pytest.raises(ConfigError, match=r"no site 'site' .*did you mean 'site2'\?"):
        sites.remove(["site2", "site"])
    assert sites.list() == ["site2"]


def test_roles_are_taken_from_sites(sites):
    sites.add(["s1", "s2"], ["app", "web"])
    sites.discard_roles("s1", ["app", "unknown"])
    assert (sites.list("app"), sites.list("web")) == (["s2"], ["s1", "s2"])
    sites.add("s1", "app")
    assert sites.list("app") == ["s2", "s1"]  # it joined last
    with pytest.raises(ConfigError, match="own name"):
        sites.discard_roles(["s2", "s1"], ["web", "s1"])
    assert sites.list("web") == ["s1", "s2"]


# --- defaults -------------------------------------------------------------------------------------


def test_defaults_are_for_whoever_is_in_the_role_when_it_is_looked_up(sites):
    sites.defaults("app", {"color": "red", "items": []}, size=1)
    sites.add("s1", "app", {"size": 2})
    found = sites.get("s1")
    assert found.config == {"name": "s1", "color": "red", "items": [], "size": 2}
    found["items"].append(1)
    assert sites.get("s1")["items"] == []
    sites.discard_roles("s1", "app")
    assert sites.get("s1").config == {"name": "s1", "size": 2}


def test_of_two_defaults_the_later_one_counts(sites):
    sites.add("s1", ["app", "web"])
    sites.defaults("web", a=1, b=1)
    sites.defaults("app", a=2)
    assert (sites.get("s1")["a"], sites.get("s1")["b"]) == (2, 1)
    sites.defaults(["web"], a=3)
    assert sites.get("s1")["a"] == 3


@pytest.mark.parametrize(
    ("roles", "config", "text"),
    [("app", {"port": 0}, "^defaults of app: port=0"), ("web-*", {}, r"^roles='web-\*'")],
)
def test_defaults_that_cannot_work_are_refused(sites, roles, config, text):
    with pytest.raises(ConfigError, match=text):
        sites.defaults(roles, config)


# --- list, get ------------------------------------------------------------------------------------


@pytest.fixture
def some(sites):
    sites.add("s3", "web")
    sites.add("s1", ["app", "db"])
    sites.add("s2", ["web", "app"])
    sites.add("s3", "app")
    return sites


@pytest.mark.parametrize(
    ("roles", "found"),
    [
        (None, "s3 s1 s2"),
        ("app", "s1 s2 s3"),
        ("web", "s3 s2"),
        (["db", "web"], "s1 s3 s2"),
        ("db, web", "s1 s3 s2"),
        (["app", "web"], "s1 s2 s3"),
        (["s2", "app"], "s2 s1 s3"),
        ("app & web", "s3 s2"),
        ("app | web", "s3 s1 s2"),
        ("!web", "s1"),
        ("s*", "s3 s1 s2"),
        ("unknown", ""),
        ([], ""),
    ],
)
def test_a_list_has_each_site_once_in_the_order_of_joining_the_role(some, roles, found):
    assert " ".join(some.list(roles)) == found


@pytest.mark.parametrize(
    ("roles", "where", "found"),
    [
        ("app", "web", "s2 s3"),
        ("app", ["db", "s3"], "s1 s3"),
        (None, "!web", "s1"),
        ("app", "unknown", ""),
        ("app", [], ""),
        ("app", None, "s1 s2 s3"),
    ],
)
def test_a_list_may_be_narrowed_by_other_roles(some, roles, where, found):
    assert " ".join(some.list(roles, where)) == found


def test_words_that_cannot_be_understood_are_an_error(some):
    for words in ({"roles": "app &"}, {"where": "app &"}):
        with pytest.raises(ConfigError, match="at character 6"):
            some.list(**words)


def test_a_role_is_no_site(some):
    assert some.get("app") is None
    assert ("app" in some, "s1" in some, 7 in some) == (False, True, False)


def test_all_sites_and_all_roles_can_be_seen(some):
    assert [site.name for site in some] == ["s3", "s1", "s2"]
    assert (len(some), repr(some)) == (3, "<Sites 3>")
    assert some.roles() == {
        "s3": ["s3"], "web": ["s3", "s2"], "app": ["s1", "s2", "s3"], "s1": ["s1"], "db": ["s1"],
        "s2": ["s2"],
    }  # fmt: skip


def test_what_is_shared_is_the_same_object_for_all(sites):
    cache = Cache()
    sites.add(["s1", "s2"], config={"passwords": cache, "deep": [{"cache": cache}]})
    assert sites.get("s1")["passwords"] is sites.get("s2")["deep"][0]["cache"] is cache


def test_there_may_be_no_hosts_at_all_behind_sites(sites):
    sites.add(["red", "blue"], "color", {"rgb": (1, 2, 3)})
    assert [sites.get(name)["rgb"] for name in sites.list("color")] == [(1, 2, 3)] * 2


# --- watch, fate, threads -------------------------------------------------------------------------


def test_who_watches_is_told_of_each_change(sites):
    told = []
    end = sites.watch(lambda: told.append(sites.list()))
    sites.add("s1", "app")
    sites.update("app", color="red")
    sites.defaults("app", color="blue")
    sites.discard_roles("s1", "app")
    sites.remove("s1")
    assert told == [["s1"], ["s1"], ["s1"], ["s1"], []]
    end()
    sites.add("s2")
    assert len(told) == 5
    end()


def test_what_a_watcher_raises_is_logged_and_harms_nobody(sites, caplog):
    told = []
    sites.watch(lambda: 1 / 0)
    sites.watch(lambda: told.append(1))
    sites.add("s1")
    assert told == [1]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_a_site_that_was_removed_has_left(sites):
    sites.add("s1")
    assert sites.fate("s1") == ""
    sites.remove("s1")
    assert sites.fate("s1") == "left"
    sites.add("s1")
    assert sites.fate("s1") == ""


def test_it_may_be_used_from_many_threads(sites):
    wrong = []

    def work(number):
        try:
            for turn in range(30):
                sites.add(f"s{number}", ["app", f"role{turn}"], {"turn": turn})
                assert f"s{number}" in sites.list("app")
                assert sites.get(f"s{number}")["turn"] == turn
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (wrong, len(sites), len(sites.list("role7"))) == ([], 4, 4)


def test_it_can_be_loaded_from_a_file(tmp_path):
    file = tmp_path / "sites.toml"
    file.write_text('[sites.s1]\nroles = "app"\n')
    assert Sites.load(file).list("app") == ["s1"]
