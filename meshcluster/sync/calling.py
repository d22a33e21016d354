"""The methods of ``Cluster`` that have to do with functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import wait
from typing import TYPE_CHECKING, Any

from ..model import Service
from ..rpc.face import Exposing, results_of
from ..rpc.terms import RETRIES, TIMEOUT_SECONDS, Where, terms_of

if TYPE_CHECKING:
    from ..rpc.call import Call
    from ..rpc.mapping import Mapping, Progress


class Calling(Exposing):
    """Calls from threads."""

    def _new_call(self) -> Call:
        raise NotImplementedError

    def _check_outside(self) -> None:
        raise NotImplementedError

    _wait_for: Callable[..., tuple[Service, ...]]
    """What a function finds among the members, once that is enough."""

    def wait_for_exposed(
        self, name: str, count: int = 1, *, timeout: float = 10.0
    ) -> tuple[Service, ...]:
        """The members that expose a function, once there are at least ``count``.

        Raises:
            TimeoutError: there were fewer after ``timeout`` seconds; the text says how many, and
                who is there.
            NotJoined: the cluster was left meanwhile.
        """
        return self._wait_for(
            lambda: self._offering(name), count, f" that expose {name!r}", timeout
        )

    def go(
        self, name: str, /, *args: Any, timeout: float = TIMEOUT_SECONDS, retries: int = RETRIES,
        where: Where = None, idempotent: bool | None = None, returns: Any = None, **named: Any,
    ) -> Call:  # fmt: skip
        """Calls a function that another member exposes, and returns at once: a future that knows
        its ``service``. Arguments and errors as ``AsyncCluster.call``.
        """
        terms = terms_of(timeout, retries, where, idempotent, returns)
        call = self._new_call()
        self._functions.calls.start(call, name, args, named, terms)
        return call

    def call(
        self, name: str, /, *args: Any, timeout: float = TIMEOUT_SECONDS, retries: int = RETRIES,
        where: Where = None, idempotent: bool | None = None, returns: Any = None, **named: Any,
    ) -> Any:  # fmt: skip
        """Calls a function that another member exposes, and waits for its result; of a generator a
        ``Stream``. Arguments and errors as ``AsyncCluster.call``.
        """
        self._check_outside()
        call = self.go(
            name, *args, timeout=timeout, retries=retries, where=where, idempotent=idempotent,
            returns=returns, **named,
        )  # fmt: skip
        try:
            return call.result()
        except BaseException:  # Ctrl-C, too
            call.cancel()
            raise

    def call_all(
        self, name: str, /, *args: Any, timeout: float = TIMEOUT_SECONDS, where: Where = None,
        returns: Any = None, **named: Any,
    ) -> dict[Service, Any]:  # fmt: skip
        """Calls a function of every member that exposes it; the results by member.

        Raises:
            CallsFailed: of some there is no result; it has those of the others.
            NotExposed, ArgumentError, EncodeError: as ``call``.
        """
        self._check_outside()
        calls, errors = self._call_each(
            name, where,
            lambda service: self.go(
                name, *args, timeout=timeout, retries=0, where=service, returns=returns, **named
            ),
        )  # fmt: skip
        try:
            wait(calls.values())
        except BaseException:
            for call in calls.values():
                call.cancel()
            raise
        return results_of(calls, errors)

    def map(
        self, name: str, items: Iterable[Any], *, in_flight: int = 64, ordered: bool = True,
        progress: Progress | None = None, timeout: float = TIMEOUT_SECONDS,
        retries: int = RETRIES, where: Where = None, idempotent: bool | None = None,
        returns: Any = None,
    ) -> Mapping:  # fmt: skip
        """Calls a function for each of many items, ``in_flight`` at a time, on all members that
        expose it: an iterator of the results. Arguments and errors as ``AsyncCluster.map``;
        ``progress`` is called in the thread that iterates.
        """
        from ..rpc.mapping import Mapping, Window

        terms = terms_of(timeout, retries, where, idempotent, returns)
        start = self._functions.calls.start

        def begin(item: Any) -> Call:
            call = self._new_call()
            start(call, name, (item,), {}, terms)
            return call

        window = Window(begin, items, in_flight, ordered=ordered, progress=progress)
        return Mapping(window, self._check_outside)
