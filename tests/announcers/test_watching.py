"""Changes of interfaces are told; tests/netns/test_interfaces.py changes real ones."""

import asyncio
import socket
import sys

import pytest

from meshcluster.announcers import watching
from meshcluster.announcers.watching import InterfaceWatch


async def test_where_the_system_does_not_tell_it_is_looked_again(monkeypatch):
    monkeypatch.setattr(watching, "_netlink", lambda: None)
    monkeypatch.setattr(watching, "POLL_SECONDS", 0.01)
    looks = asyncio.Queue()
    watch = InterfaceWatch(lambda: looks.put_nowait(None))
    watch.open()
    watch.start()
    for _ in range(2):
        await asyncio.wait_for(looks.get(), 5)
    assert list(watch.descriptors()) == []
    watch.close()
    watch.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
async def test_the_kernel_is_listened_to_by_one_socket():
    watch = InterfaceWatch(lambda: None)
    watch.open()
    watch.start()
    assert len(list(watch.descriptors())) == 1
    watch.close()
    assert list(watch.descriptors()) == []


@pytest.fixture
async def watched(monkeypatch):
    """A watch that is open, what it tells, and what plays the kernel."""
    kernel, ours = socket.socketpair()
    ours.setblocking(False)
    monkeypatch.setattr(watching, "_netlink", lambda: ours)
    told = asyncio.Queue()
    watch = InterfaceWatch(lambda: told.put_nowait(None))
    watch.open()
    yield watch, told, kernel
    watch.close()
    kernel.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
async def test_what_is_said_in_a_row_is_told_once(watched):
    watch, told, kernel = watched
    watch.start()
    kernel.send(b"a link is up")
    await asyncio.sleep(0)
    kernel.send(b"and has an address")
    await asyncio.wait_for(told.get(), 5)
    assert told.empty()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
async def test_what_changes_before_it_starts_is_told(watched):
    watch, told, kernel = watched
    kernel.send(b"a carrier has come")
    watch.start()
    await asyncio.wait_for(told.get(), 5)


def test_a_watch_that_was_only_opened_is_closed():
    watch = InterfaceWatch(lambda: None)
    watch.open()
    watch.close()
    assert list(watch.descriptors()) == []
