"""The servers of a dispatcher: a list that stays, or members that come and go."""

import gc

import pytest

from meshcluster import Cluster, ConfigError, Dispatcher, NoWorkers, Serializer, Server
from tests.waiting import until

from .here import FOLDER, children, server


def names(dispatcher):
    return [each.name for each in dispatcher.servers]


@pytest.mark.parametrize(
    ("servers", "found"),
    [
        ("ada@host:22", ["ada@host:22"]),
        (["one", "two"], ["one", "two"]),
        (("one", {"host": "two"}), ["one", "two"]),
        ({"a": "one", "b": {"host": "two"}, "c": Server(host="three")}, ["a", "b", "c"]),
        ([Server(host="one", user="ada"), {}], ["ada@one", "local"]),
        (Server(), ["local"]),
        ({"host": "one", "slots": 3}, ["one"]),
        ({"name": "mine"}, ["mine"]),
        ((name for name in ["one", "two"]), ["one", "two"]),
    ],
)
def test_servers_are_named_one_by_one_in_a_list_or_by_name(dispatch, servers, found):
    assert names(dispatch(servers)) == found


def test_the_users_list_is_copied(dispatch):
    servers = {"a": {"host": "one"}}
    dispatcher = dispatch(servers)
    servers["a"]["host"] = "two"
    servers["b"] = "three"
    assert names(dispatcher) == ["a"]
    assert dispatcher._engine.pool.places[0].server.host == "one"
    assert servers == {"a": {"host": "two"}, "b": "three"}


def test_servers_have_the_dispatchers_settings_unless_they_say_themselves(dispatch):
    dispatcher = dispatch(
        ["one", {"host": "two", "slots": 3}, {"host": "three", "python": "python3"}],
        slots=2, python="pypy3",
    )  # fmt: skip
    servers = [place.server for place in dispatcher._engine.pool.places]
    assert [each.slots for each in servers] == [2, 3, 2]
    assert [each.python for each in servers] == ["pypy3", "pypy3", "python3"]


@pytest.mark.parametrize(
    "setting", [{"slots": 1}, {"slots": 2}, {"command": "work"}, {"python": "python3"}]
)
def test_settings_of_all_servers_are_refused_beside_one_that_says_them_itself(setting):
    with pytest.raises(ConfigError, match=rf"^{next(iter(setting))}=: the Server 'three' says"):
        Dispatcher(["one", Server(host="three")], **setting)


# --- members by another way -----------------------------------------------------------------------


@pytest.fixture
def caller(join):
    return join(name="caller")


def test_a_member_may_be_reached_by_another_way_than_the_mesh(caller, join, dispatch):
    join("compute", name="ada")
    caller.wait_for_services()
    dispatcher = dispatch(
        caller.live("compute"), via=lambda service: server(service.name), setup="errands:register"
    )
    assert dispatcher.submit("errands:echo", 1).result(20) == 1
    assert dispatcher.submit(len, "abc").result(20) == 3
    assert names(dispatcher) == ["ada"]


def test_a_member_for_which_there_is_no_way_is_left_out(caller, join, dispatch):
    join("compute", name="ada")
    join("compute", name="bob")
    caller.wait_for_services(2)
    dispatcher = dispatch(
        caller.live("compute"),
        via=lambda service: server("bob") if service.name == "bob" else None,
    )
    assert names(dispatcher) == ["bob"]


def test_members_by_another_way_come_and_go_too(caller, beacon_port, dispatch):
    dispatcher = dispatch(
        caller.live("compute"), via=lambda service: server(service.name), patience=30
    )
    before = children()
    future = dispatcher.submit("errands:echo", 1)
    with Cluster().join(["compute"], port=beacon_port, name="ada"):
        assert future.result(20) == 1
        assert names(dispatcher) == ["ada"]
    until(lambda: names(dispatcher) == [])
    until(lambda: children() <= before)
    with Cluster().join(["compute"], port=beacon_port, name="bob"):
        assert dispatcher.submit("errands:echo", 2).result(20) == 2


def test_members_whose_ways_have_one_name_are_told_apart(caller, join, dispatch):
    for name in ("ada", "bob"):
        join("compute", name=name)
    caller.wait_for_services(2)
    dispatcher = dispatch(caller.live("compute"), via=lambda service: Server(path=[str(FOLDER)]))
    assert len(set(names(dispatcher))) == 2


def test_members_of_one_name_are_told_apart(caller, beacon_port, join, dispatch):
    for _ in range(2):
        join("compute", name="twin")
    caller.wait_for_services(2)
    dispatcher = dispatch(caller.live("compute"))
    assert len(set(names(dispatcher))) == 2
    assert all(name.startswith("twin-") for name in names(dispatcher))


def test_a_way_that_raises_is_raised_at_once_and_nothing_follows_the_mesh(caller, join):
    join("compute", name="ada")
    caller.wait_for_services()
    before = len(caller._cluster._hooks.hooks("service.lost"))
    for way, error in ((lambda service: 1 / 0, ZeroDivisionError), (str, ConfigError)):
        with pytest.raises(error):
            Dispatcher(caller.live("compute"), via=way)

    def followers():
        gc.collect()
        return len(caller._cluster._hooks.hooks("service.lost")) - before

    until(lambda: followers() == 0)


def test_a_way_that_raises_later_leaves_that_member_out(caller, join, dispatch, caplog):
    def way(service):
        if service.name == "bad":
            raise ZeroDivisionError
        return server(service.name)

    dispatcher = dispatch(caller.live("compute"), via=way)
    join("compute", name="bad")
    join("compute", name="good")
    assert dispatcher.submit("errands:echo", 1).result(20) == 1
    until(lambda: names(dispatcher) == ["good"])
    assert "via= raised" in caplog.text


def test_a_way_is_for_members_only():
    with pytest.raises(ConfigError, match="via="):
        Dispatcher(["one"], via=lambda service: None)


@pytest.mark.parametrize(
    "setting",
    [
        {"unsafe_pickle": True}, {"modules": ["errands"]}, {"callback": "errands:callback"},
        {"setup": "errands:register"}, {"serializer": Serializer()}, {"command": "work"},
        {"python": "python3"},
    ],
)  # fmt: skip
def test_what_is_for_workers_that_are_started_is_refused_with_members_by_its_name(caller, setting):
    with pytest.raises(ConfigError, match=f"^{next(iter(setting))}=: members .* nothing is sent"):
        Dispatcher(caller.live("compute"), **setting)


def test_members_without_a_word_of_their_own_have_the_dispatchers_slots(caller, join, dispatch):
    join("compute", name="ada")
    join("compute", name="bob", props={"slots": 5})
    caller.wait_for_services(2)
    for settings, slots in (({}, 1), ({"slots": 3}, 3)):
        dispatcher = dispatch(caller.live("compute"), **settings)
        servers = {place.server.name: place.server for place in dispatcher._engine.pool.places}
        assert (servers["ada"].slots, servers["bob"].slots) == (slots, 5)


def test_a_member_by_hand_is_refused(caller, join):
    join("compute", name="ada")
    (ada,) = caller.wait_for_services()
    with pytest.raises(ConfigError, match=r"'ada': members are servers by cluster\.live"):
        Dispatcher([Server(name="ada", service=ada)])


def test_where_no_member_has_a_way_tasks_are_given_up(caller, join, dispatch):
    join("compute", name="ada")
    caller.wait_for_services()
    dispatcher = dispatch(caller.live("compute"), via=lambda service: None, patience=0.1)
    with pytest.raises(NoWorkers):
        dispatcher.submit("errands:echo", 1).result(20)
