"""A mesh for a group of users: a daemon of one user, a command of another, and nobody else."""

import json
import sys

import pytest

pytestmark = [
    pytest.mark.process,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="users and groups of Linux"),
]

GID = 54321

MEMBER = """
import asyncio, grp, pwd, zmq
import meshcluster
from meshcluster.protocols.zeromq import dealer, guests, router
settings, uid, groups = json.loads(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
place = os.environ["MESHCLUSTER_RUNTIME_DIR"]

async def first():  # has all imported that is imported late
    async with meshcluster.AsyncCluster().join(port=settings["port"], cluster="first") as one:
        async with meshcluster.AsyncCluster().join(port=settings["port"], cluster="first") as two:
            await one.wait_for_services(1)
            await two.broadcast(b"x", protocols=["unix"])
    await asyncio.to_thread(int)

os.environ["MESHCLUSTER_RUNTIME_DIR"] = f"{place}/first-{uid}"
asyncio.run(first())
os.environ["MESHCLUSTER_RUNTIME_DIR"] = f"{place}/{uid}"
become(uid, uid, groups)
os.umask(0o077)

async def life():
    cluster = meshcluster.AsyncCluster()
    cluster.hook("query")(lambda message: f"{cluster.config.name} says yes")
    async with cluster.join(name=f"of-{uid}", **settings):
        tell("joined")
        while True:
            line = (await asyncio.to_thread(sys.stdin.readline)).split()
            if not line:
                return
            if line[0] == "wait":
                await cluster.wait_for_services(int(line[1]))
                tell(sorted(each.name for each in cluster.services))
            elif line[0] == "ask":
                tell(str(await cluster.query("well?", protocols=[line[1]])))
            elif line[0] == "see":
                tell([[each.name for each in cluster.services], sorted(cluster.dropped)])

try:
    asyncio.run(life())
except meshcluster.ConfigError as error:
    tell(str(error))
"""


@pytest.fixture
def member(stranger, runtime_dir, beacon_port, monkeypatch):
    """`member(uid, groups, group=...)`: a member of that user, in these groups."""
    runtime_dir.chmod(0o1777)
    monkeypatch.setenv("MESHCLUSTER_GROUP_DIR", str(runtime_dir / "group"))

    def member(uid, groups, **settings):
        settings = {"port": beacon_port, "heartbeat_seconds": 0.1, **settings}
        return stranger(MEMBER, json.dumps(settings), uid, json.dumps(groups))

    return member


@pytest.mark.parametrize("scheme", ["unix", "tcp", "zeromq"])
def test_users_of_a_group_meet_on_purpose(member, runtime_dir, scheme):
    daemon = member(11111, [GID], group=GID)
    assert daemon.hear() == "joined"
    visitor = member(22222, [GID], group=GID)
    assert visitor.hear() == "joined"
    visitor.say("wait 1")
    assert visitor.hear() == ["of-11111"]
    visitor.say(f"ask {scheme}")
    assert "of-11111 says yes" in visitor.hear()
    assert (runtime_dir / "group" / "host-key").stat().st_mode & 0o777 == 0o640


def test_nobody_else_meets_them(member):
    daemon = member(11111, [GID], group=GID)
    assert daemon.hear() == "joined"
    same_user = member(11111, [GID])  # but not for the group
    assert same_user.hear() == "joined"
    outsider = member(33333, [])
    assert outsider.hear() == "joined"
    refused = member(33333, [], group=GID)
    assert "group=54321: this process is not in it" in refused.hear()
    visitor = member(22222, [GID], group=GID)
    assert visitor.hear() == "joined"
    visitor.say("wait 1")
    assert visitor.hear() == ["of-11111"]
    for each in (same_user, outsider):
        each.say("see")
        members, dropped = each.hear()
        assert members == []
        assert "datagrams: sealed with a key that is not ours" in dropped
