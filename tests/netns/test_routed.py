"""Two networks with a router between them: how far each way in reaches is a matter of ttl."""

import json
from pathlib import Path

import pytest

STRANGER = Path(__file__).with_name("stranger.py")
OFFERED = {
    "protocols": ["unix", "tcp", "zeromq", "udp"],
    "protocol_options": {
        "tcp": {"port": 5001}, "zeromq": {"port": 5002, "plain": True, "plain_port": 5003},
    },
}  # fmt: skip


@pytest.fixture
def routed(network):
    """Two hosts, each in a network of its own, that reach each other."""
    left, right = network.lan(1, ipv6=False), network.lan(1, ipv6=False)
    router = right.connect(left.connect(network.host()))
    router.sysctl("ipv4/ip_forward", 1)
    (here, _), (there, _) = left, right
    here.ip(f"route add {right.subnet}.0/16 via {left.address_of(router)}")
    there.ip(f"route add {left.subnet}.0/16 via {right.address_of(router)}")
    return here, there


def tried(member, here, there):
    """What comes of each of a member's doors, tried from elsewhere."""
    port = member.ask("cluster._cluster.joined.node.details.port")
    done = there.python(str(STRANGER), here.address, str(port))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_at_ttl_2_a_seed_beyond_a_router_is_met_and_answers_by_every_protocol(routed):
    here, there = routed
    near = here.join("near", ttl=2, **OFFERED)
    far = there.join("far", ttl=2, seeds=[here.address], protocols=OFFERED["protocols"])
    assert far.ask("met()") == [["near", "10.77.0.1", False]]
    assert near.ask("met()") == [["far", "10.78.0.1", False]]
    for protocol in ("tcp", "zeromq", "udp"):
        assert far.ask(f"answers(protocols=[{protocol!r}])") == [["near", protocol]]
    came = tried(near, here, there)
    assert (came["beacon port"], came["udp"], came["guest"]) == ("an answer", "an answer", "none")


def test_at_ttl_1_what_comes_by_the_router_is_refused_and_counted(routed):
    here, there = routed
    near = here.join("near", ttl=1, **OFFERED)
    far = there.join("far", ttl=2, seeds=[here.address], heartbeat_seconds=0.2)
    assert tried(near, here, there) == {
        "tcp": "cut off", "zeromq": "cut off", "guest": "error", "beacon port": "silence",
        "udp": "silence",
    }  # fmt: skip
    dropped = near.ask("counted('mdns: records from outside the scope', 0)")
    assert dropped["links from outside the scope"] == 2
    assert dropped["guests from outside the scope"] == 1
    assert dropped["datagrams: from outside our networks"] > 6  # the stranger's, and far's
    assert dropped["mdns: records from outside the scope"] == 1
    assert near.ask("names()") == far.ask("names()") == []


def test_at_ttl_1_a_seed_beyond_a_router_answers_only_who_is_named_there_too(routed):
    here, there = routed
    asking = here.join("asking", ttl=1, seeds=[there.address])
    asked = there.join("asked", ttl=1)
    asked.ask("counted('datagrams: from outside our networks', 1)")
    assert asked.ask("names()") == asking.ask("names()") == []
    named = there.join("named", ttl=1, port=27700, seeds=[f"{here.address}:27700"])
    naming = here.join("naming", ttl=1, port=27700, seeds=[f"{there.address}:27700"])
    assert named.ask("met()") == [["naming", "10.77.0.1", False]]
    assert naming.ask("met()") == [["named", "10.78.0.1", False]]


def test_at_ttl_0_nothing_is_even_heard(routed):
    here, there = routed
    near = here.join("near", ttl=0, mdns=True, **OFFERED)
    far = there.join("far", ttl=2, seeds=[here.address], heartbeat_seconds=0.2)
    assert tried(near, here, there) == {
        "tcp": "refused", "zeromq": "refused", "guest": "silence", "beacon port": "silence",
        "udp": "silence",
    }  # fmt: skip
    assert set(near.ask("counted('datagrams: own copies', 2)")) == {"datagrams: own copies"}
    assert near.ask("names()") == far.ask("names()") == []
