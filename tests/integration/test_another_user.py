"""Another user of the machine, who knows every number and name there is, is refused at each door.

Three members of ours see each other before and after; the stranger is a process of another uid.
"""

import asyncio
import contextlib
import json
import shutil
import sys
from collections import Counter

import pytest

import meshcluster
from meshcluster.config import DEFAULT_ADDRESS
from meshcluster.security.sealing import Seal
from tests.waiting import eventually

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform != "linux", reason="users and doors of Linux"),
]

STRANGER_UID = 12345
WORDS = ("whispered-name", "whispered-tag", "whispered-body", "whispered-mesh", "whispered-prop")

NAMES = {WORDS[0], "other", "friend"}

KNOWING = """
import socket, struct, threading, time, zmq
from random import SystemRandom
from meshcluster.node.entrance import Entrances
from meshcluster.protocols.zeromq.link import FRAMES
from meshcluster.security import noise
from meshcluster.security.keyring import Keyring
from meshcluster.model import Endpoint, Identity
from meshcluster.security.keys import Key
from meshcluster.security.sealing import Seal
from meshcluster.wire import codec
from meshcluster.wire import codec
from meshcluster.wire.frames import *
from meshcluster.wire.splitter import HEADER

"x".encode("idna")  # loads what connecting needs
known = json.loads(sys.argv[1])
become(12345)
mesh, member, boot = known["mesh"], bytes.fromhex(known["id"]), known["boot"]
friend, friend_boot = bytes.fromhex(known["friend"]), known["friend boot"]
group, port = known["group"], known["port"]
me = Identity(b"s" * 16, time.time_ns(), "stranger", known["host"])
endpoints = (Endpoint("tcp", {"port": 4000}),)
details = Details(1, "stranger", known["host"], (), endpoints, {}, 4001, 1.0)
own_key = Key.of_bytes(os.urandom(32), mesh)
to = member + boot.to_bytes(8, "big")
hello = codec.encode_frame(Hello(mesh, me.id, me.boot, to, "", 7, 0, 0, 0, details))
forged = codec.encode_frame(Hello(mesh, friend, friend_boot, to, "", 7, 0, 0, 0, details))

def tried(act):
    try:
        return act() or "done"
    except OSError as error:
        return type(error).__name__
"""

FILES = """
folder = known["folder"]
def connect(path):
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(path)
def tell_datagram(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as caller:
        caller.sendto(b"x", path)
tell([
    tried(lambda: os.listdir(folder) and "seen"),
    tried(lambda: open(folder + "/host-key", "rb").read()),
    tried(lambda: os.open(folder + "/new", os.O_CREAT)),
    tried(lambda: os.rename(folder, folder + ".moved")),
    *[tried(lambda: connect(path)) for path in known["sockets"]],
    *[tried(lambda: tell_datagram(path)) for path in known["sockets"]],
])
"""

OPENED = """
from meshcluster.announcers.neighbours import PASSED, _Passed
import msgspec
beacon = codec.encode_datagram(Beacon(mesh, me.id, me.boot, 1, bytes(8), endpoints, 2, 0, 1))
wrapped = PASSED + msgspec.msgpack.encode(_Passed("127.0.0.1", known["udp"], beacon))
said = []
for path in known["sockets"]:
    if "/meet-" in path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as caller:
            caller.sendto(beacon, path)
            caller.sendto(wrapped, path)
    else:
        with socket.socket(socket.AF_UNIX) as caller:
            caller.settimeout(20)
            caller.connect(path)
            try:
                caller.sendall(HEADER.pack(8) + codec.preface())
                while came := caller.recv(4096):
                    said.append(came)
            except (ConnectionResetError, BrokenPipeError):
                pass
tell(all(mesh.encode() not in each for each in said))
"""

TCP = """
entrance = Entrances(Keyring([own_key]), mesh, SystemRandom())
class Peer:
    key_id = b""
as_other = entrance.dialled(Peer, same_user=True).first()
known_id = bytes.fromhex(known["key id"])
as_ours = [as_other[0], known_id + as_other[1][4:]]

def framed(*frames):
    return b"".join(HEADER.pack(len(frame)) + frame for frame in frames)

def said_to(*frames):
    with socket.create_connection(("127.0.0.1", known["tcp"]), 20) as link:
        link.sendall(framed(*frames))
        said = b""
        try:
            while came := link.recv(4096):
                said += came
        except ConnectionResetError:
            pass
        return said.hex()

tell([
    said_to(codec.preface(), hello),
    said_to(codec.preface(), forged),
    said_to(*as_other, hello),
    said_to(*as_ours, hello),
    said_to(codec.preface(codec.SECURITY_NOISE), bytes(100)),
    said_to(codec.preface(codec.SECURITY_NOISE), bytes(60000)),
    said_to(b"GET / HTTP/1.1"),
])
"""

ZEROMQ = """
def message(*frames):
    return FRAMES + b"".join(HEADER.pack(len(frame)) + frame for frame in frames)

def said_to(kind, *messages):
    with zmq.Context() as context, context.socket(kind) as link:
        link.setsockopt(zmq.LINGER, 0)
        link.setsockopt(zmq.RECONNECT_IVL, -1)
        watched = link.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        link.connect("tcp://127.0.0.1:%d" % known["zeromq"])
        for each in messages:
            link.send(each)
        said = b""
        if not watched.poll(20_000):
            said = b"still connected "
        while link.poll(0):
            said += b"".join(link.recv_multipart())
        link.disable_monitor()
        watched.close()
        return said.decode("latin-1")

tell([
    said_to(zmq.DEALER, message(codec.preface(), hello)),
    said_to(zmq.REQ, b"who is there?"),
    said_to(zmq.DEALER, b"who is there?"),
])
"""

GUEST = """
with zmq.Context() as context, context.socket(zmq.REQ) as guest:
    guest.setsockopt(zmq.RCVTIMEO, 20_000)
    guest.setsockopt(zmq.LINGER, 0)
    guest.connect("tcp://127.0.0.1:%d" % known["plain"])
    guest.send(b"hello")
    tell([each.decode() for each in guest.recv_multipart()])
"""

DATAGRAMS = """
telling = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
telling.bind(("127.0.0.1", 0))
telling.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
hearing = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
hearing.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
hearing.bind((group, port))
joined = socket.inet_aton(group) + socket.inet_aton("127.0.0.1")
hearing.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joined)

def waiting_at(place):
    place.setblocking(False)
    found = []
    while True:
        try:
            found.append(place.recv(2048))
        except OSError:
            place.setblocking(True)
            return found

def mine(key, data):
    return Seal(me).seal(key, data)

def in_friends_name(key, data):
    seal = Seal(Identity(friend, friend_boot, "friend", known["host"]))
    seal._number = 2**40
    return seal.seal(key, data)

said = [
    Beacon(mesh, me.id, me.boot, 1, codec.digest(details), endpoints, 2, 0, 1),
    Probe(mesh, me.id, me.boot, 99, True, 1, codec.digest(details)),
    Solicit(mesh, me.id, me.boot, 99, 1, codec.digest(details), True),
    Leave(mesh, me.id, me.boot),
    Beacon(mesh, friend, friend_boot + 1, 1, codec.digest(details), endpoints, 2, 0, 2**40),
    Leave(mesh, friend, friend_boot),
    Leave(mesh, member, boot),
]
plain = [codec.encode_datagram(each) for each in said]
sealed = [seal(own_key, each) for each in plain for seal in (mine, in_friends_name)]
known_id = bytes.fromhex(known["key id"])
forged = [each[:3] + known_id + each[7:] for each in sealed]
heard = []
tell("ready")
for line in sys.stdin:
    if line == "listen\\n":
        heard += waiting_at(hearing)
        tell([each.hex() for each in heard])
    elif line == "tell\\n":
        flipped = [each[:-1] + bytes([each[-1] ^ 1]) for each in heard]
        shortened = [each[:-1] for each in heard]
        for each in (*plain, *sealed, *forged, *heard, *flipped, *shortened):
            for place in ((group, port), ("127.0.0.1", known["udp"]), ("127.0.0.1", port)):
                telling.sendto(each, place)
        tell("told")
    elif line == "answers\\n":
        tell([each.hex() for each in waiting_at(telling)])
telling.close(), hearing.close()
"""


class Seen:
    """What happened to a member of ours."""

    def __init__(self, cluster):
        self.facts = Counter()
        for point in ("service.discovered", "service.lost", "service.changed", "event", "query",
                      "service.suspect", "service.conflict", "guest"):  # fmt: skip
            cluster.hook(point)(self._noting(point))

    def _noting(self, point):
        def note(_):
            self.facts[point] += 1

        return note


@pytest.fixture
async def ours(beacon_port):
    """Three members of ours that know each other; `seen` is what happened to each."""
    clusters = [meshcluster.AsyncCluster() for _ in NAMES]
    async with contextlib.AsyncExitStack() as stack:
        for name, cluster in zip(sorted(NAMES, reverse=True), clusters, strict=True):
            cluster.seen = Seen(cluster)
            await stack.enter_async_context(
                cluster.join(
                    [WORDS[1]], name=name, props={"p": WORDS[4]}, port=beacon_port,
                    cluster=WORDS[3], heartbeat_seconds=0.05,
                )
            )  # fmt: skip
        for cluster in clusters:
            await asyncio.wait_for(cluster.wait_for_services(2), 20)
        yield clusters


@pytest.fixture
def known(ours, runtime_dir, beacon_port):
    """All that can be known of a member: far more than its host tells another user."""
    host, _, friend = ours
    (seen,) = friend.resolve(WORDS[0])
    (other,) = host.resolve("friend")
    ports = {each.scheme: each.props.get("port") for each in seen.endpoints}
    sockets = [str(path) for path in runtime_dir.rglob("*.sock")]
    assert len(sockets) == 9
    me = host.joined.node.identity
    return json.dumps({
        "mesh": WORDS[3], "id": me.id.hex(), "boot": me.boot, "host": me.host,
        "friend": other.id, "friend boot": other.boot, "group": DEFAULT_ADDRESS,
        "port": beacon_port, "tcp": ports["tcp"], "zeromq": ports["zeromq"],
        "udp": host.joined._announcers[0].port, "folder": str(runtime_dir), "sockets": sockets,
        "key id": host.joined.node.keyring.first.id.hex(),
    })  # fmt: skip


@pytest.fixture
def stranger_at(stranger, known):
    return lambda script: stranger(KNOWING + script, known)


async def heard(talker):
    return await asyncio.to_thread(talker.hear)


async def nothing_has_changed(ours):
    """All go on as before, and no hook has seen anything but the others."""
    host, other, friend = ours
    came = asyncio.Event()
    host.hook("event")(lambda message: came.set())
    await friend.broadcast(b"still here")
    await asyncio.wait_for(came.wait(), 20)
    await eventually(lambda: other.seen.facts["event"])
    for member, events in ((host, 1), (friend, 0), (other, 1)):
        assert {each.name for each in member.services} == NAMES - {member.config.name}
        assert +member.seen.facts == +Counter({"service.discovered": 2, "event": events})


async def test_files_and_unix_sockets_cannot_be_reached(ours, stranger_at):
    at = stranger_at(FILES)
    assert set(await heard(at)) == {"PermissionError"}
    await nothing_has_changed(ours)


async def test_a_directory_that_was_opened_by_mistake_is_no_door(ours, stranger_at, runtime_dir):
    """The system says who is at the other end of a link; datagrams are not sealed by our key."""
    for path in (runtime_dir, *runtime_dir.rglob("*")):
        if path.name != "host-key":
            path.chmod(0o777)
    assert await heard(stranger_at(OPENED)) is True
    for member in ours:
        assert member.dropped["links: another user is at the other end"]
        await eventually(lambda member=member: member.dropped.get("datagrams: not sealed"))
    await nothing_has_changed(ours)


async def test_by_tcp_nobody_is_answered_a_byte(ours, stranger_at):
    at = stranger_at(TCP)
    assert set(await heard(at)) == {""}
    assert sum(n for what, n in ours[0].dropped.items() if what.startswith("links: ")) >= 6
    await nothing_has_changed(ours)


async def test_by_zeromq_nobody_is_answered_and_there_are_no_guests(ours, stranger_at):
    at = stranger_at(ZEROMQ)
    assert set(await heard(at)) == {""}
    await nothing_has_changed(ours)


async def test_guests_are_let_in_only_where_a_member_asks_for_them(
    beacon_port, stranger, known, ours
):
    """It is an open door: another user's program is a guest like any other."""
    assert all("plain" not in e.props for each in ours[0].services for e in each.endpoints)
    welcoming = meshcluster.AsyncCluster()
    welcoming.hook("guest")(lambda message: b"you said " + message.data)
    options = {"zeromq": {"plain": True, "plain_port": beacon_port}}
    async with welcoming.join(port=beacon_port, cluster="open", protocol_options=options):
        facts = json.dumps({**json.loads(known), "plain": beacon_port})
        assert await heard(stranger(KNOWING + GUEST, facts)) == ["ok", "you said hello"]
    with pytest.raises(meshcluster.ConfigError, match="a mesh with a secret has none"):
        await welcoming.join(
            port=beacon_port, protocol_options=options, secret="a secret that all know"
        )


async def test_the_group_tells_nothing_and_believes_nothing(ours, stranger_at):
    host, other, friend = ours
    at = stranger_at(DATAGRAMS)
    assert await heard(at) == "ready"
    node, sent, inside = host.joined.node, 0, []
    while sum(WORDS[2].encode() in each for each in inside) < 5:  # soon they go by the group
        await friend.broadcast(WORDS[2].encode(), protocols=["udp"])
        sent += 1
        at.say("listen")
        came = [bytes.fromhex(each) for each in await heard(at)]
        inside = [Seal(node.identity).open(node.keyring, each).data for each in came]
    assert any(WORDS[3].encode() in each for each in inside)
    for member in (host, other):
        await eventually(lambda facts=member.seen.facts: facts["event"] == sent)
        member.seen.facts["event"] = 0
    assert not [word for word in WORDS for each in came if word.encode() in each]
    at.say("tell")
    assert await heard(at) == "told"
    reasons = {"not sealed", "sealed with a key that is not ours", "forged", "replayed"}
    await eventually(lambda: {f"datagrams: {each}" for each in reasons} <= host.dropped.keys())
    await nothing_has_changed(ours)
    at.say("answers")
    assert await heard(at) == []


MEMBER = """
import asyncio, logging
import meshcluster
settings = json.loads(sys.argv[1])

async def life(cluster, **more):
    async with cluster.join(name="stranger", **settings, **more):
        for point in ("service.discovered", "event"):
            cluster.hook(point)(lambda each: tell(str(each)))
        tell(sorted(cluster.dropped))
        while True:
            line = await asyncio.to_thread(sys.stdin.readline)
            if not line:
                return
            await cluster.broadcast("from a stranger")
            tell([[each.name for each in cluster.services], cluster.dropped])

os.environ["MESHCLUSTER_RUNTIME_DIR"] = sys.argv[2] + "/first"
async def first():  # has all imported that is imported late
    async with meshcluster.AsyncCluster().join(**{**settings, "cluster": "first"}) as one:
        async with meshcluster.AsyncCluster().join(**{**settings, "cluster": "first"}) as other:
            await one.wait_for_services(1)
            await other.broadcast(b"x")
    await asyncio.to_thread(int)
asyncio.run(first())
os.environ["MESHCLUSTER_RUNTIME_DIR"] = sys.argv[2] + "/second"
become(12345)
asyncio.run(life(meshcluster.AsyncCluster()))
"""


async def test_a_member_of_another_user_meets_its_own_kind_only(
    ours, stranger, beacon_port, runtime_dir
):
    host, *_ = ours
    place = runtime_dir.with_name(runtime_dir.name + "-s")
    place.mkdir(mode=0o777)
    place.chmod(0o1777)
    settings = {"cluster": WORDS[3], "port": beacon_port, "heartbeat_seconds": 0.05}
    try:
        at = stranger(MEMBER, json.dumps(settings), place)
        assert await heard(at) == []
        await eventually(lambda: host.dropped.get("datagrams: sealed with a key that is not ours"))
        dropped = {}
        while "datagrams: sealed with a key that is not ours" not in dropped:
            at.say()
            members, dropped = await heard(at)
            assert members == []
        await nothing_has_changed(ours)
        at.popen.stdin.close()
        await asyncio.to_thread(at.ends)
    finally:
        shutil.rmtree(place)
