"""What a secret changes on a network: nothing can be read, nobody comes in without it."""

import json
import time
from pathlib import Path

import pytest

from meshcluster.model import Identity
from meshcluster.security.keys import Key
from meshcluster.security.sealing import Seal
from meshcluster.security.text import text_of
from meshcluster.wire import codec
from meshcluster.wire.frames import Leave
from meshcluster.wire.sealed import is_sealed

from .sniffer import Sniffer

IMPOSTOR = Path(__file__).with_name("impostor.py")
SECRET = text_of(bytes(range(32)))
CLUSTER = "quartz-mesh"
ALL = ["unix", "tcp", "zeromq", "udp"]
PORTS = {"tcp": {"port": 5001}, "zeromq": {"port": 5002}}
WORDS = (
    CLUSTER, "amber-one", "amber-two", "amber-three", "amber-four", "basalt-prop", "basalt-value",
    "cobalt-mailbox", "cobalt-offer", "dolomite-note", "emerald-event", "feldspar-question",
    "_meshcluster-",
)  # fmt: skip


def join(host, name, secret=None, **options):
    """A member that says much of itself."""
    said = {"props": {"basalt-prop": "basalt-value"}, "protocols": ALL, "cluster": CLUSTER}
    with_secret = {} if secret is None else {"secret": secret}
    return host.join(name, ttl=1, heartbeat_seconds=0.3, **{**said, **with_secret, **options})


def life_of_a_mesh(hosts, secret):
    """Three members meet, do what members do by each protocol; one comes, one leaves."""
    names = ("amber-one", "amber-two", "amber-three")
    one, two, three = (join(host, name, secret) for host, name in zip(hosts, names, strict=True))
    for member in (one, two, three):
        assert len(member.ask("met(2)")) == 2
    two.ask("cluster.mailbox('cobalt-mailbox', lambda message: None,"
            " offer='cobalt-offer') and None")  # fmt: skip
    for protocol in ("tcp", "zeromq", "udp"):
        assert len(one.ask(f"answers('feldspar-question', protocols=[{protocol!r}])")) == 2
        one.ask(f"tell('emerald-event', protocols=[{protocol!r}])")
        assert three.ask("heard()") == ["emerald-event", protocol]
    one.ask("(box := cluster.mailbox('cobalt-mailbox')).wait_for_services(timeout=10) and"
            " box.send(box.services[0], 'dolomite-note') and None")  # fmt: skip
    assert one.ask("settled()") == []
    four = join(hosts[0], "amber-four", secret)
    assert len(four.ask("met(3)")) == 3
    two.ask("leave()")
    assert one.ask("lost()")[0] == "amber-two"
    return one, three, four


@pytest.mark.slow
@pytest.mark.parametrize("secret", [SECRET, None])
def test_a_capture_of_a_secured_mesh_holds_no_word_of_it_and_one_of_an_open_mesh_all(
    network, tmp_path, secret
):
    lan = network.lan(3)
    sniffer = Sniffer(lan, tmp_path / "frames")
    life_of_a_mesh(lan.hosts, secret)
    frames = sniffer.frames()
    assert len(frames) > 100
    assert any(b"_meshcluster\x04_tcp" in frame for frame in frames)  # mDNS was on
    if secret is None:
        assert set(WORDS[:-1]) - set(sniffer.found(WORDS)) == set()
    else:
        assert sniffer.found([*WORDS, secret]) == []


def until_dropped(member, *reasons):
    """Waits until something was dropped for each of these."""
    end = time.monotonic() + 20
    while missing := set(reasons) - set(member.ask("cluster.dropped")):
        assert time.monotonic() < end, missing
        time.sleep(0.05)


def udp_of(frames):
    """The datagrams of ours in captured frames of IPv4, with their source."""
    for frame in frames:
        if frame[12:14] == b"\x08\0" and frame[23] == 17 and is_sealed(frame[42:]):
            yield frame[42:], ".".join(map(str, frame[26:30]))


def test_a_forged_goodbye_is_ignored(network, tmp_path):
    """In the open, sealed by another key, replayed from an earlier run or from this one: each from
    the address and port of the member whose goodbye it claims to be.
    """
    lan = network.lan(2, ipv6=False)
    here, there = lan
    sniffer = Sniffer(lan, tmp_path / "frames")
    one = join(here, "amber-one", SECRET)
    two = join(there, "amber-two", SECRET)
    assert one.ask("met()")[0][0] == "amber-two"
    two.ask("leave()")
    assert one.ask("lost()")[0] == "amber-two"
    two = join(there, "amber-two", SECRET, mdns=False)
    assert one.ask("met()")[0][0] == "amber-two"
    earlier = [data.hex() for data, source in udp_of(sniffer.frames()) if source == there.address]
    node = "cluster._cluster.joined.node"
    member_id, boot, port = two.ask(
        f"[{node}.identity.id.hex(), {node}.identity.boot, {node}.details.port]"
    )
    identity = Identity(bytes.fromhex(member_id), boot, "amber-two", "host")
    plain = codec.encode_datagram(Leave(CLUSTER, identity.id, boot))
    wrong = bytearray(Seal(identity).seal(Key.of_bytes(b"w" * 32, CLUSTER), plain))
    forged = [plain.hex(), bytes(wrong).hex()]
    wrong[3:7] = bytes.fromhex(one.ask("cluster.keyring[0]"))
    forged.append(bytes(wrong).hex())
    to = one.ask("cluster._cluster.joined.node.details.port")
    spoofer = here.script(SPOOFER, there.address, str(port), here.address, str(to), here.mac)
    spoofer.ask(json.dumps([*forged, *earlier]))
    reasons = ("not sealed", "sealed with a key that is not ours", "forged", "replayed")
    until_dropped(one, *(f"datagrams: {reason}" for reason in reasons))
    assert one.ask("names()") == ["amber-two"]
    assert one.ask("[losses.qsize(), answers()]") == [0, [["amber-two", "tcp"]]]


SPOOFER = """
import json, socket, struct, sys
source, sport, target, port, mac = sys.argv[1:]
def frame(data):
    udp = struct.pack("!4H", int(sport), int(port), 8 + len(data), 0) + data
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0)
    head += socket.inet_aton(source) + socket.inet_aton(target)
    total = sum(struct.unpack("!10H", head))
    head = head[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + head[12:]
    return bytes(12) + b"\\x08\\0" + head + udp
print(json.dumps("ready"), flush=True)
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("lo", 0))
for line in sys.stdin:
    for data in json.loads(line):
        wire.send(frame(bytes.fromhex(data)))
    print(json.dumps("sent"), flush=True)
"""


def test_with_another_secret_nobody_joins_nor_hears_a_byte(network):
    here, there, elsewhere = network.lan(3)
    one = join(here, "amber-one", SECRET, protocol_options=PORTS)
    two = join(there, "amber-two", SECRET)
    wrong = join(elsewhere, "amber-wrong", "another secret of some length", seeds=[here.address])
    assert one.ask("met()")[0][0] == "amber-two"
    assert two.ask("met()")[0][0] == "amber-one"
    port = str(one.ask("cluster._cluster.joined.node.details.port"))
    key_id = one.ask("cluster.keyring[0]")
    done = elsewhere.python(str(IMPOSTOR), here.address, port, CLUSTER, key_id)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"tcp": [0] * 6, "zeromq": [0] * 6, "udp": 0}
    none = join(elsewhere, "amber-none", seeds=[here.address])
    until_dropped(
        one, "links: link of another secret", "links: link that is not sealed",
        "datagrams: sealed with a key that is not ours", "datagrams: forged",
        "datagrams: not sealed",
    )  # fmt: skip
    for member, known in ((one, ["amber-two"]), (two, ["amber-one"]), (wrong, []), (none, [])):
        assert member.ask("names()") == known


def test_in_an_open_mesh_neighbours_are_authenticated_and_others_are_not(network):
    here, there = network.lan(2)
    one = join(here, "amber-one")
    near = join(here, "amber-near")
    closed = here.join("amber-closed", cluster=CLUSTER)  # ttl=0: the host's key and nothing else
    far = join(there, "amber-far")
    shown = "sorted([s.name, s.authenticated] for s in cluster.services)"
    for member, count in ((one, 3), (near, 3), (closed, 2), (far, 2)):
        assert len(member.ask(f"met({count})")) == count
    assert one.ask(shown) == [["amber-closed", True], ["amber-far", False], ["amber-near", True]]
    assert closed.ask(shown) == [["amber-near", True], ["amber-one", True]]
    assert far.ask(shown) == [["amber-near", False], ["amber-one", False]]
    assert [each[0] for each in one.ask("answers()")] == ["amber-closed", "amber-far", "amber-near"]
