"""The methods of a cluster that expose functions, and those of ``AsyncCluster`` that call them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from ..errors import CallsFailed, NotExposed
from ..model import Service
from .terms import RETRIES, TIMEOUT_SECONDS, Where, terms_of

if TYPE_CHECKING:
    from concurrent.futures import Future

    from .call import AsyncCall
    from .functions import Functions
    from .mapping import AsyncMapping, Progress

C = TypeVar("C", bound="asyncio.Future[Any] | Future[Any]")
T = TypeVar("T")
Function = TypeVar("Function", bound=Callable[..., Any])


class Exposing:
    """What both faces share."""

    @property
    def _functions(self) -> Functions:
        """Made when it is first needed."""
        raise NotImplementedError

    @overload
    def expose(self, function: Function, *, name: str | None = None, limit: int | None = None,
               in_loop: bool = False, idempotent: bool = False) -> Function: ...  # fmt: skip
    @overload
    def expose(self, function: None = None, *, name: str | None = None, limit: int | None = None,
               in_loop: bool = False, idempotent: bool = False
    ) -> Callable[[Function], Function]: ...  # fmt: skip
    def expose(
        self, function: Any = None, *, name: str | None = None, limit: int | None = None,
        in_loop: bool = False, idempotent: bool = False,
    ) -> Any:  # fmt: skip
        """Lets other members call a function, or the public methods of an object (``Arith.add``).
        A decorator, with or without arguments; before or after joining.

        Arguments and results are checked, and made what they should be, by the annotations.
        A plain function runs on a thread, a coroutine in the member's loop, a generator's items go
        to the caller as it asks for them. ``meshcluster.current_call()`` tells who calls.

        Args:
            function: a function, a method, a callable object, or an object with methods.
            name: what it is called by; by default its own name, for an object that of its class.
            limit: how many calls of it run at once; others wait. By default threads are the limit.
            in_loop: a plain function runs in the member's loop, several times as fast as on a
                thread; it must not block, for the whole member waits for it.
            idempotent: called twice it does what called once it does, so that a call whose member
                was lost may be given to another.

        Raises:
            ConfigError: not callable; exposed already; a bad name; annotations nobody understands.
            MessageTooLarge: more than a member may say of itself.
        """

        def place(what: Any) -> Any:
            self._functions.expose(what, name, limit=limit, in_loop=in_loop, idempotent=idempotent)
            return what

        return place if function is None else place(function)

    def unexpose(self, name: str) -> int:
        """Takes away what is exposed by a name, or an object's methods by its; calls that run go
        on. Says how many functions it took away.
        """
        return self._functions.unexpose(name)

    @property
    def exposed(self) -> dict[str, tuple[Service, ...]]:
        """What other members expose: the members, by name of the function. A copy."""
        return self._functions.calls.choice.exposed

    def register(
        self, kind: type[T], encode: Callable[[T], object], decode: Callable[[Any], T], *,
        name: str | None = None,
    ) -> None:  # fmt: skip
        """Has values of a class of yours travel as arguments and results; at both ends.

        Args:
            kind: the class; of subclasses nothing is known. Dataclasses and Structs need this only
                where no annotation says what they are.
            encode: makes a plain value of one.
            decode: makes one of that, at the other end; what it raises refuses the call.
            name: the same at both ends; by default the class's.

        Raises:
            ConfigError: no class, or one that travels anyway; the name is another's.
        """
        self._functions.values.register(kind, encode, decode, name or kind.__qualname__)

    def _call_each(
        self, name: str, where: Where, go: Callable[[Service], C]
    ) -> tuple[dict[Service, C], dict[Service, Exception]]:
        """Begins a call of each member that exposes a function; of those that could not be begun
        why.
        """
        calls: dict[Service, C] = {}
        errors: dict[Service, Exception] = {}
        try:
            for service in self._functions.calls.all_of(name, where):
                try:
                    calls[service] = go(service)
                except NotExposed as error:  # it is gone, since a moment ago
                    errors[service] = error
        except BaseException:
            for call in calls.values():
                call.cancel()
            raise
        return calls, errors

    def _offering(self, name: str) -> tuple[Service, ...]:
        group = self._functions.calls.choice.group(name)
        return () if group is None else tuple(place.service for place in group.places)


class AsyncCalling(Exposing):
    """Calls from an event loop."""

    functions: Functions | None = None
    """What is exposed and called, once anything is; the blocking face puts its own here."""

    _wait_for: Callable[..., Awaitable[tuple[Service, ...]]]
    """What a function finds among the members, once that is enough."""

    async def wait_for_exposed(
        self, name: str, count: int = 1, *, timeout: float = 10.0
    ) -> tuple[Service, ...]:
        """The members that expose a function, once there are at least ``count``.

        Raises:
            TimeoutError: there were fewer after ``timeout`` seconds; the text says how many, and
                who is there.
            NotJoined: the cluster was left meanwhile.
        """
        meant = f" that expose {name!r}"
        return await self._wait_for(lambda: self._offering(name), count, meant, timeout)

    def _make_functions(self) -> Functions:
        raise NotImplementedError

    @property
    def _functions(self) -> Functions:
        if self.functions is None:
            self.functions = self._make_functions()
        return self.functions

    def go(
        self, name: str, /, *args: Any, timeout: float = TIMEOUT_SECONDS, retries: int = RETRIES,
        where: Where = None, idempotent: bool | None = None, returns: Any = None, **named: Any,
    ) -> AsyncCall:  # fmt: skip
        """Calls a function that another member exposes, and returns at once: a future that knows
        its ``service``. Arguments and errors as ``call``.
        """
        terms = terms_of(timeout, retries, where, idempotent, returns)
        return self._functions.go(name, args, named, terms)

    async def call(
        self, name: str, /, *args: Any, timeout: float = TIMEOUT_SECONDS, retries: int = RETRIES,
        where: Where = None, idempotent: bool | None = None, returns: Any = None, **named: Any,
    ) -> Any:  # fmt: skip
        """Calls a function that another member exposes, and returns its result.

        The member that has the fewest of our calls gets it, each in turn among equals; another one
        where that could not be reached or is too busy.

        Args:
            name: of the function; ``exposed`` has all.
            args, named: its arguments. Those with the names below must be given by position.
            timeout: seconds until it is given up. The member that runs it knows how many remain.
            retries: how many times more it is tried when a member is lost with it, if idempotent.
            where: who may get it: words that a member has (as ``resolve``), a service or several,
                or a function that is given a service and says whether.
            idempotent: whether to try again what was perhaps done; by default what the member says
                that exposes it.
            returns: a type that the result is to be, such as a dataclass; of a stream each item.

        Returns:
            What it returned; of a generator an ``AsyncStream``.

        Raises:
            NotExposed: nobody exposes it; just after joining it waits a second for somebody.
            ArgumentError: the arguments do not fit; the text names the field.
            RemoteError: the function raised; ``kind``, ``text`` and ``traceback`` tell what.
            OutcomeUnknown: the member was lost; whether it was done is not known.
            ServiceLost: it was lost, and so were those that it was given to after that.
            NoRoute: nobody of those that expose it could be reached.
            QueryTimeout: there was no result in time.
            DecodeError: the result is not of the type it should be.
            EncodeError, MessageTooLarge, HookRejected, HookFailed, NotJoined: as ``send``.
        """
        return await self.go(
            name, *args, timeout=timeout, retries=retries, where=where, idempotent=idempotent,
            returns=returns, **named,
        )  # fmt: skip

    async def call_all(
        self, name: str, /, *args: Any, timeout: float = TIMEOUT_SECONDS, where: Where = None,
        returns: Any = None, **named: Any,
    ) -> dict[Service, Any]:  # fmt: skip
        """Calls a function of every member that exposes it; the results by member.

        Raises:
            CallsFailed: of some there is no result; it has those of the others.
            NotExposed, ArgumentError, EncodeError: as ``call``.
        """
        calls, errors = self._call_each(
            name, where,
            lambda service: self.go(
                name, *args, timeout=timeout, retries=0, where=service, returns=returns, **named
            ),
        )  # fmt: skip
        try:
            if calls:
                await asyncio.wait(calls.values())
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
    ) -> AsyncMapping:  # fmt: skip
        """Calls a function for each of many items, ``in_flight`` at a time, on all members that
        expose it: ``async for result in ...``, or ``await`` it for the list of all.

        Args:
            items: one argument each; taken as they are needed, so there may be no end of them.
            in_flight: so many calls are under way at once.
            ordered: results in the order of the items; else as they come.
            progress: called with how many are done, and of how many (None: not known).
            timeout, retries, where, idempotent, returns: of each call; see ``call``.

        Raises (iterating): what ``call`` raises, for the first that fails; the others are
            cancelled.
        """
        from .mapping import AsyncMapping, Window

        terms = terms_of(timeout, retries, where, idempotent, returns)
        go = self._functions.go

        def begin(item: Any) -> AsyncCall:
            return go(name, (item,), {}, terms)

        return AsyncMapping(Window(begin, items, in_flight, ordered=ordered, progress=progress))


def results_of(calls: dict[Service, Any], errors: dict[Service, Exception]) -> dict[Service, Any]:
    """The results of calls that have ended; ``errors`` of those that could not be begun.

    Raises:
        CallsFailed: of some there is none.
    """
    results: dict[Service, Any] = {}
    for service, call in calls.items():
        error = call.exception()
        if error is None:
            results[service] = call.result()
        else:
            errors[service] = error
    if errors:
        raise CallsFailed(errors, results)
    return results
