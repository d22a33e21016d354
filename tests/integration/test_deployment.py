"""The deployment of examples/deploy.py: prepared here, then brought to two sites side by side, each
of which looks at how its own went. By directories of this machine, and by a real ssh server.
"""

import runpy
import sys
from pathlib import Path

import pytest

import meshcluster
from tests.ssh.sshd import CLIENT, SSHD, Sshd

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="its sites are of this machine's sh"),
]

EXAMPLE = Path(__file__).parents[2] / "examples" / "deploy.py"
APP = ("busy", "standby")


class Deployment:
    """The example, its sites below ``root``."""

    def __init__(self, root, ssh):
        self.root, self.lines, self.alerts = root, [], []
        self.jobs = runpy.run_path(str(EXAMPLE))["jobs"]
        for name, host in zip(APP, ("w1", "w2"), strict=True):
            if ssh:
                self.jobs.sites.add(name, host=host, ssh=ssh)
        self.jobs.sites.defaults("app", send=lambda *alert: self.alerts.append(alert))

    def run(self):
        batch = self.jobs.batch(watch=self._see, break_on_error=True)
        batch.run("prepare").raise_for_errors()
        batch.run(["update", "snapshot", "deploy", "snapshot"]).raise_for_errors()
        return batch

    def _see(self, event):
        if isinstance(event, meshcluster.LineWritten) and event.stream == "report":
            self.lines.append((event.pair.job, event.pair.site, event.text))

    def live(self, site, folder="live"):
        found = (self.root / site / folder).iterdir()
        return {path.name: path.read_text() for path in found}


@pytest.fixture(scope="module", params=["local", "sshd"])
def ssh(request, tmp_path_factory):
    """The client that leads to the sites; None: they are directories of this machine."""
    if request.param == "local":
        yield None
        return
    if CLIENT is None or SSHD is None:
        pytest.skip("there is no ssh client, or no server")
    server = Sshd(tmp_path_factory.mktemp("sshd"), "sshd")
    try:
        yield [CLIENT, "-F", str(server.config)]
    finally:
        server.stop()


@pytest.fixture
def deployment(ssh, tmp_path, monkeypatch):
    monkeypatch.setenv("DEPLOY_ROOT", str(tmp_path))
    for site in APP:
        (tmp_path / site / "live").mkdir(parents=True)
        (tmp_path / site / "live" / "index.html").write_text(f"old, of {site}\n")
    return Deployment(tmp_path, ssh)


def test_two_directories_are_brought_to_each_site_and_become_what_is_live(deployment):
    batch = deployment.run()
    transfers = [line for line in deployment.lines if line[0] == "update"]
    assert sorted(transfers) == [
        ("update", site, f"{name} is there") for site in APP for name in ("scripts", "www")
    ]
    assert batch.shared == {"busy": True, "standby": True}
    for site in APP:
        assert deployment.live(site) == {"index.html": "Hello, World!\n"}
        assert deployment.live(site, "before") == {"index.html": f"old, of {site}\n"}
        assert deployment.live(site, "after") == {"index.html": "Hello, World!\n"}, "snapshot two"
    assert deployment.alerts == []


def test_a_deploy_that_fails_is_taken_back_and_told_of_on_that_site_alone(deployment):
    (deployment.root / "standby" / "closed").touch()
    batch = deployment.run()
    assert batch.shared == {"busy": True, "standby": False}
    assert deployment.live("standby") == {"index.html": "old, of standby\n"}
    assert deployment.live("busy") == {"index.html": "Hello, World!\n"}
    assert deployment.alerts == [("admin@example.com", "deploy failed on standby")]
    put_back = [line for line in deployment.lines if line[0] == "snapshot"]
    assert put_back == [("snapshot", "standby", "put back what was there before")]
    assert [result.index for result in batch.results] == [1, 2]
    assert batch.results[1].of("snapshot", "standby").status == "ok", "the second one"
