"""``Submitting``: the ways to hand a dispatcher work; with other terms than its own, too."""

from __future__ import annotations

import builtins
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from ..errors import ConfigError, EncodeError
from ..rpc.mapping import Mapping, Progress, Window
from .far import framing
from .future import TaskFuture
from .task import Terms

IN_FLIGHT = 256
Function = str | Callable[..., Any]


class Submitting:
    """What a ``Dispatcher`` has, and what its ``options`` returns."""

    _terms: Terms
    _pickles: bool
    _chunks: bool
    """Several items may be one task."""

    def _submit(self, kind: bytes, work: Any, terms: Terms) -> TaskFuture:
        raise NotImplementedError

    def _check_outside(self) -> None:
        """Refuses threads that would wait for ever."""
        raise NotImplementedError

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
        return self._submit(framing.RUN, (self._named(function), args, named), self._terms)

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
            chunksize: so many items are one task, so that tiny ones cost less; a member of the mesh
                gets each by itself.
            buffersize: the same as ``in_flight``, which it replaces.
            in_flight: so many tasks are open at once.
            ordered: results in the order of the items; else as they come.
            progress: called with how many tasks are done, and of how many (None: not known).

        Raises (iterating): what the first task that fails raises; the others are cancelled.
        """
        if type(chunksize) is not int or chunksize < 1:
            raise ConfigError(f"chunksize={chunksize!r}: a number of 1 or more")
        items: Iterable[Any] = iterables[0] if iterables else ()
        begin: Callable[[Any], TaskFuture] = partial(self.submit, function)
        if len(iterables) > 1 or (chunksize > 1 and self._chunks):
            items = zip(*iterables, strict=False)
            begin = partial(_submit_all, self.submit, function)
        if chunksize > 1 and self._chunks:
            items = _chunks(items, chunksize)
            begin = partial(self._submit_each, self._named(function))
        window = Window(begin, items, buffersize or in_flight, ordered=ordered, progress=progress)
        results = Mapping(window, self._check_outside, timeout).begun()
        return Flat(results) if chunksize > 1 and self._chunks else results

    def _submit_each(self, function: Any, chunk: Any) -> TaskFuture:
        return self._submit(framing.EACH, (function, chunk), self._terms)

    def _named(self, function: Function) -> Any:
        return function if isinstance(function, str) or self._pickles else name_of(function)

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
        self._chunks = other._chunks
        self._other = other

    def _submit(self, kind: bytes, work: Any, terms: Terms) -> TaskFuture:
        return self._other._submit(kind, work, terms)

    def _check_outside(self) -> None:
        self._other._check_outside()


def _submit_all(submit: Callable[..., TaskFuture], function: Function, args: Any) -> TaskFuture:
    return submit(function, *args)


def _chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    items = iter(items)
    while chunk := list(itertools.islice(items, size)):
        yield chunk


class Flat:
    """The results of tasks that have several each: an iterator. ``close()`` gives up the rest."""

    def __init__(self, results: Mapping) -> None:
        self._results = results
        self._chunk: Iterator[Any] = iter(())

    def __iter__(self) -> Flat:
        return self

    def __next__(self) -> Any:
        while True:
            for result in self._chunk:
                return result
            self._chunk = iter(next(self._results))

    def close(self) -> None:
        """Gives up the rest."""
        self._chunk = iter(())
        self._results.close()


def name_of(function: Callable[..., Any]) -> str:
    """The name by which a worker finds a function.

    Raises:
        EncodeError: it could not; the text says why, and what to do.
    """
    module = getattr(function, "__module__", None) or builtins.__name__
    path = getattr(function, "__qualname__", "")
    name = f"{module}:{path or repr(function)}"
    found: Any = sys.modules.get(module) if path else None
    for part in path.split("."):
        found = getattr(found, part, None)
    if module == "__main__" or function is None or found is not function:
        raise EncodeError(
            f"{name}: a worker could not import it. Put it on the top level of a module that is "
            "there, or that modules= sends along, and submit it by its name; or have "
            "unsafe_pickle=True"
        )
    return name
