"""``Submitting``: the ways to hand a dispatcher work; with other terms than its own, too."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from functools import partial
from typing import Any

from ..errors import ConfigError, EncodeError, MessageTooLarge
from ..rpc.mapping import Mapping, Progress, Window
from .chunks import Chunks, Flat
from .far import framing
from .future import TaskFuture
from .task import Terms

IN_FLIGHT = 256
UNCHANGED: Any = object()
"""Stands for what is not given, where None means something."""
Function = str | Callable[..., Any]


class Submitting:
    """What a ``Dispatcher`` has, and what its ``options`` returns."""

    _terms: Terms
    _pickles: bool
    _chunks: bool
    """Several items may be one task."""
    _learns: bool
    """Also where nobody has asked for it: all workers are known to take such."""

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
        chunksize: int | None = None, buffersize: int | None = None, in_flight: int | None = None,
        ordered: bool = True, progress: Progress | None = None,
    ) -> Iterator[Any]:  # fmt: skip
        """Calls a function for each item, or for the items of several iterables side by side, on
        all workers: an iterator of the results.

        Args:
            iterables: taken as they are needed, so there may be no end of them.
            timeout: seconds until all results must be there; else ``TimeoutError``.
            chunksize: so many items are one task. By default one at first, and then as many as a
                worker does in 4 ms, where neither ``timeout`` nor ``retry_on`` of ``options`` is
                for each of them and ``in_flight`` is not given. A member of the mesh, and a worker
                with a ``serializer`` of its own, get each by itself.
            buffersize: the same as ``in_flight``, which it replaces.
            in_flight: so many tasks are open at once; by default 256.
            ordered: results in the order of the items; else as they come.
            progress: called with how many are done, and of how many (None: not known).

        Raises (iterating): what the first task that fails raises; the others are cancelled.
        """
        for name, number in (
            ("chunksize", chunksize), ("buffersize", buffersize), ("in_flight", in_flight),
        ):  # fmt: skip
            if number is not None and (type(number) is not int or number < 1):
                raise ConfigError(f"{name}={number!r}: a number of 1 or more")
        most = buffersize or in_flight
        learns = chunksize is None and most is None and self._terms.plain and self._learns
        if self._chunks and (learns or (chunksize or 1) > 1):
            within = partial(Window, in_flight=most or IN_FLIGHT, ordered=ordered, progress=None)
            return self._map_chunks(function, iterables, chunksize, within, progress, timeout)
        items: Iterable[Any] = iterables[0] if iterables else ()
        begin: Callable[[Any], TaskFuture] = partial(self.submit, function)
        if len(iterables) > 1:
            items = zip(*iterables, strict=False)
            begin = partial(_submit_all, self.submit, function)
        window = Window(begin, items, most or IN_FLIGHT, ordered=ordered, progress=progress)
        return Mapping(window, self._check_outside, timeout).begun()

    def _map_chunks(
        self, function: Function, iterables: tuple[Iterable[Any], ...], size: int | None,
        within: Callable[..., Window], progress: Progress | None, timeout: float | None,
    ) -> Flat:  # fmt: skip
        name, chunks = self._named(function), Chunks(zip(*iterables, strict=False), size)

        def begin(chunk: list[Any]) -> TaskFuture:
            try:
                future = self._submit(framing.EACH, (name, chunk), self._terms)
            except MessageTooLarge:
                if not chunks.learns or len(chunk) == 1:
                    raise
                return begin(chunks.half(chunk))
            if chunks.learns:
                future.add_done_callback(partial(chunks.learn, len(chunk)))
            return future

        lengths = [len(each) for each in iterables if isinstance(each, Sized)]
        total = min(lengths) if lengths and len(lengths) == len(iterables) else None
        results = Mapping(within(begin, chunks), self._check_outside, timeout).begun()
        return Flat(results, progress, total)

    def _named(self, function: Function) -> Any:
        return function if isinstance(function, str) or self._pickles else name_of(function)

    def options(
        self, *, attempts: int | None = None, timeout: Any = UNCHANGED, retry_on: Any = None,
        priority: int | None = None,
    ) -> Submitting:  # fmt: skip
        """The same dispatcher with other terms: ``dispatcher.options(timeout=5).submit(...)``.

        Args:
            attempts: how many workers may be lost with a task before it is given up; of 1 it is
                given to no second one, so it runs at most once.
            timeout: seconds that a worker may take for it; then it is ended: ``TaskTimeout``. None:
                as long as it likes.
            retry_on: exception classes, ``TaskTimeout`` among them, after which it is tried again.
            priority: tasks of a higher one begin first; 0 is usual.
        """
        mine = self._terms
        return _Other(
            self,
            Terms(
                attempts=mine.attempts if attempts is None else attempts,
                timeout=mine.timeout if timeout is UNCHANGED else timeout,
                retry_on=mine.retry_on if retry_on is None else retry_on,
                priority=mine.priority if priority is None else priority,
            ),
        )


class _Other(Submitting):
    def __init__(self, other: Submitting, terms: Terms) -> None:
        self._terms = terms
        self._pickles = other._pickles
        self._chunks = other._chunks
        self._learns = other._learns
        self._other = other

    def _submit(self, kind: bytes, work: Any, terms: Terms) -> TaskFuture:
        return self._other._submit(kind, work, terms)

    def _check_outside(self) -> None:
        self._other._check_outside()


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
