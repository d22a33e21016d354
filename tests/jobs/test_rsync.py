"""rsync's command line, and what its endings mean."""

import io
import os
import shutil

import pytest

from meshcluster.errors import SiteLost, SiteUnreachable, TransferFailed
from meshcluster.jobs.origin import Origin
from meshcluster.jobs.rsync import argv, far, literal, remote_shell, spelt
from meshcluster.jobs.shell import Shell
from meshcluster.jobs.site import Site
from meshcluster.jobs.ways import way_to

from .trees import client

needs_rsync = pytest.mark.skipif(shutil.which("rsync") is None, reason="there is no rsync here")


def test_the_remote_shell_is_the_clients_command_with_port_user_and_the_rest():
    config = {
        "host": "h", "user": "ada", "port": 2222, "identity": "/k e'y", "ssh_config": "/c",
        "ssh": ["/opt/my ssh", "-v"], "options": ["ProxyJump=j"],
    }  # fmt: skip
    words = way_to(Site("s1", config=config)).transport()
    shown = remote_shell(words)
    assert shown.startswith(
        "'/opt/my ssh' -v -T -F /c -l ada -p 2222 -i '/k e''y' -o ProxyJump=j -o "
    )
    assert shown.endswith(" --")
    assert shown.split().count("--") == 1


def test_first_ours_then_the_users_then_sources_and_the_target():
    line = argv("rsync", ["ssh", "-T"], ["a b", "-c"], "h:x", mirror=False, args=["--dry-run"])
    assert line == [
        "rsync", "-e", "ssh -T --", "-z", "-a", "-s", "--partial", "--dry-run", "--",
        "a b", "-c", "h:x",
    ]  # fmt: skip


def test_a_mirror_deletes_when_all_is_there():
    assert argv("rsync", (), ["a"], "b", mirror=True) == [
        "rsync", "-a", "-s", "--partial", "--delete-after", "--", "a", "b",
    ]  # fmt: skip


def test_paths_of_a_host():
    assert far("h", "~/x y") == "h:./x y"
    assert (far("h", "~"), far("h", "/x")) == ("h:.", "h:/x")
    assert far("::1", "/x") == "[::1]:/x"


@needs_rsync
def test_a_user_in_front_of_the_host_is_an_option_of_the_client(tmp_path):
    ssh, log = client(tmp_path, tmp_path / "home"), io.StringIO()
    (tmp_path / "file").write_text("hi")
    site = Site("far", config={"host": "ada@w1", "ssh": ssh})
    Shell(site, log=log).upload(tmp_path / "file", "made")
    assert (tmp_path / "home" / "made").read_text() == "hi"
    assert " -l ada --' -z " in log.getvalue()
    assert " w1:./made" in log.getvalue()


def test_signs_that_rsync_would_look_for_files_by_are_signs():
    assert literal("h:a[1]*?\\") == "h:a\\[1]\\*\\?\\\\"
    assert literal("h:back\\slash") == "h:back\\slash"


def test_contents_have_one_slash():
    assert [spelt(Origin(path, True)) for path in ("/", "./a")] == ["/", "./a/"]
    assert spelt(Origin("./a", False)) == "./a"


# --- its endings ----------------------------------------------------------------------------------


@needs_rsync
def test_a_host_that_refuses_is_unreachable(tmp_path):
    shell = Shell("closed", ssh=client(tmp_path, tmp_path / "home"))
    (tmp_path / "file").touch()
    with pytest.raises(SiteUnreachable, match=r"^closed is unreachable: ssh: .*Connection refused"):
        shell.upload(tmp_path / "file", "x")


@needs_rsync
def test_a_client_that_there_is_not(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SiteUnreachable, match="Failed to exec /no/ssh"):
        Shell("h", ssh="/no/ssh").upload(tmp_path / "file", "x")


@needs_rsync
def test_a_connection_that_breaks_is_a_site_that_is_lost(tmp_path):
    ssh = client(tmp_path, tmp_path / "home")
    short = tmp_path / "short"
    short.write_text(f"#!/bin/sh\ndd bs=1 count=9000 2>/dev/null | '{ssh}' \"$@\"\nexit 255\n")
    short.chmod(0o755)
    (tmp_path / "file").write_bytes(os.urandom(1 << 18))
    with pytest.raises(SiteLost, match=r"^w1 was lost while rsync ran: "):
        Shell("w1", ssh=str(short)).upload(tmp_path / "file", "x")


@needs_rsync
def test_what_rsync_says_is_in_the_error_and_in_the_log(tmp_path):
    log = []
    (tmp_path / "file").touch()
    shell = Shell(log=type("Log", (), {"write": staticmethod(log.append)}))
    with pytest.raises(TransferFailed, match=r"^local: rsync ended with \d+: .*No such file"):
        shell.upload(tmp_path / "file", str(tmp_path / "no" / "such" / "folder"))
    said = b"".join(log).decode()
    assert said.startswith("local: $ ")
    assert "No such file" in said


@needs_rsync
def test_arguments_are_rsyncs_own(tmp_path, capfdbinary):
    (tmp_path / "file").touch()
    Shell().upload(tmp_path / "file", str(tmp_path / "made"), args=["--dry-run", "-v"])
    assert not (tmp_path / "made").exists()
    assert capfdbinary.readouterr() == (b"", b"")


@needs_rsync
def test_a_login_script_that_prints_is_no_hindrance(tmp_path):
    ssh = client(tmp_path, tmp_path / "home")
    with open(ssh, "r+") as script:
        text = script.read()
        script.seek(0)
        script.write(text.replace('cd "$HOME"', 'cd "$HOME"; echo Welcome'))
    (tmp_path / "file").write_text("hi")
    Shell("w1", ssh=ssh).upload(tmp_path / "file", "x")
    assert (tmp_path / "home" / "x").read_text() == "hi"
