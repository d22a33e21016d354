"""A group's directory: for those who are in it, made by one of them, and for nobody else."""

import grp
import os
import sys

import pytest

from meshcluster import ConfigError
from meshcluster.runtime.group import group_dir
from meshcluster.runtime.keys import host_key

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="POSIX groups"),
]
as_root = pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="needs root to be in any group"
)
VARIABLE = "MESHCLUSTER_GROUP_DIR"
GID = 54321


@pytest.fixture
def place(runtime_dir, monkeypatch):
    """Where the group meets, in a directory that all may write to, as /tmp is."""
    runtime_dir.chmod(0o1777)
    monkeypatch.setenv(VARIABLE, str(runtime_dir / "group"))
    return runtime_dir / "group"


def mode(path):
    return path.stat().st_mode & 0o7777


def test_it_is_made_for_the_group_whatever_the_umask(place):
    gid = os.getegid()
    before = os.umask(0o077)
    try:
        assert group_dir(gid) == place
    finally:
        os.umask(before)
    assert (mode(place), place.stat().st_gid) == (0o2770, gid)
    assert group_dir(grp.getgrgid(gid).gr_name) == place
    assert group_dir(str(gid)) == place


@as_root
def test_without_the_variable_the_group_alone_decides(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    path = group_dir(GID)
    try:
        assert str(path) == f"/tmp/meshcluster-g{GID}"
        assert (mode(path), path.stat().st_gid) == (0o2770, GID)
    finally:
        path.rmdir()


@as_root
def test_its_host_key_is_the_groups(place):
    host_key(group_dir(GID))
    found = (place / "host-key").stat()
    assert (found.st_mode & 0o777, found.st_gid) == (0o640, GID)


@as_root
@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda key: key.chmod(0o644), "is open to others"),
        (lambda key: os.chown(key, -1, 7), "belongs to group 7"),
    ],
)
def test_a_key_that_is_not_the_groups_alone_is_not_used(place, spoil, text):
    host_key(group_dir(GID))
    spoil(place / "host-key")
    with pytest.raises(ConfigError, match=text):
        host_key(place)


@pytest.mark.parametrize(
    ("group", "text"),
    [
        ("no such group", "'no such group': no such group here"),
        ("", "no such group here"),
        ("a\0b", "no such group here"),
        ("²", "no such group here"),
        (-1, "no number of a group"),
        (2**32, "no number of a group"),
        (str(2**70), "no number of a group"),
        (True, "a group's name or number"),
        (None, "a group's name or number"),
        (1.5, "a group's name or number"),
    ],
)
def test_what_is_no_group_is_refused(place, group, text):
    with pytest.raises(ConfigError, match=f"^group=.*{text}"):
        group_dir(group)
    assert not place.exists()


@as_root
@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda path: path.touch(), "is not a directory"),
        (lambda path: path.symlink_to("/tmp"), "is not a directory"),
        (lambda path: path.mkdir(), "belongs to group 0"),
        (lambda path: (path.mkdir(), os.chown(path, 0, GID), path.chmod(0o2775)), "open to others"),
        (lambda path: (path.mkdir(), os.chown(path, 0, GID), path.chmod(0o0770)), "has mode 0770"),
        (lambda path: (path.mkdir(), os.chown(path, 0, GID), path.chmod(0o2700)), "has mode 2700"),
    ],
)
def test_what_is_not_this_groups_alone_is_not_used(place, spoil, text):
    spoil(place)
    with pytest.raises(ConfigError, match=f"{place} .*{text}.*set {VARIABLE} to one of mode 2770"):
        group_dir(GID)


@as_root
def test_a_directory_that_inherits_its_group_must_be_made_by_one_who_is_in_it(place):
    """Where directories have the group of the one they are in, anybody makes one of that group."""
    os.chown(place.parent, -1, GID)
    place.mkdir()
    os.chown(place, 12345, GID)
    place.chmod(0o2770)
    with pytest.raises(ConfigError, match="made by user 12345, who is not in the group"):
        group_dir(GID)
    os.chown(place, 0, GID)
    assert group_dir(GID) == place


@as_root
def test_a_directory_that_cannot_be_made_is_named(monkeypatch, runtime_dir):
    monkeypatch.setenv(VARIABLE, str(runtime_dir / "nowhere" / "group"))
    with pytest.raises(ConfigError, match="cannot be made \\(No such file or directory\\)"):
        group_dir(GID)


OUTSIDER = """
from meshcluster.errors import ConfigError
from meshcluster.runtime.group import group_dir
import grp, pwd
path = sys.argv[1]
become(12345, 12345)
try:
    group_dir(54321)
except ConfigError as error:
    tell(str(error))

def tried(act):
    try:
        act()
    except OSError as error:
        return type(error).__name__
    return "done"

forged = path + ".forged"
os.mkdir(forged)
tell({
    "give": tried(lambda: os.chown(forged, -1, 54321)),
    "enter": tried(lambda: os.listdir(path)),
    "read": tried(lambda: open(path + "/host-key")),
    "make": tried(lambda: open(path + "/new", "w")),
    "replace": tried(lambda: os.rename(forged, path)),
    "remove": tried(lambda: os.rmdir(path)),
})
"""


@pytest.mark.process
def test_who_is_not_in_the_group_can_do_nothing_there(place, stranger):
    host_key(group_dir(GID))
    outsider = stranger(OUTSIDER, place)
    assert "group=54321: this process is not in it; usermod -aG 54321 USER" in outsider.hear()
    assert set(outsider.hear().values()) == {"PermissionError"}
    outsider.ends()


INSIDER = """
import asyncio
from pathlib import Path
from meshcluster.claims import Claim
from meshcluster.runtime.group import group_dir
from meshcluster.runtime.keys import host_key, kept_key
import grp, pwd, fcntl, tempfile, socket
become(int(sys.argv[1]), 12345, [54321])
os.umask(0o077)

async def main():
    path = group_dir(54321)
    key = host_key(path)
    assert kept_key(path, key) == key
    claim = Claim(path / "folder" / (sys.argv[1] + ".sock"))
    with await claim.bind(socket.SOCK_STREAM) as bound:
        bound.listen()
        tell(key.hex())
        for line in sys.stdin:
            with socket.socket(socket.AF_UNIX) as caller:
                caller.connect(str(path / "folder" / line.strip()))
            tell("connected")
    os._exit(0)  # as one that dies: its socket stays

asyncio.run(main())
"""


@pytest.mark.process
def test_members_of_several_users_share_it(place, stranger):
    """Whoever comes first makes all of it, and leaves it to others whatever its umask is."""
    one = stranger(INSIDER, 11111)
    key = one.hear()
    other = stranger(INSIDER, 22222)
    assert other.hear() == key
    other.say("11111.sock")
    assert other.hear() == "connected"
    one.say("22222.sock")
    assert one.hear() == "connected"
    assert place.stat().st_uid == 11111
    one.popen.stdin.close()
    one.popen.wait(20)
    third = stranger(INSIDER, 33333)  # clears away what the dead left, whosever it was
    assert third.hear() == key
    assert not (place / "folder" / "11111.sock").exists()
    assert (place / "folder" / "22222.sock").exists()
