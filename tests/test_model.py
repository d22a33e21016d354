"""Members as values: identity, endpoints, the snapshot that users hold."""

import json

import pytest

from meshcluster.errors import ConfigError, NotJoined
from meshcluster.model import GONE, Endpoint, Identity, Packed, Service, Standing, member_key

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


# --- a handle on the member --------------------------------------------------------------------


class Door:
    """A cluster that notes what its services ask of it."""

    def __init__(self, standing=GONE):
        self.calls, self.standing = [], standing

    def send(self, data, **how):
        self.calls.append(("send", data, how))
        return "sent"

    def query(self, query, **how):
        self.calls.append(("query", query, how))
        return "asked"

    def _standing(self, service):
        return self.standing


def test_sid_hid_ip_and_uuid_are_other_names():
    service = snapshot()
    assert (service.sid, service.hid, service.ip) == (service.id, service.host, service.address)
    assert service.uuid == f"{bytes(range(16)).hex()}@host-1"


def test_who_is_on_this_host_is_on_this_lan():
    assert snapshot(local=True).lan
    assert snapshot(lan=True).lan
    assert not snapshot(lan=True).local
    assert not snapshot().lan


def test_sending_and_asking_go_through_its_cluster_to_it_alone():
    door = Door()
    service = snapshot(door=door)
    assert service.send("x", channel=7, protocols=["tcp"]) == "sent"
    assert service.query("?", timeout=2.0, on_event=print) == "asked"
    (_, data, sent), (_, query, asked) = door.calls
    assert (data, query) == ("x", "?")
    assert sent == {
        "services": (service,), "channel": 7, "protocols": ["tcp"], "ack": False, "timeout": 30.0,
    }  # fmt: skip
    assert asked == {
        "services": (service,), "timeout": 2.0, "channel": 0, "protocols": None, "on_event": print,
    }  # fmt: skip


def test_a_snapshot_without_a_cluster_is_gone_and_cannot_be_told():
    service = snapshot()
    assert service.standing == GONE == ("gone", None, "")
    for talk in (service.send, service.query):
        with pytest.raises(NotJoined, match="ada is a snapshot without a cluster"):
            talk("x")


def test_its_standing_is_asked_of_its_cluster_each_time():
    door = Door(Standing("alive", 0.5, "tcp"))
    service = snapshot(door=door)
    assert (service.state, service.last_seen, service.protocol) == ("alive", 0.5, "tcp")
    door.standing = Standing("suspect", 3.5, "tcp")
    assert service.standing == ("suspect", 3.5, "tcp")


def test_resolve_and_resolver_are_those_of_a_cluster():
    service = snapshot(tags=["web", "blue"])
    assert service.resolve("web", "ada")
    assert not service.resolve("web", "red")
    assert service.resolver("-exact", ["web", "blue"])
    assert not service.resolver("-not", "web")
    with pytest.raises(ConfigError):
        service.resolver("-unknown", "x")


def test_info_is_all_of_it_in_plain_values():
    door = Door(Standing("alive", 0.5, "tcp"))
    said = {"tags": ["web"], "props": {"rack": 3}, "offers": {"box": 1}, "endpoints": [TCP]}
    info = snapshot(door=door, lan=True, **said).info
    assert info == {
        "id": bytes(range(16)).hex(), "boot": 7, "name": "ada", "state": "alive",
        "protocol": "tcp", "address": "10.0.0.1", "tags": ["web"], "local": False, "lan": True,
        "authenticated": False, "host": "host-1", "last_seen": 0.5,
        "endpoints": [{"scheme": "tcp", "port": 4000}],
        "props": {"rack": 3}, "offers": {"box": 1}, "reason": "",
    }  # fmt: skip
    assert json.loads(json.dumps(info)) == info


def test_what_it_says_of_itself_cannot_be_changed_here():
    service = snapshot(props={"rack": 3}, offers={"box": 1})
    for said in (service.props, service.offers):
        with pytest.raises(TypeError):
            said["rack"] = 4
    with pytest.raises(AttributeError, match="a Service is a snapshot: lan cannot be set"):
        service.lan = True
    with pytest.raises(AttributeError, match="cannot be deleted"):
        del service.tags


# --- endpoints as bytes ------------------------------------------------------------------------


def test_packed_endpoints_are_the_same_endpoints():
    unix = Endpoint("unix", {"name": "a/b.sock"})
    packed = Packed([unix, TCP])
    assert (len(packed), packed[0], tuple(packed)) == (2, unix, (unix, TCP))
    assert packed == (unix, TCP)
    assert packed == Packed((unix, TCP))
    assert hash(packed) == hash(Packed((unix, TCP)))
    assert packed != (TCP, unix)
    assert packed != Packed([TCP])
    assert packed != "unix"
    assert repr(packed) == repr((unix, TCP))


def test_members_of_the_same_protocols_share_the_names_of_these():
    first, second = (Packed([Endpoint("unix", {"name": name}), TCP]) for name in "ab")
    assert first.schemes == ("unix", "tcp")
    assert first.schemes is second.schemes


def test_a_service_shows_packed_endpoints_as_a_tuple():
    assert snapshot(endpoints=Packed([TCP])).endpoints == (TCP,)
    assert type(snapshot(endpoints=Packed([TCP])).endpoints) is tuple


def test_words_are_made_when_they_are_asked_for():
    service = snapshot(tags=["web"], local=True)
    assert service.listed_words() == service.words
    assert service.words is service.words
    assert service.lost("left").words is service.words
