"""Members as values: identity, endpoints, the snapshot that users hold."""

import pytest

from meshcluster.model import Endpoint, Identity, Service, member_key

ADA = Identity(bytes(range(16)), 7, "ada", "host-1")
TCP = Endpoint("tcp", {"port": 4000})


def snapshot(identity=ADA, **said):
    return Service(identity, **{"address": "10.0.0.1", **said})


def test_a_key_is_the_id_and_the_boot_in_24_bytes():
    assert ADA.key == member_key(ADA.id, ADA.boot) == bytes(range(16)) + bytes(7) + b"\x07"
    assert len(member_key(ADA.id, 2**64 - 1)) == 24


def test_a_snapshot_tells_what_the_member_says_of_itself():
    service = snapshot(tags=["web", "db"], endpoints=[TCP], props={"rack": 3}, local=True)
    assert (service.id, service.boot, service.name) == (bytes(range(16)).hex(), 7, "ada")
    assert (service.host, service.address, service.local) == ("host-1", "10.0.0.1", True)
    assert service.tags == ("web", "db")
    assert service.endpoints == (TCP,)
    assert service.props == {"rack": 3}


def test_two_snapshots_of_one_run_are_the_same_dictionary_key():
    old, new = snapshot(tags=["a"]), snapshot(tags=["b"], address="10.0.0.2", local=True)
    assert old == new
    assert {old: 1}[new] == 1


def test_another_run_of_a_member_is_another_service():
    again = Identity(ADA.id, ADA.boot + 1, ADA.name, ADA.host)
    assert snapshot() != snapshot(again)
    assert len({snapshot(), snapshot(again)}) == 2


def test_a_service_equals_nothing_else():
    assert snapshot() != ADA.key
    assert snapshot() != "ada"


def test_words_are_tags_name_id_host_and_address():
    assert snapshot(tags=["web"]).words == {"web", "ada", ADA.id.hex(), "host-1", "10.0.0.1"}


def test_only_a_member_proven_to_be_here_is_localhost():
    assert "localhost" in snapshot(local=True).words
    assert "localhost" not in snapshot(address="127.0.0.1").words


def test_a_snapshot_does_not_follow_what_it_was_made_from():
    tags, props, endpoints = ["web"], {"rack": 3}, [TCP]
    service = snapshot(tags=tags, props=props, endpoints=endpoints)
    tags.append("db"), props.clear(), endpoints.clear()
    assert (service.tags, service.props, service.endpoints) == (("web",), {"rack": 3}, (TCP,))


@pytest.mark.parametrize("value", [TCP, ADA, snapshot()], ids=lambda v: type(v).__name__)
def test_values_cannot_be_changed(value):
    name = "scheme" if value is TCP else "name"
    with pytest.raises(AttributeError):
        setattr(value, name, "other")


def test_a_service_has_no_attributes_of_others():
    with pytest.raises(AttributeError):
        snapshot().nickname = "a"


def test_repr_is_one_line_a_person_can_read():
    assert repr(snapshot()) == "<Service ada 00010203 at 10.0.0.1>"
    assert repr(snapshot(tags=["web", "db"])) == "<Service ada 00010203 at 10.0.0.1 tags=web,db>"
