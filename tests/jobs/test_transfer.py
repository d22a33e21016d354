"""Files are brought to a site and back, the same by every way: rsync or tar, ssh, local or mesh."""

import asyncio
import os
import shutil
import sys
import time

import psutil
import pytest

from meshcluster import allow_commands
from meshcluster.errors import CommandTimeout, ConfigError, TransferFailed
from meshcluster.jobs.shell import AsyncShell, Shell

from .mesh import site
from .trees import NAMES, client, plant, told, tools

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="sites with sh are POSIX's"),
]
RSYNC = shutil.which("rsync") is not None
REAL = ["ssh rsync", "ssh tar"]
LOCAL = ["local rsync", "local tar"]
WAYS = ["fake rsync", "local tar", "mesh tar"]


class Log:
    def __init__(self):
        self.text = ""

    def write(self, data):
        self.text += data.decode()


@pytest.fixture
def log():
    return Log()


def needs_rsync():
    if not RSYNC:
        pytest.skip("there is no rsync here")


@pytest.fixture
def shell(request, way, log, tmp_path, monkeypatch):
    """Of a site that is reached in one of these ways, and brings files as this says."""
    kind, by = request.param.split()
    if by == "rsync":
        needs_rsync()
    elif kind != "mesh":
        monkeypatch.setenv("PATH", str(tools(tmp_path / "bin")))
    if kind == "ssh":
        return Shell("w1", ssh_config=str(way.server.config), log=log)
    if kind == "fake":
        return Shell("w1", ssh=client(tmp_path, tmp_path / "ho'me"), log=log)
    if kind == "local":
        return Shell(log=log)
    join = request.getfixturevalue("join")
    far, one = join("app", name="far"), join(name="one")
    allow_commands(far)
    return Shell(site(one, "far"), log=log)


def by(*ways):
    pairs = [("sshd" if each in REAL else "fake", each) for each in ways]
    return pytest.mark.parametrize(("way", "shell"), pairs, indirect=True)


@pytest.fixture
def home(tmp_path):
    return tmp_path / "ho'me"


@pytest.fixture
def far(tmp_path, home, log):
    """A host behind ssh with a home directory of its own."""
    return Shell("w1", ssh=client(tmp_path, home), log=log)


@pytest.fixture
def poor(tmp_path, home, log):
    """The same without rsync."""
    return Shell("w1", ssh=client(tmp_path, home, tools(tmp_path / "bin")), log=log)


def without_times(root):
    """A tree; of directories, which a mirror may have deleted something in, no time."""
    return {
        name: fact if isinstance(fact, str) or fact[2] is not None else fact[0]
        for name, fact in told(root).items()
    }


# --- the same by every way ------------------------------------------------------------------------


@by(*REAL, *LOCAL, "mesh tar")
def test_a_tree_goes_there_and_back_and_a_mirror_deletes_what_is_not_in_it(shell, log, tmp_path):
    tree, there, back = plant(tmp_path / "tree"), tmp_path / "there $x", tmp_path / "back"
    (there / "deep" / "extra").mkdir(parents=True)
    (there / "deep" / "extra" / "file").touch()
    (there / "-more\n").touch()
    shell.upload(f"{tree}/", str(there))
    assert (there / "deep" / "extra" / "file").exists()
    assert (there / "-more\n").exists()
    shell.upload(f"{tree}/", str(there), mirror=True)
    assert without_times(there) == without_times(tree)
    back.mkdir()
    (back / "extra").touch()
    shell.download(f"{there}/", back, mirror=True)
    assert without_times(back) == without_times(tree)
    assert (" by tar" in log.text) == ("/rsync" not in log.text)


def another_kind(root, *, full):
    """What is a file here is a directory there, and so on."""
    tree, out = root / "tree", root / "out"
    for folder in (tree / "d", out / "x", out / "near", root / "kept"):
        folder.mkdir(parents=True)
        (folder / "file").touch()
    if not full:
        (out / "x" / "file").unlink()
        (out / "near" / "file").unlink()
    (tree / "x").write_text("x")
    (tree / "near").symlink_to("x")
    (out / "d").write_text("d")
    (tree / "l").mkdir()
    (tree / "l" / "file").mkdir()
    (tree / "l" / "other").touch()
    (out / "l").symlink_to("../kept")
    return tree, out


@by("fake rsync", "local tar")
@pytest.mark.parametrize("name", ["upload", "download"])
@pytest.mark.parametrize("mirror", [False, True])
def test_what_is_of_another_kind_makes_way(shell, tmp_path, name, mirror):
    tree, out = another_kind(tmp_path, full=mirror)
    getattr(shell, name)(f"{tree}/", str(out), mirror=mirror)
    assert without_times(out) == without_times(tree)
    assert os.listdir(tmp_path / "kept") == ["file"]


@by("fake rsync", "local tar")
@pytest.mark.parametrize("name", ["upload", "download"])
def test_a_full_directory_makes_way_in_a_mirror_alone(shell, tmp_path, name):
    tree, out = another_kind(tmp_path, full=True)
    with pytest.raises(TransferFailed, match=r"\b(x|near)\b.*"):
        getattr(shell, name)(f"{tree}/", str(out))
    assert os.listdir(out / "x") == os.listdir(out / "near") == ["file"]
    getattr(shell, name)(str(tree / "x"), str(out), mirror=True)
    assert (out / "x").read_text() == "x"
    assert os.listdir(out / "near") == ["file"]


@by(*WAYS)
def test_names_and_slashes_mean_the_same(shell, tmp_path):
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "f").write_text("f")
    for bring, name in ((shell.upload, "up"), (shell.download, "down")):
        out = tmp_path / name
        out.mkdir()
        bring(str(tmp_path / "f"), f"{out}/-new [1]")
        bring(str(tmp_path / "f"), f"{out}/made/")
        bring(str(tmp_path / "f"), f"{out}/made")
        bring([str(tmp_path / "d"), str(tmp_path / "f")], str(out / "both"))
        assert sorted(each for each in told(out) if not each.endswith(".")) == [
            "-new [1]", "both", "both/d", "both/d/e", "both/f", "made", "made/f",
        ]  # fmt: skip


@by("fake rsync", "local tar")
def test_what_is_not_there_is_told_before_anything_is_begun(shell, tmp_path):
    (tmp_path / "f").touch()
    for bring in (shell.upload, shell.download):
        with pytest.raises(TransferFailed, match=r": there is no file or directory '.*/none'$"):
            bring([str(tmp_path / "f"), str(tmp_path / "none")], str(tmp_path / "out"))
        with pytest.raises(TransferFailed, match=r": there is no directory '.*/f'$"):
            bring(f"{tmp_path}/f/", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


# --- where paths start ----------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["far", "poor"])
def test_relative_paths_start_at_the_login_directory_and_here_at_the_current_one(
    host, request, home, tmp_path, monkeypatch
):
    shell = request.getfixturevalue(host)
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        (tmp_path / name).write_text(name)
    shell.upload(list(NAMES), "")
    assert {path.name: path.read_text() for path in home.iterdir()} == {
        name: name for name in NAMES
    }
    (tmp_path / "back").mkdir()
    shell.download(list(NAMES), "back")
    assert sorted(os.listdir(tmp_path / "back")) == sorted(NAMES)
    shell.upload("a b", "~/in home")
    assert (home / "in home").read_text() == "a b"


@pytest.mark.parametrize("cwd", ["app", "~/app"])
def test_a_sites_cwd_is_where_relative_paths_start(cwd, tmp_path, home):
    (tmp_path / "f").touch()
    shell = Shell("w1", ssh=client(tmp_path, home), cwd=cwd)
    (home / "app").mkdir()
    shell.upload(tmp_path / "f", "new")
    shell.download("new", tmp_path / "again")
    assert os.listdir(home / "app") == ["new"]
    assert (tmp_path / "again").exists()


# --- without rsync --------------------------------------------------------------------------------


def test_where_a_host_has_no_rsync_the_tree_is_the_same(poor, home, tmp_path, log):
    needs_rsync()
    tree = plant(tmp_path / "tree")
    poor.upload(tree, "x")
    assert told(home / "x" / "tree") == told(tree)
    assert "w1: by tar: " in log.text
    poor.download("x/tree/", tmp_path / "back")
    assert told(tmp_path / "back") == told(tree)


def test_arguments_for_rsync_want_rsync(poor, tmp_path, monkeypatch):
    (tmp_path / "f").touch()
    with pytest.raises(TransferFailed, match="rsync"):
        poor.upload(tmp_path / "f", "x", args=["-n"])
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(TransferFailed, match="there is no rsync here, and args= are for rsync"):
        poor.upload(tmp_path / "f", "x", args=["-n"])
    for wrong in ("-n", [7]):
        with pytest.raises(ConfigError, match=r"^args="):
            poor.upload(tmp_path / "f", "x", args=wrong)


# --- mirrors that nobody means --------------------------------------------------------------------


@pytest.mark.parametrize("host", ["far", "poor"])
def test_a_mirror_to_root_or_home_is_refused(host, request, home, tmp_path):
    shell = request.getfixturevalue(host)
    (home / "kept").touch()
    (home / "link").symlink_to(".")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").touch()
    for dest in ("/", "", "~", "~/", ".", "kept/..", str(home), f"{home}/../{home.name}", "link",
                 str(tmp_path)):  # fmt: skip
        with pytest.raises(TransferFailed, match=r"^w1: no mirror to"):
            shell.upload(f"{tmp_path}/d/", dest, mirror=True)
    assert sorted(os.listdir(home)) == ["kept", "link"]


def test_a_mirror_to_root_or_home_of_this_machine_is_refused(far, home, tmp_path, monkeypatch):
    (home / "d").mkdir()
    (home / "d" / "f").touch()
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "kept").touch()
    monkeypatch.setenv("HOME", str(mine))
    for dest in ("/", "~", "~/", str(mine), f"{mine}/x/.."):
        with pytest.raises(TransferFailed, match=r"^here: no mirror to"):
            far.download("d/", dest, mirror=True)
    assert os.listdir(mine) == ["kept"]


@by("fake rsync", "local tar")
def test_a_mirror_of_nothing_is_refused(shell, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "kept").touch()
    for bring in (shell.upload, shell.download):
        with pytest.raises(TransferFailed, match=r": '.*/empty' has nothing in it, or may not be"):
            bring(f"{tmp_path}/empty/", str(tmp_path / "out"), mirror=True)
        with pytest.raises(TransferFailed, match=r": there is no directory '.*/none'$"):
            bring(f"{tmp_path}/none/", str(tmp_path / "out"), mirror=True)
    assert os.listdir(tmp_path / "out") == ["kept"]


# --- an end that comes early ----------------------------------------------------------------------


async def begun(name):
    """The process of that name that we have started, once there is one."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for process in psutil.Process().children(recursive=True):
            try:
                if process.name() == name:
                    return process
            except psutil.NoSuchProcess:
                continue
        await asyncio.sleep(0.005)
    raise AssertionError(name)


@pytest.mark.parametrize("by", ["rsync", "tar"])
async def test_what_is_cancelled_leaves_no_process(by, tmp_path, monkeypatch):
    (tmp_path / "big").write_bytes(os.urandom(1 << 15))
    if by == "rsync":
        needs_rsync()
    bin = tools(tmp_path / "bin", *(("rsync",) if by == "rsync" else ()))
    if by == "tar":
        (bin / "tar").unlink()
        (bin / "tar").write_text("#!/bin/sh\nsleep 60\n")
        (bin / "tar").chmod(0o755)
    monkeypatch.setenv("PATH", str(bin))
    before = set(psutil.Process().children(recursive=True))
    args = ["--bwlimit=1"] if by == "rsync" else []
    bringing = asyncio.create_task(
        AsyncShell().upload(tmp_path / "big", str(tmp_path / "to"), args=args)
    )
    await begun("rsync" if by == "rsync" else "sleep")
    bringing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await bringing
    left = set(psutil.Process().children(recursive=True)) - before
    assert not [each for each in left if each.is_running() and each.status() != "zombie"]
    assert not (tmp_path / "to").exists()


def test_what_takes_too_long_is_ended(tmp_path):
    needs_rsync()
    (tmp_path / "big").write_bytes(os.urandom(1 << 20))
    with pytest.raises(CommandTimeout, match=r"^local: 'upload to .*/to' took longer than 0.1 s"):
        Shell().upload(tmp_path / "big", str(tmp_path / "to"), args=["--bwlimit=1"], timeout=0.1)
