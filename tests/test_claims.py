"""Claimed sockets: for this user only, never robbed while alive, swept away when dead."""

import asyncio
import os
import socket
import stat
import sys
import threading

import pytest

from meshcluster import ConfigError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no UNIX sockets")
if sys.platform != "win32":
    from meshcluster import claims
    from meshcluster.claims import Claim

NAME = "0123456789abcdef.sock"


@pytest.fixture
async def bind(runtime_dir):
    """Claims names and binds sockets there; all are closed at the end."""
    held = []

    async def bind(name=NAME, kind=socket.SOCK_DGRAM):
        claim = Claim(runtime_dir / "folder" / name)
        held.append((claim, await claim.bind(kind)))
        return claim

    yield bind
    for claim, bound in held:
        bound.close()
        claim.release()


def leave_dead_socket(folder, name="dead.sock"):
    """What a killed member leaves: its socket, and a lock file that nobody holds."""
    folder.mkdir(mode=0o700, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(folder / name))
    (folder / name).with_suffix(".lock").touch(mode=0o600)
    return folder / name


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
async def test_only_its_user_can_reach_the_socket(bind, kind):
    path = (await bind(kind=kind)).path
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)


@pytest.mark.parametrize("umask", [0o022, 0o077])
async def test_in_a_groups_directory_all_is_the_groups(bind, runtime_dir, umask):
    runtime_dir.chmod(0o2770)
    before = os.umask(umask)
    try:
        path = (await bind()).path
    finally:
        os.umask(before)
    lock = path.with_suffix(".lock")
    assert [mode(each) for each in (path.parent, path, lock)] == [0o2770, 0o660, 0o660]
    assert [each.name for each in runtime_dir.iterdir()] == ["folder"]


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="needs root")
async def test_what_is_made_in_a_groups_directory_gets_its_group(bind, runtime_dir):
    os.chown(runtime_dir, -1, 54321)
    runtime_dir.chmod(0o2770)
    path = (await bind()).path
    assert {p.stat().st_gid for p in (path.parent, path, path.with_suffix(".lock"))} == {54321}


def test_a_directory_is_a_groups_by_its_mode(runtime_dir):
    for number, shared in ((0o2770, True), (0o3770, True), (0o770, False), (0o2700, False)):
        runtime_dir.chmod(number)
        assert claims.is_shared(runtime_dir) == shared
    assert not claims.is_shared(runtime_dir / "nowhere")


def test_a_shared_directory_that_is_in_use_is_left_alone(runtime_dir):
    (runtime_dir / "folder").mkdir(mode=0o700)
    (runtime_dir / "folder" / "file").touch()
    claims.make_shared(runtime_dir / "folder")
    assert mode(runtime_dir / "folder") == 0o700
    assert [each.name for each in runtime_dir.iterdir()] == ["folder"]


def test_a_shared_directory_that_cannot_be_made_leaves_nothing(runtime_dir):
    (runtime_dir / "folder").touch()
    with pytest.raises(NotADirectoryError):
        claims.make_shared(runtime_dir / "folder")
    assert [each.name for each in runtime_dir.iterdir()] == ["folder"]


async def test_releasing_removes_socket_and_lock_once(bind):
    one = await bind()
    one.release()
    assert list(one.path.parent.iterdir()) == []
    other = await bind()
    one.release()
    assert other.path.exists()


async def test_a_live_name_cannot_be_claimed(bind):
    path = (await bind()).path
    with pytest.raises(ConfigError, match="belongs to a live process"):
        await bind()
    assert not claims.remove_if_dead(path)
    assert path.exists()


async def test_a_claim_removes_what_the_dead_left(bind, runtime_dir):
    dead = leave_dead_socket(runtime_dir / "folder")
    path = (await bind()).path
    assert sorted(each.name for each in path.parent.iterdir()) == sorted(
        [path.name, path.with_suffix(".lock").name]
    )
    assert not dead.exists()


async def test_a_dead_socket_of_the_same_name_is_replaced(bind, runtime_dir):
    dead = leave_dead_socket(runtime_dir / "folder", NAME)
    inode = dead.stat().st_ino, dead.stat().st_ctime_ns
    path = (await bind()).path
    assert (path.stat().st_ino, path.stat().st_ctime_ns) != inode


async def test_what_has_no_lock_file_is_left_alone(bind, runtime_dir):
    (runtime_dir / "folder").mkdir()
    foreign = runtime_dir / "folder" / "foreign.sock"
    foreign.touch()
    await bind()
    assert foreign.exists()


def test_a_lock_file_is_no_way_to_somewhere_else(runtime_dir):
    elsewhere = runtime_dir / "elsewhere"
    (runtime_dir / "trap.lock").symlink_to(elsewhere)
    assert not claims.remove_if_dead(runtime_dir / "trap.sock")
    assert not elsewhere.exists()


def test_claims_made_and_released_at_once_never_hinder_each_other(runtime_dir):
    """Each claim sweeps the folder while others make their locks there."""
    troubles = []

    async def claim_and_release(number):
        for count in range(150):
            claim = Claim(runtime_dir / "folder" / f"{number:x}-{count:x}.sock")
            try:
                with await claim.bind(socket.SOCK_DGRAM):
                    if not claim.path.exists():
                        troubles.append("robbed")
            except ConfigError as error:
                troubles.append(error)
            claim.release()

    def run(number):
        asyncio.run(claim_and_release(number))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == []


async def test_a_path_too_long_for_a_socket_is_named(tmp_path):
    deep = tmp_path / ("d" * 100)
    with pytest.raises(ConfigError, match=r"MESHCLUSTER_RUNTIME_DIR.*103 bytes.*shorter"):
        await Claim(deep / NAME).bind(socket.SOCK_DGRAM)


async def test_whether_a_socket_is_dead_is_told_and_nothing_removed(bind, runtime_dir):
    alive = await bind()
    leave_dead_socket(runtime_dir / "elsewhere")
    assert claims.is_dead(runtime_dir / "elsewhere" / "dead.sock")
    assert not claims.is_dead(alive.path)
    assert not claims.is_dead(runtime_dir / "elsewhere" / "none.sock")
    assert (runtime_dir / "elsewhere" / "dead.sock").exists()


async def test_a_claim_that_failed_can_be_tried_again(bind, runtime_dir):
    path = runtime_dir / "folder" / NAME
    path.mkdir(parents=True)
    claim = Claim(path)
    for _ in range(2):
        with pytest.raises(OSError, match="directory"):
            await claim.bind(socket.SOCK_DGRAM)
    path.rmdir()
    bound = await claim.bind(socket.SOCK_DGRAM)
    bound.close()
    claim.release()


def test_the_lock_of_what_cannot_be_removed_is_let_go(runtime_dir):
    path = runtime_dir / NAME
    path.mkdir()
    path.with_suffix(".lock").touch(mode=0o600)
    assert not claims.remove_if_dead(path)
