"""What a caller may ask for beside the call itself. Loaded with every cluster, so it is light."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ..config import check_timeout
from ..errors import ConfigError
from ..model import Service

if TYPE_CHECKING:
    from .signature import Checker

TIMEOUT_SECONDS = 30.0
RETRIES = 2

Where = str | Service | Callable[[Service], bool] | Iterable[str] | Iterable[Service] | None
"""Which members may be called: words they all have, a member or several, or what says so."""


def where_of(where: Where) -> Where:
    """The same, once and for all: an iterator is read only once. Of no services nobody is meant.

    Raises:
        ConfigError: it is none of these.
    """
    if where is None or isinstance(where, str | Service) or callable(where):
        return where
    every: tuple[Any, ...] = tuple(where) if isinstance(where, Iterable) else (where,)
    for kind in (str, Service):
        if all(isinstance(each, kind) for each in every):
            return every
    raise ConfigError(f"where={where!r:.80}: words, services, or a function of one")


class Terms:
    """How a call is made."""

    __slots__ = ("idempotent", "retries", "returns", "timeout", "where")

    def __init__(
        self, timeout: float = TIMEOUT_SECONDS, retries: int = RETRIES, where: Where = None,
        idempotent: bool | None = None, returns: Any = None,
    ) -> None:  # fmt: skip
        if type(retries) is not int or retries < 0:
            raise ConfigError(f"retries={retries!r}: a number, 0 or more")
        self.timeout = check_timeout(timeout)
        self.retries = retries
        self.where = where_of(where)
        self.idempotent = idempotent
        self.returns: Checker | None = None
        if returns is not None:
            from .signature import Checker

            self.returns = Checker(returns)


USUAL = Terms()


def terms_of(
    timeout: float, retries: int, where: Where, idempotent: bool | None, returns: Any
) -> Terms:
    """What a caller asks for: most often nothing."""
    if (
        timeout is TIMEOUT_SECONDS and retries is RETRIES and where is None
        and idempotent is None and returns is None
    ):  # fmt: skip
        return USUAL
    return Terms(timeout, retries, where, idempotent, returns)
