"""What a member knows of its machine."""

import os
import subprocess
import sys

import pytest

from meshcluster import ConfigError
from meshcluster.config import DEFAULT_PORT, check_label
from meshcluster.runtime import host

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
VARIABLE = "MESHCLUSTER_RUNTIME_DIR"
PORT_VARIABLE = "MESHCLUSTER_PORT"


def test_the_variable_says_where_members_meet(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "deep" / "inside"))
    assert host.runtime_dir() == tmp_path / "deep" / "inside"
    assert host.runtime_dir().is_dir()


@posix_only
def test_the_runtime_directory_is_made_for_its_user_alone(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "new"))
    assert host.runtime_dir().stat().st_mode & 0o777 == 0o700


@posix_only
def test_without_the_variable_the_uid_alone_decides(monkeypatch, tmp_path):
    monkeypatch.delenv(VARIABLE)
    for name in ("HOME", "TMPDIR", "XDG_RUNTIME_DIR", "USER"):
        monkeypatch.setenv(name, str(tmp_path))
    assert str(host.runtime_dir()) == f"/tmp/meshcluster-{os.getuid()}"


def test_a_file_in_its_place_is_refused(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv(VARIABLE, str(tmp_path / "file"))
    with pytest.raises(ConfigError, match=rf"file is not a directory: set {VARIABLE}"):
        host.runtime_dir()
    monkeypatch.setenv(VARIABLE, str(tmp_path / "file" / "below"))
    with pytest.raises(ConfigError, match=rf"cannot be made \(Not a directory\): set {VARIABLE}"):
        host.runtime_dir()


@posix_only
def test_a_link_in_its_place_is_not_followed(tmp_path, monkeypatch):
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "link"))
    with pytest.raises(ConfigError, match="not a directory"):
        host.runtime_dir()


@posix_only
@pytest.mark.parametrize("mode", [0o755, 0o770, 0o711])
def test_a_directory_that_others_can_enter_is_refused(tmp_path, monkeypatch, mode):
    tmp_path.chmod(mode)
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(ConfigError, match=f"open to others: set {VARIABLE} to .*mkdir -m 700"):
        host.runtime_dir()


@posix_only
@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="needs root")
def test_nobody_is_advised_to_change_a_directory_that_is_not_ours(monkeypatch):
    monkeypatch.setenv(VARIABLE, "/etc")
    with pytest.raises(ConfigError) as refused:
        host.runtime_dir()
    assert "chmod" not in str(refused.value)
    assert f"set {VARIABLE} to a directory of your own ('mkdir -m 700 DIR' makes one)" in str(
        refused.value
    )


@posix_only
@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="needs root")
def test_a_directory_of_somebody_else_is_refused(tmp_path, monkeypatch):
    os.chown(tmp_path, 12345, -1)
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(ConfigError, match="belongs to user 12345"):
        host.runtime_dir()


@pytest.mark.process
def test_all_processes_of_a_machine_have_the_same_host_id():
    code = "from meshcluster.runtime import host; import sys; sys.stdout.write(host.host_id())"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert other.stdout == host.host_id()
    assert len(host.host_id()) == 16


@pytest.mark.parametrize(
    ("program", "called"),
    [
        ("/usr/bin/worker.py", "worker"),
        ("-c", "python"),
        ("", "python"),
        ("/opt/shop/__main__.py", "python"),
        ("a\nb.py", "a?b"),
        ("x" * 200 + ".py", "x" * 40),
    ],
)
def test_a_member_without_a_name_is_called_after_its_program(monkeypatch, program, called):
    monkeypatch.setattr(sys, "argv", [program])
    name = host.default_name(bytes.fromhex("abcd" + 14 * "00"))
    assert name == f"{called}-{os.getpid()}-abcd"
    check_label("name", name)


def test_the_default_port_can_be_moved_and_no_other(monkeypatch):
    monkeypatch.setenv(PORT_VARIABLE, "4000")
    assert host.beacon_port(DEFAULT_PORT) == 4000
    assert host.beacon_port(5000) == 5000
    monkeypatch.delenv(PORT_VARIABLE)
    assert host.beacon_port(DEFAULT_PORT) == DEFAULT_PORT


@pytest.mark.parametrize("given", ["x", "0", "65536", "-1", "1.5", "²"])
def test_what_is_no_port_is_refused(monkeypatch, given):
    monkeypatch.setenv(PORT_VARIABLE, given)
    with pytest.raises(ConfigError, match=f"{PORT_VARIABLE}=.*1 to 65535"):
        host.beacon_port(DEFAULT_PORT)
