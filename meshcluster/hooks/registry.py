"""The hooks of one cluster: made before joining, changed at any time, read from any thread.

Readers see a chain as an immutable tuple that is replaced whole, so none takes a lock.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from ..config import check_channel
from ..errors import ConfigError
from .chain import Function, name_of
from .points import POINTS
from .timing import Timing


@dataclass(frozen=True, slots=True, eq=False)
class Hook:
    """One registered function with its filters. ``order``: lower runs earlier."""

    point: str
    function: Function
    channel: int | None
    protocol: str | None
    order: int
    is_async: bool
    """Whether it is an ``async def``; to find out costs more than many a hook."""

    def applies(self, channel: int, protocol: str) -> bool:
        """Whether a message on this channel over this protocol concerns it."""
        return (self.channel is None or self.channel == channel) and (
            self.protocol is None or self.protocol == protocol
        )


class HookRegistry:
    """Adds, removes and looks up hooks. ``allow_async`` is False on the blocking cluster.

    ``clock`` measures the interceptors (None: nobody does), ``lock`` guards what it counts.
    """

    def __init__(
        self, *, allow_async: bool, clock: Callable[[], float] | None = None,
        lock: AbstractContextManager[object] | None = None,
    ) -> None:  # fmt: skip
        self._allow_async = allow_async
        self.timing = None if clock is None else Timing(clock, lock)
        """To be handed to the chains of interceptors."""
        self._hooks: dict[str, tuple[Hook, ...]] = dict.fromkeys(POINTS, ())
        self.send_hooks: tuple[Hook, ...] = ()
        """``hooks("send")`` without a call: every message looks here."""
        self.receive_hooks: tuple[Hook, ...] = ()
        """The same of ``hooks("receive")``."""
        self.asynchronous: frozenset[str] = frozenset()
        """The points with an ``async def`` among their hooks."""
        self._chains: dict[tuple[str, int, str], tuple[Function, ...]] = {}
        self.added: Callable[[Hook], None] = lambda hook: None
        """Called after a hook was added; whoever runs the hooks sets it."""

    def add(self, point: str, function: Function, *, channel: int | None = None,
            protocol: str | None = None, order: int = 0) -> Hook:  # fmt: skip
        """Places a function at a point.

        Raises:
            ConfigError: an unknown point (with the known ones), a filter where none applies, an
                ``async def`` where only plain functions can run, or a function that cannot be
                called with one argument.
        """
        self._check(point, function, channel, protocol)
        hook = Hook(point, function, channel, protocol, order, is_async(function))
        ordered = sorted((*self._hooks[point], hook), key=lambda each: each.order)
        self._replace(point, tuple(ordered))
        self.added(hook)
        return hook

    def remove(self, function: Function) -> int:
        """Takes a function away wherever it was placed; returns how often that was."""
        count = 0
        for point, hooks in list(self._hooks.items()):
            kept = tuple(hook for hook in hooks if hook.function != function)
            count += len(hooks) - len(kept)
            if len(kept) != len(hooks):
                self._replace(point, kept)
        return count

    def hooks(self, point: str) -> tuple[Hook, ...]:
        """All hooks of a point, in order."""
        return self._hooks[point]

    def chain(self, point: str, channel: int = 0, protocol: str = "") -> tuple[Function, ...]:
        """The functions that apply to a message, in order."""
        if not self._hooks[point]:
            return ()
        chains = self._chains  # before the hooks are read: see _replace
        key = (point, channel, protocol)
        chain = chains.get(key)
        if chain is None:
            chain = tuple(h.function for h in self._hooks[point] if h.applies(channel, protocol))
            if len(chains) > 4096:  # channel numbers are the senders' to choose
                chains.clear()
            chains[key] = chain
        return chain

    def _replace(self, point: str, hooks: tuple[Hook, ...]) -> None:
        """Hooks first, then an empty cache: a reader that saw the old hooks fills the old cache."""
        self._hooks[point] = hooks
        self._chains = {}
        self.send_hooks = self._hooks["send"]
        self.receive_hooks = self._hooks["receive"]
        self.asynchronous = frozenset(
            each for each, placed in self._hooks.items() if any(hook.is_async for hook in placed)
        )

    def _check(
        self, point: str, function: Function, channel: int | None, protocol: str | None
    ) -> None:
        known = POINTS.get(point)
        if known is None:
            raise ConfigError(f"no hook point {point!r}: there are {', '.join(POINTS)}")
        if not callable(function):
            raise ConfigError(f"the hook for {point!r} must be a function, not {function!r}")
        if (channel is not None or protocol is not None) and not known.filtered:
            raise ConfigError(f"{point!r} has no channel or protocol to filter by")
        if channel is not None:
            check_channel(channel)
        if is_async(function):
            if known.inline:
                raise ConfigError(f"{name_of(function)}: {point!r} takes plain functions only")
            if not self._allow_async:
                raise ConfigError(f"{name_of(function)} is async: that needs an AsyncCluster")
        if trouble := misfit(function):
            raise ConfigError(
                f"{name_of(function)} must take one argument, the {known.takes}: {trouble}"
            )


def is_async(function: Any) -> bool:
    """Whether calling it gives a coroutine."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004
    )


def misfit(function: Function) -> str:
    """Why a function cannot be called with one argument; empty when it can, or does not say."""
    try:
        # What a decorator made is called itself, whatever it wraps.
        signature = inspect.signature(function, follow_wrapped=False)
    except Exception:  # some builtins have none, and some annotations cannot be evaluated
        return ""
    try:
        signature.bind(None)
    except TypeError as error:
        return str(error)
    return ""
