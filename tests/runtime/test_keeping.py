"""What runs for long keeps its files from those who clean up."""

import asyncio
import logging
import os
import shutil
import sys
import time

import pytest

import meshcluster
from meshcluster.protocols.registry import DEFAULT
from meshcluster.runtime import keeping, realm
from meshcluster.runtime.host import runtime_dir as place
from meshcluster.runtime.keeping import Keeping
from meshcluster.runtime.keys import host_key
from tests.waiting import eventually

KEY_DAYS = 20


@pytest.fixture
def keep(runtime_dir):
    """Keeps the directory's present key; `keep.changes` are the keys that took its place."""
    found = []
    kept = Keeping(place, host_key(runtime_dir), bytes(16), found.append)
    kept.changes = found
    yield kept
    kept.close()


async def test_it_puts_the_key_back_within_a_minute(runtime_dir, keep, monkeypatch):
    assert keeping.KEEP_SECONDS == 60
    monkeypatch.setattr(keeping, "KEEP_SECONDS", 0.01)
    path = runtime_dir / "host-key"
    key = path.read_bytes()
    keep.start()
    for _ in range(2):
        path.unlink()
        await eventually(path.exists)
        assert path.read_bytes() == key
    assert keep.changes == []


def test_a_directory_that_was_removed_is_made_again(runtime_dir, keep):
    key = (runtime_dir / "host-key").read_bytes()
    (runtime_dir / "host-key").unlink()
    runtime_dir.rmdir()
    keep.look()
    assert (runtime_dir / "host-key").read_bytes() == key
    assert runtime_dir.stat().st_mode & 0o777 == 0o700


def test_another_key_is_told_once(runtime_dir, keep):
    (runtime_dir / "host-key").unlink()
    new = host_key(runtime_dir)
    keep.look()
    keep.look()
    assert keep.changes == [new]


@pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="needs root to give a directory away"
)
def test_who_takes_the_name_of_a_directory_that_is_gone_is_not_believed(runtime_dir, keep, caplog):
    (runtime_dir / "host-key").unlink()
    os.chown(runtime_dir, 12345, 12345)
    (runtime_dir / "host-key").write_bytes(b"k" * 32)
    os.chown(runtime_dir / "host-key", 12345, 12345)
    with caplog.at_level(logging.WARNING):
        keep.look()
        keep.look()
    assert keep.changes == []
    assert caplog.text.count("belongs to user 12345") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no UNIX sockets")
async def test_sockets_and_locks_of_its_member_do_not_grow_old(runtime_dir, beacon_port):
    async with meshcluster.AsyncCluster().join(port=beacon_port) as cluster:
        assert "unix" in DEFAULT
        kept = Keeping(
            place,
            host_key(runtime_dir),
            bytes.fromhex(cluster.uuid.partition("@")[0]),
            lambda key: None,
        )
        old = time.time() - KEY_DAYS * 86400
        files = [path for path in runtime_dir.glob("*/*") if path.suffix in (".sock", ".lock")]
        assert len(files) == 6
        for path in files:
            os.utime(path, (old, old))
        kept.look()
        assert all(path.stat().st_mtime > old + 86400 for path in files)


async def test_members_meet_whose_host_key_was_removed_between_their_starts(
    runtime_dir, beacon_port, monkeypatch
):
    """The later one has made a new key: the one that runs understands it, then uses it as well."""
    monkeypatch.setattr(keeping, "KEEP_SECONDS", 0.1)
    monkeypatch.setattr(realm, "KEEP_SECONDS", 0.1)
    early, late = meshcluster.AsyncCluster(), meshcluster.AsyncCluster()
    settings = {"port": beacon_port, "heartbeat_seconds": 0.1}
    async with early.join(**settings):
        old = host_key(runtime_dir)
        (runtime_dir / "host-key").unlink()
        async with late.join(**settings):
            assert host_key(runtime_dir) != old
            await asyncio.wait_for(early.wait_for_services(1), 20)
            await asyncio.wait_for(late.wait_for_services(1), 20)
            came = asyncio.Event()
            late.hook("event")(lambda message: came.set())
            await early.broadcast("here")
            await asyncio.wait_for(came.wait(), 20)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("systemd-tmpfiles"), reason="needs systemd-tmpfiles")
async def test_what_cleans_tmp_leaves_a_member_that_runs_alone(
    runtime_dir, beacon_port, tmp_path, monkeypatch
):
    """It takes keys and locks away under a member that does not use them, though locked."""
    monkeypatch.setattr(keeping, "KEEP_SECONDS", 0.2)
    config = tmp_path / "clean.conf"
    config.write_text(f"d {runtime_dir} 0700 - - 2s\n")
    async with meshcluster.AsyncCluster().join(port=beacon_port):
        ours = sorted(runtime_dir.rglob("*"))
        forgotten = runtime_dir / "forgotten"
        forgotten.touch()
        async with asyncio.timeout(20):
            while forgotten.exists():
                await asyncio.sleep(0.5)  # it grows old
                cleaning = await asyncio.create_subprocess_exec(
                    "systemd-tmpfiles", "--clean", config
                )
                assert await cleaning.wait() == 0
        assert sorted(runtime_dir.rglob("*")) == ours
