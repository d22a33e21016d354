"""Commands get to a site by a shell of this machine or the ssh client, or it is said why not."""

import asyncio
import sys
import time

import pytest

from meshcluster.errors import SiteUnreachable, SudoFailed
from meshcluster.jobs import ways
from meshcluster.jobs.process import Script
from meshcluster.jobs.site import Site
from meshcluster.jobs.ways import HANDSHAKES, Handshakes, Local, Ssh, way_to
from meshcluster.ssh.server import Server

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="needs sh and POSIX signals"),
]

CLIENT = """#!/bin/sh
# An ssh client: the host is behind "--", the command behind that.
folder={folder}
while [ "$1" != -- ]; do shift; done
host=$2; shift 2
{what}
exec sh -c "$1"
"""


class Ear:
    def __init__(self):
        self.written, self.begun = b"", 0

    def began(self):
        self.begun += 1

    async def wrote(self, stream, data):
        self.written += data

    async def password(self):
        return "secret"


@pytest.fixture
def client(tmp_path):
    """Makes a client that does something before it runs the command."""

    def client(what):
        path = tmp_path / "client"
        path.write_text(CLIENT.format(folder=tmp_path, what=what))
        return ("sh", str(path))

    return client


@pytest.fixture
def _impatient(monkeypatch):
    monkeypatch.setattr(ways, "PAUSE_SECONDS", 0.01)


def ssh(client, handshakes=None):
    return Ssh(Server(host="far"), client, 2.0, handshakes)


async def ran(way, command="echo hi", **settings):
    ear = Ear()
    return await way.run(Script(command, **settings), ear), ear


# --- ssh ------------------------------------------------------------------------------------------


async def test_its_command_line_has_all_that_the_site_says_and_asks_nobody(tmp_path):
    site = Site("a", ("a",), {
        "host": "h", "user": "u", "port": 7, "identity": "key", "ssh_config": "file",
        "options": ["ForwardAgent=yes"], "ssh": ["env", "ssh"], "connect_timeout": 3,
    })  # fmt: skip
    words = way_to(site).transport()
    assert words[:3] == ("env", "ssh", "-T")
    told = " ".join(words[3:])
    assert told.startswith("-F file -l u -p 7 -i key -o ForwardAgent=yes ")
    assert {"BatchMode=yes", "ConnectTimeout=3"} <= set(words)
    assert "--" not in words


@pytest.mark.parametrize("status", [1, 255])
async def test_a_client_that_fails_before_the_command_begins_is_unreachable(client, status):
    way = ssh(client(f"echo banner; echo; echo no such host >&2; exit {status}"))
    with pytest.raises(SiteUnreachable, match=r"^no such host$"):
        await ran(way)
    with pytest.raises(SiteUnreachable, match=rf"^ssh ended with {status}$"):
        await ran(ssh(client(f"exit {status}")))


async def test_a_client_that_fails_after_that_has_lost_it_and_its_own_status_is_exited(client):
    ending, ear = await ran(ssh(client("")), "exit 255")
    assert (ending.what, ending.returncode, ear.begun) == ("exited", 255, 1)
    ending, ear = await ran(ssh(client('sh -c "$1"; exit 255')), "kill -9 0")
    assert (ending.what, ear.begun) == ("lost", 1)


DROPS = """
n=$(cat $folder/n 2>/dev/null || echo 0); echo $((n+1)) >$folder/n
[ $n -ge {} ] && exec sh -c "$1"
echo "kex_exchange_identification: Connection closed by remote host" >&2
exit 255
"""


@pytest.mark.usefixtures("_impatient")
async def test_a_dropped_login_is_tried_again(client, tmp_path):
    ending, ear = await ran(ssh(client(DROPS.format(2))))
    assert (ending.what, ear.written, ear.begun) == ("exited", b"hi\n", 1)
    assert (tmp_path / "n").read_text() == "3\n"


@pytest.mark.usefixtures("_impatient")
async def test_a_login_that_is_always_dropped_is_unreachable_in_the_end(client, tmp_path):
    with pytest.raises(SiteUnreachable, match="Connection closed by remote host"):
        await ran(ssh(client(DROPS.format(99))))
    assert (tmp_path / "n").read_text() == f"{ways.HANDSHAKE_TRIES}\n"


@pytest.mark.parametrize(
    "words", ["Read from remote host w1: Connection reset by peer", "client_loop: send disconnect"]
)
async def test_a_session_that_breaks_before_the_first_word_is_lost_and_never_tried_again(
    client, tmp_path, words
):
    way = ssh(client(f"echo x >>$folder/runs; echo '{words}' >&2; exit 255"))
    ending, _ = await ran(way)
    assert (ending.what, (tmp_path / "runs").read_text()) == ("lost", "x\n")


PENDING = """
mkdir $folder/in.$$
ls -d $folder/in.* | wc -l >>$folder/seen
sleep 0.05
rmdir $folder/in.$$
"""


async def test_so_many_logins_are_pending_at_one_host_at_once_and_no_more(client, tmp_path):
    way = ssh(client(PENDING))
    found = await asyncio.gather(*(ran(way) for _ in range(2 * HANDSHAKES + 1)))
    assert {ending.what for ending, _ in found} == {"exited"}
    seen = [int(line) for line in (tmp_path / "seen").read_text().split()]
    assert 1 < max(seen) <= HANDSHAKES


async def test_what_has_begun_holds_no_place_among_them(client, tmp_path):
    """More than there are places run at once: each ends when the last one has begun."""
    many = HANDSHAKES + 2
    meets = f"mkdir $$; until [ $(ls | wc -l) -ge {many} ]; do sleep 0.01; done"
    (meeting := tmp_path / "meeting").mkdir()
    way = ssh(client(""))
    async with asyncio.timeout(20):
        found = await asyncio.gather(*(ran(way, meets, cwd=str(meeting)) for _ in range(many)))
    assert [ending.returncode for ending, _ in found] == [0] * many


def test_loops_do_not_share_places():
    """A semaphore is for one loop."""
    handshakes = Handshakes()

    async def at(host):
        return handshakes.at(host), handshakes.at(host)

    first, again = asyncio.run(at("far"))
    assert first is again
    assert asyncio.run(at("far"))[0] is not first


async def test_one_that_is_stopped_while_it_connects_ends_at_once(client):
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await ran(ssh(client("sleep 60; :")))
    assert time.monotonic() - began < 2


async def test_a_login_script_that_talks_is_not_heard(client):
    ending, ear = await ran(ssh(client("echo motd; echo Connection closed by nobody >&2")))
    assert (ending.what, ear.written) == ("exited", b"hi\n")


# --- sudo -----------------------------------------------------------------------------------------


async def test_a_sudo_that_never_begins_it_is_no_unreachable_site(client):
    with pytest.raises(SudoFailed, match="is not in the sudoers file"):
        await ran(ssh(client("echo ada is not in the sudoers file >&2; exit 1")), sudo="")
    with pytest.raises(SiteUnreachable, match="no route"):
        await ran(ssh(client("echo no route >&2; exit 255")), sudo="")


# --- here -----------------------------------------------------------------------------------------


async def test_this_machine_is_reached_by_its_own_shell():
    ending, ear = await ran(Local())
    assert (ending.what, ear.written, Local().transport()) == ("exited", b"hi\n", ())


@pytest.mark.parametrize(
    ("config", "kind"), [({}, Local), ({"host": None}, Local), ({"host": "localhost"}, Ssh)]
)
def test_the_way_is_as_the_sites_config_says(config, kind):
    assert type(way_to(Site("a", ("a",), config))) is kind


async def test_a_login_that_takes_too_long_is_not_tried_again(client, tmp_path):
    """It has had its time."""
    says = "Connection timed out during banner exchange"
    with pytest.raises(SiteUnreachable, match=says):
        await ran(ssh(client(f"echo x >>$folder/n; echo {says} >&2; exit 255")))
    assert (tmp_path / "n").read_text() == "x\n"
