"""A library is loaded beside the event loop, and no fork catches it half loaded."""

import asyncio
import os
import sys
import threading

import pytest

from meshcluster.imports import imported


@pytest.fixture
def module(tmp_path, monkeypatch):
    """`module(code)` makes one that can be imported; gives its name."""
    monkeypatch.syspath_prepend(tmp_path)
    made = []

    def module(code):
        made.append(f"slow_module_{os.getpid()}_{len(made)}")
        (tmp_path / f"{made[-1]}.py").write_text(code)
        return made[-1]

    yield module
    for name in made:
        sys.modules.pop(name, None)


SLOW = """
import threading
entered, go_on = (getattr(threading, name) for name in ("entered_here", "go_on_here"))
entered.set()
assert go_on.wait(10)
thread = threading.current_thread().name
"""


@pytest.fixture
def slow(module, monkeypatch):
    """A module that is not loaded before it is told to go on: its name, and two events."""
    entered, go_on = threading.Event(), threading.Event()
    monkeypatch.setattr(threading, "entered_here", entered, raising=False)
    monkeypatch.setattr(threading, "go_on_here", go_on, raising=False)
    yield module(SLOW), entered, go_on
    go_on.set()


async def test_the_loop_goes_on_meanwhile(slow):
    name, entered, go_on = slow
    importing = [asyncio.create_task(imported(name)) for _ in range(2)]
    await asyncio.to_thread(entered.wait, 10)
    assert not any(each.done() for each in importing)
    go_on.set()
    one, other = await asyncio.gather(*importing)
    assert one is other is sys.modules[name]
    assert one.thread == "meshcluster-import"


async def test_what_is_there_is_given_at_once():
    before = threading.active_count()
    assert await imported("asyncio") is asyncio
    assert threading.active_count() == before


@pytest.mark.parametrize("code", ["import nothing_like_this", "1 / 0", "raise SystemExit"])
async def test_whatever_goes_wrong_is_an_import_error(module, code):
    with pytest.raises(ImportError):
        await imported(module(code))


async def test_who_waits_may_give_up(slow):
    name, entered, go_on = slow
    importing = asyncio.create_task(imported(name))
    await asyncio.to_thread(entered.wait, 10)
    importing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await importing
    go_on.set()
    assert (await imported(name)).__name__ == name


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
async def test_who_forks_waits_for_it_so_that_no_child_finds_it_locked(slow):
    name, entered, go_on = slow
    importing = asyncio.create_task(imported(name))
    await asyncio.to_thread(entered.wait, 10)
    threading.Timer(0.1, go_on.set).start()
    child = os.fork()
    if not child:
        os._exit(0 if hasattr(sys.modules[name], "thread") else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0  # noqa: ASYNC222
    await importing
