"""The commands of a run share one connection to each host; nothing of it outlives the run."""

import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from meshcluster import Jobs
from meshcluster.jobs import masters
from meshcluster.jobs.masters import Masters
from meshcluster.ssh.server import Server
from tests.ssh.sshd import CLIENT, SSHD, Sshd

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="its ssh client shares none")


@pytest.fixture(scope="module")
def sshd(tmp_path_factory):
    if SSHD is None or CLIENT is None:
        pytest.skip("no OpenSSH server and client")
    server = Sshd(tmp_path_factory.mktemp("sshd"), "sshd")
    yield server
    server.stop()


def jobs_on(sshd, *names):
    jobs = Jobs()
    for name in names:
        jobs.sites.add(name, "app", host=name, ssh_config=str(sshd.config))
    return jobs


def test_a_run_has_one_connection_to_each_host(sshd):
    jobs = jobs_on(sshd, "w1", "w2")
    connections = {}

    @jobs.job(roles="app")
    def several(action):
        said = [action.shell.run("echo $SSH_CONNECTION").stdout for _ in range(4)]
        connections[action.site.name] = set(said)

    assert jobs.run("several").ok
    assert [len(each) for each in connections.values()] == [1, 1]
    assert jobs.run("several").ok, "the next one has its own"


async def test_its_folder_is_there_while_it_is_open_and_gone_when_it_is_closed(sshd):
    shared = Masters()
    server = Server(host="w1", config=str(sshd.config))
    options = shared.options(server, ("ssh",))
    assert options == shared.options(server, ("ssh",))
    other = shared.options(Server(host="w2"), ("ssh",))
    assert other != options
    folder = Path(options[2].partition("=")[2]).parent
    assert folder.stat().st_mode & 0o777 == 0o700
    await shared.close()
    assert not folder.exists()
    await shared.close()


def test_the_users_options_come_before(sshd):
    jobs = jobs_on(sshd, "w3")
    jobs.sites.add("w3", options=["ControlMaster=no", "ControlPath=none"])
    said = []

    @jobs.job(roles="app")
    def twice(action):
        said.extend(action.shell.run("echo $SSH_CONNECTION").stdout for _ in range(2))

    assert jobs.run("twice").ok
    assert len(set(said)) == 2


@pytest.mark.parametrize("name", ["x" * 90, "a b", "100%", 'quo"te', "$HOME"])
def test_where_temporary_files_are_does_not_matter(sshd, tmp_path, monkeypatch, name):
    (tmp_path / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / name))
    jobs = jobs_on(sshd, "w1")
    jobs.add("greet", "app", lambda action: action.shell.run("echo hi"))
    jobs.run("greet").raise_for_errors()


def test_where_there_is_no_place_each_command_has_a_connection_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "no such folder"))
    monkeypatch.setattr(masters, "PLACES", ())
    assert Masters().options(Server(host="w1"), ("ssh",)) == ()


async def test_a_client_that_does_not_end_is_ended(monkeypatch):
    monkeypatch.setattr(masters, "CLOSE_SECONDS", 0.05)
    before = set(psutil.Process().children())
    await masters._close(("sh", "-c", "exec sleep 60"), "h")
    assert set(psutil.Process().children()) <= before
