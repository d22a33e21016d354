"""What stands between ``AsyncCluster.join`` and having joined: to be awaited, or to be entered."""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Callable, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from .cluster import AsyncCluster

TO_BE_AWAITED = "write `await cluster.join(...)` or `async with cluster.join(...)`"


def entered_without_async(entered: object, *error: object) -> NoReturn:
    """Stands where a blocking ``with`` would look.

    Raises:
        TypeError: always; the text says what to write.
    """
    raise TypeError("an AsyncCluster takes `async with`; meshcluster.Cluster is the blocking one")


class Joining:
    """What ``AsyncCluster.join`` returns: awaitable, and a context manager that leaves."""

    def __init__(self, join: Callable[[], Awaitable[AsyncCluster]], cluster: AsyncCluster) -> None:
        self._join = join
        self._cluster = cluster
        self._begun = not cluster._allow_async  # the blocking face awaits it for its user

    def _begin(self) -> Awaitable[AsyncCluster]:
        self._begun = True
        return self._join()

    def __await__(self) -> Generator[Any, None, AsyncCluster]:
        return self._begin().__await__()

    def __aenter__(self) -> Awaitable[AsyncCluster]:
        return self._begin()  # at once: a task may be cancelled before its first step

    def __del__(self) -> None:
        if not self._begun:
            text = f"join() of an AsyncCluster was never awaited: {TO_BE_AWAITED}"
            warnings.warn(text, RuntimeWarning, stacklevel=2)

    if not TYPE_CHECKING:  # which refuses these by itself
        __enter__ = __exit__ = entered_without_async

        def __getattr__(self, name: str) -> NoReturn:
            raise AttributeError(f"no {name!r}: not joined yet; {TO_BE_AWAITED}")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        await self._cluster.leave()
