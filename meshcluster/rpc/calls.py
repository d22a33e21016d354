"""The member that calls: from a name to a member, through what fails, to a result.

Only what surely was not begun is tried again by itself, with another member: who could not be
reached, had too much to do, or exposes it no more. Of who was lost with the call it is not known
whether the function ran; that is tried again, ``retries`` times, where it is idempotent.
"""

from __future__ import annotations

import difflib
import itertools
import time
from asyncio import TimerHandle, get_running_loop
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from ..errors import (
    ArgumentError,
    DecodeError,
    NoResponder,
    NoRoute,
    NoServices,
    NotExposed,
    NotJoined,
    OutcomeUnknown,
    QueryTimeout,
    RemoteError,
    ServiceLost,
)  # fmt: skip
from ..mailbox import MailboxBase
from ..model import Service
from .choice import Choice, Members, Place
from .execution import current
from .letters import (
    BUSY,
    CANCEL,
    GIVEN_UP,
    ITEMS,
    LEAVES,
    MISFIT,
    NOT_EXPOSED,
    OK,
    PACKED,
    RAISED,
    short,
    values_of,
)  # fmt: skip
from .signature import Checker, Signature
from .terms import TIMEOUT_SECONDS, Terms, Where, where_of
from .values import Values

REST_SECONDS = 0.05
"""A member that has too much to do is left alone for so long, if there is another."""

APPEAR_SECONDS = 1.0
"""So long after joining a call waits for somebody who exposes what it calls."""

LOOK_SECONDS = 0.01
"""Between two looks whether there is somebody, or whether one has rested enough."""


@dataclass(frozen=True, slots=True)
class Mesh(Members):
    """What is needed of the cluster."""

    since_joining: Callable[[], float]
    """Seconds."""
    in_loop: Callable[[Callable[[], None]], None]
    """Runs a function in the member's loop."""


class Order(Struct, eq=False):
    """What is called, and how."""

    name: str
    args: tuple[Any, ...]
    named: dict[str, Any]
    terms: Terms


class Outgoing:
    """One call on its way: the part that both faces of a call share."""

    STATE = ("_ask", "_calls", "_deadline", "_failed", "_number", "_order", "_place")
    _calls: Calls
    _order: Order
    _deadline: float
    _place: Place | None
    """Who has it now."""
    _failed: tuple[tuple[Service, Exception], ...]
    """Who had it before, and why that did not do."""
    _number: int
    _ask: Any

    def done(self) -> bool:
        """Whether it has ended."""
        raise NotImplementedError

    def _settle(self, value: Any, error: BaseException | None) -> None:
        """Tells who waits; ignored when it has been cancelled."""
        raise NotImplementedError

    def _stream(
        self, service: Service, number: int, items: list[Any], returns: Checker
    ) -> Any:  # fmt: skip
        """The stream that a call of a generator begins."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """The name of the function."""
        return self._order.name

    @property
    def service(self) -> Service | None:
        """Who has it, or had it last; None: nobody yet."""
        if self._place is not None:
            return self._place.service
        return self._failed[-1][0] if self._failed else None

    @property
    def attempts(self) -> tuple[tuple[Service, Exception | None], ...]:
        """The members that had it, in order, and why each of them did not do it (None: it did, or
        has it now).
        """
        if self._place is None:
            return self._failed
        return (*self._failed, (self._place.service, None))

    def _took(self, value: Any, error: Exception | None) -> None:
        """An answer came, or none will; in the loop. The commonest is taken care of here."""
        place = self._place
        if place is None:
            return  # cancelled in this very moment
        place.load.open.discard(self)
        if error is not None:
            self._calls.none_came(self, place, error)
            return
        try:
            values = values_of(value)
            if values[0] == OK:
                result = values[1]
                returns = self._order.terms.returns or place.signature.returns
                self._settle(result if returns.sure(result) else returns.convert(result), None)
            else:
                self._calls.came(self, place, values)
        except Exception as trouble:  # whatever it is: a call never hangs
            text = f"the result of {self.name} by {place.service.name}: {trouble}"
            self._settle(None, DecodeError(text))


class Calls:
    """The calls of one member."""

    def __init__(self, mesh: Mesh, values: Values, box: Callable[[], MailboxBase]) -> None:
        self.choice = Choice(mesh)
        self.values = values
        self._mesh = mesh
        self._box = box
        self._numbers = itertools.count(1)
        self._held: dict[Outgoing, TimerHandle] = {}
        """Calls that nobody can have now, until they are looked at again."""

    def start(
        self, call: Outgoing, name: str, args: tuple[Any, ...], named: dict[str, Any], terms: Terms
    ) -> None:
        """Begins a call, from any thread.

        Raises:
            NotExposed: nobody exposes it, or nobody of those who may be called.
            ArgumentError: the arguments do not fit.
            EncodeError, NotJoined, HookError: as ``cluster.send``.
        """
        seconds, outer = terms.timeout, current.get(None)
        if outer is not None:  # who calls us waits no longer
            seconds = min(seconds, outer.remaining)
        call._calls = self
        call._order = Order(name, args, named, terms)
        call._deadline = time.monotonic() + seconds
        call._place, call._failed = None, ()
        if not self._begin(call, seconds):
            if not self._places(call) and self._mesh.since_joining() >= APPEAR_SECONDS:
                raise NotExposed(name, self._nobody(name, terms.where))
            self._mesh.in_loop(lambda: self._later(call))

    def _begin(self, call: Outgoing, seconds: float) -> bool:
        """Gives it to a member, if there is one that may have it now."""
        places = self._places(call)
        while places:
            tried = {service.key for service, _ in call._failed} if call._failed else ()
            place = self.choice.choose(places, tried, call._deadline - seconds)
            if place is None:
                return False
            try:
                self._give(call, place, seconds)
            except (NoRoute, NoServices, ServiceLost) as error:
                self._failed(call, place, error)
            else:
                return True
        return False

    def _places(self, call: Outgoing) -> Sequence[Place]:
        """Who may have it."""
        order = call._order
        group, where = self.choice.group(order.name), order.terms.where
        if group is None:
            return ()
        return group.places if where is None else group.within(where, self._mesh)

    def _give(self, call: Outgoing, place: Place, seconds: float) -> None:
        order, number = call._order, next(self._numbers)
        args = order.args
        letter: bytes | list[Any]
        if not order.named and tuple(map(type, args)) in place.signature.fitting:
            letter = short([number, order.name, seconds, None, *args])
        else:
            letter = self._letter(order, place.signature, number, seconds)
        call._number = number
        call._place = place
        place.load.open.add(call)
        try:
            ask = self._box().ask(place.service, letter, call._took, timeout=seconds)
        except BaseException:
            place.load.open.discard(call)
            call._place = None
            raise
        if call._number == number:  # else it failed at once, and was given to another
            call._ask = ask

    def _letter(
        self, order: Order, signature: Signature, number: int, seconds: float
    ) -> bytes | list[Any]:  # fmt: skip
        """The letter of any call.

        Raises:
            ArgumentError, EncodeError: its arguments do not fit, or cannot be sent.
        """
        args, named = order.args, order.named
        signature.bind(args, named)
        if not named and LEAVES.issuperset(map(type, args)):
            return short([number, order.name, seconds, None, *args])
        packed, packed_named = self.values.pack(args), self.values.pack(named)
        extra = None
        if named or packed is not args:
            is_packed = packed is not args or packed_named is not named
            extra = {"named": packed_named, "packed": is_packed}
        return [number, order.name, seconds, extra, *packed]

    def all_of(self, name: str, where: Where) -> tuple[Service, ...]:
        """All members that expose it and may be called.

        Raises:
            NotExposed: there are none.
        """
        group, where = self.choice.group(name), where_of(where)
        places: Sequence[Place] = ()
        if group is not None:
            places = group.places if where is None else group.within(where, self._mesh)
        if not places:
            raise NotExposed(name, self._nobody(name, where))
        return tuple(place.service for place in places)

    # --- what comes of it, in the loop -------------------------------------------------------

    def came(self, call: Outgoing, place: Place, values: list[Any]) -> None:
        """An answer came that is no plain result.

        Raises:
            DecodeError, ValueError, TypeError, IndexError: it is none that may be.
        """
        outcome, service = values[0], place.service
        if outcome == PACKED:
            result = self.values.unpack(values[1])
            returns = call._order.terms.returns or place.signature.returns
            call._settle(returns.convert(result), None)
        elif outcome == RAISED:
            call._settle(None, remote_error(service, values[1:]))
        elif outcome == BUSY:
            self._rest(call, place)
        elif outcome == NOT_EXPOSED:
            self._failed(call, place, NotExposed(call.name, f"{service.name} exposes it no more"))
            self._again(call)
        elif outcome == MISFIT:
            _, field, text = values
            call._settle(None, ArgumentError(f"{text} (says {service.name})", field))
        elif outcome == GIVEN_UP:
            call._settle(None, self._timed_out(call))
        elif outcome == ITEMS:
            returns = call._order.terms.returns or place.signature.returns
            call._settle(call._stream(service, call._number, values, returns), None)
        else:
            raise DecodeError(f"{outcome!r:.20} is no outcome")

    def _rest(self, call: Outgoing, place: Place) -> None:
        """A member has too much to do."""
        place.load.rests_until = time.monotonic() + REST_SECONDS
        call._place = None
        self._again(call)

    def none_came(self, call: Outgoing, place: Place, error: Exception) -> None:
        """There will be no answer."""
        if isinstance(error, RemoteError) and error.kind == "Overloaded":
            self._rest(call, place)
            return
        self._failed(call, place, error)
        if isinstance(error, ServiceLost) and error.reason == "leaving":
            place.load.rests_until = time.monotonic() + REST_SECONDS  # others need not ask it
        if isinstance(error, NoRoute | NoResponder) or (
            isinstance(error, ServiceLost) and error.unhandled
        ):
            self._again(call)
        elif isinstance(error, ServiceLost):
            self._lost(call, place, error)
        elif isinstance(error, QueryTimeout):
            call._settle(None, self._timed_out(call))
        else:
            call._settle(None, error)

    def _lost(self, call: Outgoing, place: Place, error: ServiceLost) -> None:
        """It is not known whether the function ran."""
        idempotent = call._order.terms.idempotent
        if idempotent is None:
            idempotent = place.is_idempotent
        lost = sum(isinstance(each, ServiceLost) and not each.unhandled for _, each in call._failed)
        if idempotent and lost <= call._order.terms.retries:
            self._again(call)
            return
        if not idempotent:
            unknown = OutcomeUnknown(place.service, f"{call.name}: {error}")
            unknown.__cause__ = error
            call._settle(None, unknown)
        else:
            call._settle(None, error)

    def _failed(self, call: Outgoing, place: Place, error: Exception) -> None:
        call._failed = (*call._failed, (place.service, error))
        call._place = None

    @staticmethod
    def _not_reached(call: Outgoing, error: Exception) -> Exception:
        """Why nobody has it, where the last one that had it surely did not begin: a route is what
        is missing.
        """
        if isinstance(error, NoServices | NoResponder) or getattr(error, "unhandled", False):
            missing = NoRoute(f"{call.name}: nobody of those who expose it is there: {error}")
            missing.__cause__ = error
            return missing
        return error

    def close(self) -> None:
        """After leaving: no loop looks again at what waits."""
        while self._held:
            call, later = self._held.popitem()
            later.cancel()
            call._settle(None, NotJoined("the cluster was left"))

    def _again(self, call: Outgoing) -> None:
        """Tries another member, at once if there is one."""
        self._held.pop(call, None)
        if call.done():
            return
        seconds = call._deadline - time.monotonic()
        if seconds <= 0:
            call._settle(None, self._timed_out(call))
            return
        try:
            if not self._begin(call, seconds):
                self._later(call)
        except Exception as error:
            call._settle(None, error)

    def _later(self, call: Outgoing) -> None:
        """Nobody can have it now: waits while somebody may appear, or has to rest."""
        tried = {service.key for service, _ in call._failed}
        rests = any(each.service.key not in tried for each in self._places(call))
        if rests or (not call._failed and self._mesh.since_joining() < APPEAR_SECONDS):
            later = get_running_loop().call_later(LOOK_SECONDS, self._again, call)
            self._held[call] = later
        elif call._failed:
            call._settle(None, self._not_reached(call, call._failed[-1][1]))
        else:
            text = self._nobody(call.name, call._order.terms.where)
            call._settle(None, NotExposed(call.name, text))

    def withdraw(self, call: Outgoing) -> None:
        """Nobody waits any more: the member that has it is told."""
        place, call._place = call._place, None
        if place is None:
            return
        place.load.open.discard(call)
        call._failed = (*call._failed, (place.service, ServiceLost(place.service, "cancelled")))
        call._ask.cancel()
        self.tell(place.service, [CANCEL, call._number])

    def tell(self, service: Service, words: list[Any]) -> None:
        """Says something about a call; whether it comes is not waited for."""
        try:
            self._box().ask(service, words, _nothing, timeout=TIMEOUT_SECONDS)
        except Exception:  # gone, or we are: then it needs no word
            return

    def ask(
        self, service: Service, words: list[Any], took: Callable[[Any, Exception | None], None],
        timeout: float,
    ) -> Any:  # fmt: skip
        """Asks for something about a call."""
        return self._box().ask(service, words, took, timeout=timeout)

    # --- why not -----------------------------------------------------------------------------

    def _timed_out(self, call: Outgoing) -> QueryTimeout:
        whom = "nobody that could do it" if call.service is None else call.service.name
        seconds = call._order.terms.timeout
        missing = () if call.service is None else (call.service,)
        text = f"{call.name}: no result within {seconds:g} s (from {whom})"
        return QueryTimeout(text, {}, {}, missing)

    def _nobody(self, name: str, where: Where) -> str:
        exposed = self.choice.exposed
        if name in exposed:
            return f"none of the {len(exposed[name])} that expose it is where={where!r:.80}"
        if not exposed:
            return f"nobody exposes anything ({len(self._mesh.services())} other members are known)"
        close = difflib.get_close_matches(name, exposed, 1)
        hint = f", did you mean {close[0]!r}?" if close else "."
        names = ", ".join(itertools.islice(exposed, 10))
        return f"nobody exposes it{hint} There are: {names}"


def remote_error(service: Service, told: list[Any]) -> RemoteError:
    """What a function raised there."""
    kind, text, trace = (str(each) for each in told)
    return RemoteError(service, kind, text, trace)


def _nothing(value: Any, error: Exception | None) -> None:
    pass
