"""Runs the functions of one hook point in order. The rules of each kind of chain stand here.

Interceptors: None leaves the message as it is, a returned message replaces it, ``HookRejected``
vetoes. Anything else they raise or return is ``HookFailed``; the message is dropped whole, since
messages are immutable and no hook can half-change one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import HookFailed, HookRejected
from ..model import Service
from ..wire.message import Message

if TYPE_CHECKING:
    from .timing import Timing

Function = Callable[..., Any]


def intercept(
    functions: Sequence[Function], message: Message, timing: Timing | None = None
) -> Message:
    """The message as the interceptors leave it. ``timing`` notes the slow ones.

    Raises:
        HookRejected: one of them vetoed.
        HookFailed: one of them broke.
    """
    for function in functions:
        try:
            changed = function(message) if timing is None else timing.call(function, message)
        except HookRejected:
            raise
        except Exception as error:
            raise HookFailed(f"{name_of(function)} raised {error!r}") from error
        if changed is None:
            continue
        if type(changed) is not Message:
            raise HookFailed(f"{name_of(function)} returned {changed!r}, not None or a Message")
        message = changed
    return message


def validate(functions: Sequence[Function], service: Service, timing: Timing | None = None) -> bool:
    """Whether all of them accept the service. ``timing`` notes the slow ones.

    Raises:
        HookFailed: one of them broke; the service must not be taken in.
    """
    for function in functions:
        try:
            accepted = function(service) if timing is None else timing.call(function, service)
        except HookRejected:
            return False
        except Exception as error:
            raise HookFailed(f"{name_of(function)} raised {error!r}") from error
        if accepted is False:
            return False
    return True


def name_of(function: Function) -> str:
    """A name a person finds again: module and qualified name."""
    name = getattr(function, "__qualname__", None) or repr(function)
    return f"hook {getattr(function, '__module__', '?')}.{name}"
