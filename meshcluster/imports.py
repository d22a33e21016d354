"""Imports what takes long in a thread, so that the event loop goes on meanwhile.

A process that forks while a thread imports leaves its child a module that is half there and locked
for ever. So who forks waits for an import of ours, and no import begins while somebody forks.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
import threading
from contextlib import suppress
from functools import cache
from types import ModuleType

FORK_SECONDS = 5.0
"""Who forks waits no longer than this: the import may hang, on a file system that does."""

_gate = threading.RLock()
"""Held by who imports and by who forks."""

_forking: list[bool] = []
"""Whether who forks now has the gate."""


async def imported(name: str) -> ModuleType:
    """A module by its full name, as ``importlib.import_module`` gives it.

    Cancelled, it is imported nevertheless.

    Raises:
        ImportError: it cannot be imported, whatever it raised.
    """
    module = sys.modules.get(name)
    if module is not None and not getattr(module.__spec__, "_initializing", False):
        return module
    _register()
    loop = asyncio.get_running_loop()
    done: asyncio.Future[ModuleType] = loop.create_future()

    def run() -> None:
        outcome: ModuleType | ImportError
        try:
            with _gate:
                outcome = importlib.import_module(name)
        except ImportError as error:
            outcome = error
        except BaseException as error:  # a module may raise anything
            outcome = ImportError(f"{name}: {error!r}")
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(_settle, done, outcome)

    # No daemon: the interpreter is not to end in the middle of loading a library.
    threading.Thread(target=run, name="meshcluster-import").start()
    return await done


def _settle(done: asyncio.Future[ModuleType], outcome: ModuleType | ImportError) -> None:
    if done.done():
        return
    if isinstance(outcome, ImportError):
        done.set_exception(outcome)
    else:
        done.set_result(outcome)


@cache
def _register() -> None:
    """Once in a process, since it cannot be undone."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_shut, after_in_parent=_open, after_in_child=_open)


def _shut() -> None:
    _forking.append(_gate.acquire(timeout=FORK_SECONDS))


def _open() -> None:
    if _forking.pop():
        _gate.release()
