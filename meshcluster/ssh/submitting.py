"""``Submitting``: the ways to hand a dispatcher work; with other terms than its own, too."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from ..errors import EncodeError
from ..rpc.mapping import Mapping, Progress, Window
from .far import framing
from .future import TaskFuture
from .task import Terms

IN_FLIGHT = 256
Function = str | Callable[..., Any]
Submit = Callable[[bytes, Any, Terms], TaskFuture]


class Submitting:
    """What a ``Dispatcher`` has, and what its ``options`` returns."""

    _terms: Terms
    _pickles: bool
    _submit: Submit

    def __call__(self, value: Any, /) -> TaskFuture:
        """Has a worker's callback called with a value; of a member of the mesh the function that
        it exposes as "work".

        Raises: as ``submit``.
        """
        return self._submit(framing.CALL, value, self._terms)

    def submit(self, function: Function, /, *args: Any, **named: Any) -> TaskFuture:
        """Has a worker call a function.

        Args:
            function: ``"package.module:function"``, as the worker can import it; or the function
                itself, of which the worker is told the name. Of a member of the mesh: what it
                exposes.
            args, named: its arguments.

        Raises:
            EncodeError: an argument cannot travel, or the worker could not find the function by
                its name; the text says which and what to do. Nothing was queued.
            Congested: so many tasks are open as may be, and ``congestion="error"``.
            DispatcherClosed: it was closed.
        """
        what: Any = function
        if not isinstance(function, str) and not self._pickles:
            what = name_of(function)
        return self._submit(framing.RUN, (what, args, named), self._terms)

    def map(
        self, function: Function, /, *iterables: Iterable[Any], timeout: float | None = None,
        chunksize: int = 1, buffersize: int | None = None, in_flight: int = IN_FLIGHT,
        ordered: bool = True, progress: Progress | None = None,
    ) -> Iterator[Any]:  # fmt: skip
        """Calls a function for each item, or for the items of several iterables side by side, on
        all workers: an iterator of the results.

        Args:
            iterables: taken as they are needed, so there may be no end of them.
            timeout: seconds until all results must be there; else ``TimeoutError``.
            chunksize: without effect: small tasks are sent several at a time by themselves.
            buffersize: the same as ``in_flight``, which it replaces.
            in_flight: so many tasks are open at once.
            ordered: results in the order of the items; else as they come.
            progress: called with how many are done, and of how many (None: not known).

        Raises (iterating): what the first task that fails raises; the others are cancelled.
        """
        if len(iterables) == 1:
            items, begin = iterables[0], partial(self.submit, function)
        else:
            items = zip(*iterables, strict=False)
            begin = partial(_submit_all, self.submit, function)
        window = Window(begin, items, buffersize or in_flight, ordered=ordered, progress=progress)
        return Mapping(window, lambda: None, timeout).begun()

    def options(
        self, *, attempts: int | None = None, timeout: float | None = None, retry_on: Any = None,
        priority: int | None = None,
    ) -> Submitting:  # fmt: skip
        """The same dispatcher with other terms: ``dispatcher.options(timeout=5).submit(...)``.

        Args:
            attempts: how many workers may be lost with a task before it is given up; of 1 it is
                given to no second one, so it runs at most once.
            timeout: seconds that a worker may take for it; then it is ended: ``TaskTimeout``.
            retry_on: exception classes, ``TaskTimeout`` among them, after which it is tried again.
            priority: tasks of a higher one begin first; 0 is usual.
        """
        mine = self._terms
        return _Other(
            self,
            Terms(
                attempts=mine.attempts if attempts is None else attempts,
                timeout=mine.timeout if timeout is None else timeout,
                retry_on=mine.retry_on if retry_on is None else retry_on,
                priority=mine.priority if priority is None else priority,
            ),
        )


class _Other(Submitting):
    def __init__(self, other: Submitting, terms: Terms) -> None:
        self._terms = terms
        self._pickles = other._pickles
        self._submit = other._submit


def _submit_all(submit: Callable[..., TaskFuture], function: Function, args: Any) -> TaskFuture:
    return submit(function, *args)


def name_of(function: Callable[..., Any]) -> str:
    """The name by which a worker finds a function.

    Raises:
        EncodeError: it could not; the text says why, and what to do.
    """
    module = getattr(function, "__module__", None) or builtins.__name__
    path = getattr(function, "__qualname__", "")
    name = f"{module}:{path or repr(function)}"
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    if module == "__main__" or found is not function:
        raise EncodeError(
            f"{name}: a worker could not import it. Put it on the top level of a module that is "
            "there, or that modules= sends along, and submit it by its name; or have "
            "unsafe_pickle=True"
        )
    return name
