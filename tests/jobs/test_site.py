"""A site: where a job runs, what is known of it, and what it may be given."""

import pathlib
import threading
from types import SimpleNamespace

import pytest

from meshcluster.errors import ConfigError
from meshcluster.jobs.site import Site, checked, copied
from meshcluster.model import Identity, Service
from meshcluster.ssh.server import Server

MEMBER = Service(Identity(b"m" * 16, 1, "member", "here"), address="10.0.0.1")


def site(service=None, **config):
    return Site("web1", ("web1", "app", "web"), config, service)


def checks(**config):
    return checked("site 'web1'", config, {})


# --- what it says ---------------------------------------------------------------------------------


def test_its_keys_are_read_like_a_dicts():
    web = site(port=22, color="red")
    assert (web["port"], web.get("color"), web.get("size"), web.get("size", 7)) == (
        22,
        "red",
        None,
        7,
    )
    assert ("port" in web, "size" in web) == (True, False)


def test_a_key_that_there_is_not_is_an_error_that_names_the_site_and_near_keys():
    with pytest.raises(KeyError, match=r"site 'web1' has no 'prot'; did you mean 'port'\?"):
        site(port=22)["prot"]
    with pytest.raises(KeyError, match="site 'web1' has no 'xyz'; there are: port"):
        site(port=22)["xyz"]


@pytest.mark.parametrize(
    ("service", "config", "via", "address"),
    [
        (None, {}, "local", "local"),
        (None, {"user": "ada", "host": None}, "local", "local"),
        (None, {"host": "localhost"}, "ssh", "localhost"),
        (None, {"host": "h", "user": "ada"}, "ssh", "ada@h"),
        (None, {"host": "h", "user": "ada", "port": 22}, "ssh", "ada@h:22"),
        (None, {"host": "::1"}, "ssh", "::1"),
        (None, {"host": "::1", "port": 22}, "ssh", "[::1]:22"),
        (MEMBER, {}, "mesh", "member"),
        (MEMBER, {"host": "10.0.0.1"}, "ssh", "10.0.0.1"),
    ],
)
def test_it_is_here_or_behind_ssh_or_a_member(service, config, via, address):
    found = site(service, **config)
    assert (found.via, found.address) == (via, address)


def test_it_is_a_server_by_its_keys():
    config = {
        "host": "h", "user": "ada", "port": 22, "identity": "key", "ssh_config": "file",
        "options": ["A=b"], "color": "red",
    }  # fmt: skip
    assert site(**config).server == Server(
        name="web1", host="h", user="ada", port=22, identity="key", config="file", options=["A=b"]
    )
    assert site(options=None).server == Server(name="web1")
    assert site(MEMBER).server == Server(name="web1", service=MEMBER)


def test_it_reads_as_one_line_without_its_secrets():
    assert repr(site(host="h", password="secret")) == "<Site web1 h roles=app,web>"
    assert repr(Site("a", ("a",))) == "<Site a local>"


# --- what it is given -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [
        {"host": "h", "user": "u", "port": 1, "identity": "f", "ssh_config": "f", "options": ["a"]},
        {"identity": pathlib.Path("f"), "options": ()},
        {"ssh": "dbclient"},
        {"ssh": ["env", "ssh"]},
        {"connect_timeout": 1, "cwd": "/srv", "sh": "bash", "env": {"A": "b", "EMPTY": ""}},
        {"passwords": object, "color": {"any": ["thing"]}, "host2": 7},
        dict.fromkeys(("host", "user", "port", "options", "ssh", "cwd", "env", "sh", "passwords")),
    ],
)
def test_keys_that_mean_something_are_checked_and_others_are_the_users_own(config):
    assert checks(**config) == config


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("host", ""), ("host", "-oProxyCommand=x"), ("host", 7), ("user", "-l"), ("user", 7),
        ("port", "22"), ("port", 0), ("port", True), ("identity", 7), ("ssh_config", 7),
        ("options", "A=b"), ("options", [7]), ("ssh", ""), ("ssh", []), ("ssh", [""]), ("ssh", 7),
        ("connect_timeout", 0), ("connect_timeout", "1"), ("connect_timeout", float("nan")),
        ("cwd", ""), ("cwd", 7), ("cwd", "a\0"), ("env", ["A=b"]), ("env", {"A": 7}),
        ("env", {"": "a"}), ("env", {"A=b": "c"}), ("env", {"A": "\0"}), ("sh", ""), ("sh", ["sh"]),
    ],
)  # fmt: skip
def test_a_value_that_cannot_work_is_refused_with_the_site_and_the_key(key, value):
    with pytest.raises(ConfigError, match=f"^site 'web1': {key}="):
        checks(**{key: value})


@pytest.mark.parametrize(("config", "hint"), [({7: 1}, "7 is no key"), (["host"], "a dict")])
def test_what_is_given_is_a_dict_by_texts(config, hint):
    with pytest.raises(ConfigError, match=f"^site 'web1': .*{hint}"):
        checked("site 'web1'", config, {})


# --- copies ---------------------------------------------------------------------------------------


class Cache:
    shared = True


class Slotted:
    __slots__ = ("inner",)

    def __init__(self, inner):
        self.inner = inner


def test_what_is_given_is_copied_deep():
    inner = SimpleNamespace(items=[1])
    config = {"a": [{"b": inner}]}
    made = copied("here", config)
    made["a"][0]["b"].items.append(2)
    assert inner.items == [1]
    assert config == {"a": [{"b": inner}]}


def test_what_is_shared_stays_the_same_object_wherever_it_is():
    cache = Cache()
    config = {
        "a": cache, "b": [{"c": (cache,)}], "d": SimpleNamespace(e=[Slotted(cache)]),
        "f": frozenset([cache]),
    }  # fmt: skip
    made = copied("here", config)
    found = [made["a"], made["b"][0]["c"][0], made["d"].e[0].inner, *made["f"]]
    assert all(each is cache for each in found)
    assert made["d"] is not config["d"]


def test_what_contains_itself_is_copied_too():
    ring = [1]
    ring.append(ring)
    made = copied("here", {"ring": ring})["ring"]
    assert made is not ring
    assert made[1] is made


def test_what_cannot_be_copied_is_refused_with_what_would_work():
    with pytest.raises(ConfigError, match=r"^site 'web1': lock=.*cannot be copied.*shared = True"):
        checks(lock=threading.Lock())


@pytest.mark.parametrize(
    ("key", "meant"), [("hostname", "host"), ("Hosts", "host"), ("usr", "user"), ("role", "roles")]
)
def test_a_key_that_was_meant_to_be_another_is_no_key_of_the_users_own(key, meant):
    with pytest.raises(ConfigError, match=rf"box: {key}= says nothing here; did you mean {meant}="):
        checked("box", {key: "w1"}, {})
