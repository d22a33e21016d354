"""What a member exposes: its functions by name, as they were given to ``expose``."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from ..config import check_label
from ..errors import ConfigError
from .letters import IDEMPOTENT, STREAM
from .signature import Signature

if TYPE_CHECKING:
    from .execution import Execution


class Exposed:
    """One function, and how it is run."""

    __slots__ = (
        "function", "idempotent", "in_loop", "is_async", "is_quick", "is_stream", "limit", "name",
        "running", "signature", "waiting",
    )  # fmt: skip

    def __init__(
        self, name: str, function: Callable[..., Any], *, limit: int | None, in_loop: bool,
        idempotent: bool,
    ) -> None:  # fmt: skip
        check_label("name", name)
        called: Any = function
        while isinstance(called, partial):
            called = called.func
        if not inspect.isroutine(called):
            called = type(called).__call__
        yields_async = inspect.isasyncgenfunction(called)
        self.is_stream = yields_async or inspect.isgeneratorfunction(called)
        self.is_async = yields_async or inspect.iscoroutinefunction(called)
        if in_loop and self.is_stream:
            raise ConfigError(f"expose({name!r}, in_loop=True): not a generator")
        if limit is not None and (type(limit) is not int or limit < 1):
            raise ConfigError(f"expose({name!r}): limit={limit!r}: a number of 1 or more, or None")
        self.name = name
        self.function = function
        self.limit = limit
        self.in_loop = in_loop
        self.idempotent = idempotent
        self.is_quick = in_loop and not self.is_async and limit is None
        """It has ended when it returns, in the loop: nothing is kept account of."""
        self.signature = Signature.of(name, function, stream=self.is_stream)
        self.running = 0
        self.waiting: deque[Execution] = deque()
        """Those that the limit holds up."""

    @property
    def offer(self) -> list[str]:
        """What others are told of it."""
        traits = [IDEMPOTENT] if self.idempotent else []
        return [str(self.signature), *traits, *([STREAM] if self.is_stream else [])]


def functions_of(thing: object, name: str | None) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The names and functions of what is exposed: itself, or its public methods.

    Raises:
        ConfigError: it is a class, or has no public methods.
    """
    if isinstance(thing, type):
        raise ConfigError(f"expose({thing.__name__}): a class; expose an object of it")
    if callable(thing):
        yield _name_of(thing) if name is None else name, thing
        return
    prefix, found = type(thing).__name__ if name is None else name, False
    for each in () if type(thing).__module__ == "builtins" else dir(thing):
        if each.startswith("_") or isinstance(inspect.getattr_static(thing, each), property):
            continue
        if inspect.isroutine(method := getattr(thing, each)):
            found = True
            yield f"{prefix}.{each}", method
    if not found:
        raise ConfigError(f"expose({thing!r:.80}): neither a function nor an object with methods")


def _name_of(function: Any) -> str:
    """The name of a function; of a method with that of its object's class."""
    owner = getattr(function, "__self__", None)
    name = getattr(function, "__name__", type(function).__name__)
    if name == "<lambda>":
        raise ConfigError("expose(<lambda>): give it a name=")
    if inspect.ismethod(function):
        kind = owner if isinstance(owner, type) else type(owner)
        return f"{kind.__name__}.{name}"
    return str(name)
