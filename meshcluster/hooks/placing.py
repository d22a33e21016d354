"""``cluster.hook`` and ``unhook``, typed: a misspelled point or a wrong function is an error in the
editor. Both faces of a cluster have them from here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar, overload

from ..errors import ConfigError
from ..model import Service
from ..wire.message import Lost, Message
from .chain import name_of
from .points import POINTS

Interceptor = TypeVar("Interceptor", bound=Callable[[Message], Message | None])
Validator = TypeVar("Validator", bound=Callable[[Service], bool | None])
Observer = TypeVar("Observer", bound=Callable[[Service], Any])
LossObserver = TypeVar("LossObserver", bound=Callable[[Lost], Any])
Listener = TypeVar("Listener", bound=Callable[[Message], Any])

ServicePoint = Literal[
    "service.discovered",
    "service.changed",
    "service.suspect",
    "service.recovered",
    "service.conflict",
    "service.lost",
]


class HookPlacing:
    """Base of both faces. ``_place`` and ``_displace`` do the work in the right thread."""

    @overload
    def hook(
        self, point: Literal["send", "receive"], *, channel: int | None = None,
        protocol: str | None = None, order: int = 0,
    ) -> Callable[[Interceptor], Interceptor]: ...  # fmt: skip
    @overload
    def hook(
        self, point: Literal["service.validate"], *, order: int = 0
    ) -> Callable[[Validator], Validator]: ...
    @overload
    def hook(self, point: ServicePoint, *, order: int = 0) -> Callable[[Observer], Observer]: ...
    @overload
    def hook(
        self, point: Literal["send.lost"], *, order: int = 0
    ) -> Callable[[LossObserver], LossObserver]: ...
    @overload
    def hook(
        self, point: Literal["event", "query", "guest"], *, channel: int | None = None,
        protocol: str | None = None, order: int = 0,
    ) -> Callable[[Listener], Listener]: ...  # fmt: skip
    def hook(
        self, point: str, *, channel: int | None = None, protocol: str | None = None,
        order: int = 0,
    ) -> Callable[[Any], Any]:  # fmt: skip
        """Decorator that places a function at a hook point, before or after joining.

        Points: ``send``, ``receive`` (interceptors: return None to leave a message as it is, a
        ``Message`` to replace it, raise ``HookRejected`` to veto it); ``service.validate`` (return
        False to refuse a member); ``service.discovered``, ``service.changed``, ``service.lost``
        (``service.reason`` tells why); ``service.suspect`` (it does not answer; it is not lost
        yet), ``service.recovered`` (it was heard again), ``service.conflict`` (it has the name of
        another live member of its host, which may be ourselves);
        ``send.lost`` (gets a ``Lost``: events that were given up);
        ``event`` (gets a ``Message``); ``query`` (gets one and returns the answer, or ``PASS``);
        ``guest`` (the same for programs that are no members; see docs/zeromq.md).

        Args:
            channel, protocol: only messages of this channel number, this protocol. A ``send`` hook
                with a protocol sees only the receivers that are reached by it.
            order: lower runs earlier; equal ones run in the order in which they were placed.

        ``send``, ``receive`` and ``service.validate`` hooks run inside the member and must be
        short: one that takes over 50 ms is warned of once and counted in ``slow_hooks``.

        Raises:
            ConfigError: no such point, or none given; a filter that does not apply; an ``async
                def`` where only plain functions can run; a function that cannot take one argument.
        """
        if callable(point):
            raise ConfigError(
                f'{name_of(point)}: at which point? write @cluster.hook("event"), or another of '
                f"{', '.join(POINTS)}"
            )

        def place(function: Any) -> Any:
            self._place(point, function, channel=channel, protocol=protocol, order=order)
            return function

        return place

    def unhook(self, function: Callable[..., Any]) -> int:
        """Takes a function away wherever it was placed; returns how often that was."""
        return self._displace(function)

    def _place(self, point: str, function: Any, **filters: Any) -> None:
        raise NotImplementedError

    def _displace(self, function: Any) -> int:
        raise NotImplementedError
