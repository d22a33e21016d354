"""The host key: one for all who come, for nobody else, and there as long as somebody runs."""

import os
import subprocess
import sys
import time

import pytest

from meshcluster import ConfigError
from meshcluster.runtime import keys
from meshcluster.runtime.keys import host_key, kept_key

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
as_root = pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="needs root")


def test_it_is_made_once_and_stays(runtime_dir):
    key = host_key(runtime_dir)
    assert len(key) == 32
    assert host_key(runtime_dir) == key
    assert [path.name for path in runtime_dir.iterdir()] == ["host-key"]


def test_no_two_directories_have_the_same(runtime_dir, tmp_path):
    assert host_key(runtime_dir) != host_key(tmp_path)


@posix_only
def test_it_is_its_users_alone_whatever_the_umask(runtime_dir):
    before = os.umask(0)
    try:
        host_key(runtime_dir)
    finally:
        os.umask(before)
    assert (runtime_dir / "host-key").stat().st_mode & 0o777 == 0o600


TOGETHER = """
import sys, time
from pathlib import Path
from meshcluster.runtime.keys import host_key
print("ready", flush=True)
sys.stdin.readline()
print(host_key(Path(sys.argv[1])).hex(), flush=True)
"""


@pytest.mark.process
def test_processes_that_come_at_once_get_the_same(runtime_dir):
    command = [sys.executable, "-c", TOGETHER, str(runtime_dir)]
    pipe = subprocess.PIPE
    crowd = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(8)]
    for each in crowd:
        assert each.stdout.readline() == "ready\n"
    for each in crowd:
        each.stdin.write("\n")
        each.stdin.flush()
    found = {each.communicate(timeout=30)[0] for each in crowd}
    assert len(found) == 1
    assert len(found.pop()) == 65
    assert [path.name for path in runtime_dir.iterdir()] == ["host-key"]


def test_nobody_reads_half_a_key(runtime_dir, monkeypatch):
    """Another one comes when it is written and has no name yet: it makes its own, which stays."""
    seen = []
    link = os.link

    def later(made, path):
        monkeypatch.setattr(os, "link", link)
        seen.append(host_key(runtime_dir))
        link(made, path)

    monkeypatch.setattr(os, "link", later)
    assert seen == [host_key(runtime_dir)] != []


@posix_only
@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda path: path.chmod(0o640), "is open to others"),
        (lambda path: path.chmod(0o604), "is open to others"),
        (lambda path: path.write_bytes(b"x" * 31), "is damaged: 32 bytes are expected"),
        (lambda path: path.write_bytes(b"x" * 33), "is damaged"),
        (lambda path: path.write_bytes(b""), "is damaged"),
        (lambda path: (path.unlink(), path.mkdir()), "is not a regular file"),
        (lambda path: (path.unlink(), os.mkfifo(path, 0o600)), "is not a regular file"),
        (lambda path: (path.rename(f"{path}.real"), path.symlink_to(f"{path}.real")),
         "cannot be read"),
    ],
)  # fmt: skip
def test_what_is_no_secret_is_not_used(runtime_dir, spoil, text):
    key = host_key(runtime_dir)
    path = runtime_dir / "host-key"
    spoil(path)
    for use in (host_key, lambda directory: kept_key(directory, key)):
        with pytest.raises(ConfigError, match=f"host key {path} {text}.*then remove it") as refused:
            use(runtime_dir)
        assert key.hex() not in str(refused.value)


@posix_only
@as_root
def test_a_key_of_somebody_else_is_not_used(runtime_dir):
    host_key(runtime_dir)
    os.chown(runtime_dir / "host-key", 12345, -1)
    with pytest.raises(ConfigError, match="belongs to user 12345"):
        host_key(runtime_dir)


FULL = """
import resource, sys
from pathlib import Path
from meshcluster.errors import ConfigError
from meshcluster.runtime.keys import host_key
resource.setrlimit(resource.RLIMIT_FSIZE, (16, 16))
try:
    host_key(Path(sys.argv[1]))
except ConfigError as error:
    print(error)
"""


@posix_only
@pytest.mark.process
@pytest.mark.parametrize("limit", [0, 16])
def test_a_disk_without_room_is_named_and_nothing_is_left(runtime_dir, limit):
    done = subprocess.run(
        [sys.executable, "-c", FULL.replace("16", str(limit)), str(runtime_dir)],
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert f"host key {runtime_dir}/host-key cannot be made" in done.stdout, done.stderr
    assert "set MESHCLUSTER_RUNTIME_DIR to a directory of your own" in done.stdout
    assert list(runtime_dir.iterdir()) == []


READ_ONLY = """
mount -t tmpfs -o mode=700 none "$1" && mount -o remount,ro "$1" && exec "$2" -c '
import sys
from pathlib import Path
from meshcluster.errors import ConfigError
from meshcluster.runtime.keys import host_key
try:
    host_key(Path(sys.argv[1]))
except ConfigError as error:
    print(error)
' "$1"
"""


@posix_only
@as_root
@pytest.mark.process
def test_a_directory_that_cannot_be_written_is_named(runtime_dir):
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", READ_ONLY, "sh", str(runtime_dir), sys.executable],
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    if "mount:" in done.stderr or "unshare:" in done.stderr:
        pytest.skip("no mounts here")
    assert "cannot be made (Read-only file system): see to it, or set" in done.stdout, done.stderr


def test_a_key_in_use_does_not_grow_old(runtime_dir):
    key = host_key(runtime_dir)
    path = runtime_dir / "host-key"
    old = time.time() - 20 * 86400
    os.utime(path, (old, old))
    assert kept_key(runtime_dir, key) == key
    assert path.stat().st_mtime > old + 86400


def test_a_key_that_was_cleaned_away_is_put_back(runtime_dir):
    key = host_key(runtime_dir)
    (runtime_dir / "host-key").unlink()
    assert kept_key(runtime_dir, key) == key
    assert host_key(runtime_dir) == key


def test_who_came_before_it_was_put_back_has_made_the_new_one(runtime_dir):
    key = host_key(runtime_dir)
    (runtime_dir / "host-key").unlink()
    new = host_key(runtime_dir)
    assert kept_key(runtime_dir, key) == new != key


def test_one_that_is_gone_whenever_it_was_made_is_an_error(runtime_dir, monkeypatch):
    monkeypatch.setattr(keys, "_put", lambda path, key: None)
    with pytest.raises(ConfigError, match="removed by somebody as soon as it is made"):
        host_key(runtime_dir)
