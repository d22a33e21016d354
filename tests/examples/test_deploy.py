"""A deployment to two directories of this machine, run as its reader does."""

import sys

import pytest

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="its sites are of this machine's sh"),
]


def test_it_says_of_each_site_what_was_done(shell, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    said = shell("examples/deploy.py").end().splitlines()
    assert sorted(line for line in said if line.endswith("is there")) == [
        f"{site}: {name} is there" for site in ("busy", "standby") for name in ("scripts", "www")
    ]
    assert "busy    ok=4 failed=0 lost=0 unreachable=0 skipped=0" in said
    assert said[-1].startswith("update, snapshot, deploy, snapshot: 8 of 8 ok on 2 sites in ")
    assert list(tmp_path.iterdir()) == [], "it leaves nothing behind"


def test_one_that_fails_is_told_of_and_put_back(shell, tmp_path, monkeypatch):
    monkeypatch.setenv("DEPLOY_ROOT", str(tmp_path))
    (tmp_path / "standby").mkdir()
    (tmp_path / "standby" / "closed").touch()
    said = shell("examples/deploy.py").end(1).splitlines()
    assert "to admin@example.com: deploy failed on standby" in said
    assert "standby: put back what was there before" in said
    assert not any(line.startswith("busy: put back") for line in said)


def test_a_host_that_cannot_be_reached_is_named(shell, tmp_path, monkeypatch):
    client = tmp_path / "ssh"
    client.write_text("#!/bin/sh\necho 'no such luck' >&2\nexit 255\n")
    client.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    said = shell("examples/deploy.py", "box1").end(1)
    assert "unreachable: update on busy" in said
    assert "no such luck" in said
    assert "busy    ok=0 failed=0 lost=0 unreachable=1 skipped=3" in said
