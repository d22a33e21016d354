"""What a forked child does with its parent's members: it lets go of them.

A child starts with copies of our objects and shares our descriptors. As long as it keeps the
listener and the lock, whoever dials a dead parent is connected; as long as it keeps a link, nobody
sees that link end; as long as it keeps the UDP socket, no probe of the parent is refused.

The child only ever closes. The event loop's epoll set is the parent's as well: a reader that the
child removes is one that the parent does not hear any more. So nothing here ends a loop, a
transport or a server. Each descriptor is replaced by one of ``/dev/null``: what still holds its
number, and some day closes it, closes nothing of the parent's and nothing that the child opened
meanwhile.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from functools import cache
from weakref import WeakValueDictionary

logger = logging.getLogger("meshcluster")

_watched: WeakValueDictionary[int, object] = WeakValueDictionary()
"""By ``id``, since what others make need not be hashable."""


def watch(held: object) -> None:
    """From now on a forked child closes ``held.descriptors()`` and calls ``held.forked()``.

    Either may be missing; where ``forked`` would be a public name of the package it is ``_forked``.
    It may take no lock that another thread could have held: nobody in the child would release it.
    """
    if any(hasattr(held, name) for name in ("descriptors", "forked", "_forked")):
        _register()
        _watched[id(held)] = held


@cache
def _register() -> None:
    """Once in a process, since it cannot be undone, and not before there is something to watch."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_in_child)


def _in_child() -> None:
    """Descriptors first: they are what does harm, and ``forked`` may forget them."""
    held = list(_watched.values())
    for each in held:
        _contained(_release, each)
    for each in held:
        _contained(getattr(each, "forked", getattr(each, "_forked", _nothing)))


def _release(held: object) -> None:
    descriptors: Iterable[int] = getattr(held, "descriptors", tuple)()
    taken = [descriptor for descriptor in descriptors if descriptor >= 0]
    if not taken:
        return
    try:
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    except OSError:  # no free descriptor, no such file: better closed than kept
        for descriptor in taken:
            os.close(descriptor)
        return
    for descriptor in taken:
        if descriptor != null:  # one that is closed already
            os.dup2(null, descriptor, inheritable=False)
    os.close(null)


def _contained(function: Callable[..., object], *arguments: object) -> None:
    """A third party's mistake with one thing keeps us from no other."""
    try:
        function(*arguments)
    except Exception:
        logger.exception("not let go of in a forked child")


def _nothing() -> None:
    pass
