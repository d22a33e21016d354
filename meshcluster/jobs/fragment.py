"""``Fragment``: one action of a job on a site, from its call to its end."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from ..errors import CommandTimeout, SiteLost, SiteUnreachable
from .action import Action, AsyncAction, Place
from .events import LineWritten
from .outcomes import Failure, Pair, RunResult, Status
from .shell import RunAround
from .site import Site

if TYPE_CHECKING:
    from .job import Function
    from .terms import Terms

PATIENCE_SECONDS = 5.0
"""A plain function that is stopped has so long to return; then it is left to itself: nobody can end
a thread.
"""


class Fragment:
    """Runs a function, and knows what came of it."""

    def __init__(
        self, function: Function, pair: Pair, pair_id: str, number: int, count: int,
        result: RunResult, terms: Terms, site: Site, around: RunAround,
        tell: Callable[[LineWritten], None],
    ) -> None:  # fmt: skip
        self._function = function
        self._number = number
        self._count = count
        self._pair = pair
        self._timeout = terms.timeout
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        own = pair_id if count == 1 else f"{pair_id}.{number}"
        place = Place(pair, own, result.batch, number, count, terms, result.shared)
        self._is_async = _is_async(function)
        kind = AsyncAction if self._is_async else Action
        self._action = kind(site, place, self._line, around, self._loop)

    @property
    def failures(self) -> list[tuple[BaseException, Failure]]:
        """Each error, as it is and as it is told."""
        return self._action.failures

    def _line(self, stream: str, text: str) -> None:
        line = LineWritten(self._pair, stream, text, self._number, self._count)
        if threading.get_ident() == self._thread:
            self._tell(line)
        else:
            self._loop.call_soon_threadsafe(self._tell, line)

    async def to_the_end(self) -> None:
        """Calls it, and waits until nothing of it is held. It raises only when it is cancelled."""
        self._thread = threading.get_ident()
        try:
            async with asyncio.timeout(self._timeout) as limit:
                await self._called()
                await self._action.until_free()
        except Exception as error:
            if isinstance(error, TimeoutError) and limit.expired():
                text = f"{self._pair.job} took longer than {self._timeout:g} s"
                error = CommandTimeout(text)
            self._action.raised(error)
        finally:
            self._action.end()

    async def _called(self) -> None:
        if not isinstance(self._action, Action):
            await self._function(self._action)
            return
        action = self._action
        ended = _on_thread(lambda: self._function(action), self._pair)
        try:
            await asyncio.shield(ended)
        except BaseException:
            action.stop()
            if not ended.done():
                await asyncio.wait([ended], timeout=PATIENCE_SECONDS)
            raise
        finally:
            action.stop()


def _is_async(function: Any) -> bool:
    while hasattr(function, "func"):  # functools.partial
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(type(function), "__call__", None)  # noqa: B004
    )


def _on_thread(function: Callable[[], Any], pair: Pair) -> asyncio.Future[Any]:
    """Its result. The thread does not keep the process from ending."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[Any] = loop.create_future()

    def tell(result: Any, error: BaseException | None) -> None:
        if ended.done():
            return
        if error is None:
            ended.set_result(result)
        else:
            ended.set_exception(error)
            ended.exception()  # somebody else may have been told of it

    def work() -> None:
        result, error = None, None
        try:
            result = function()
        except BaseException as raised:
            error = raised
        if isinstance(error, StopIteration | KeyboardInterrupt | SystemExit):
            error = RuntimeError(f"the action raised {type(error).__name__}")
        try:
            loop.call_soon_threadsafe(tell, result, error)
        except RuntimeError:  # the run has ended without it
            pass

    context = copy_context()
    name = f"{pair.job} on {pair.site}"
    threading.Thread(target=context.run, args=(work,), name=name, daemon=True).start()
    return ended


def failure_of(fragments: Sequence[Fragment], site: str) -> tuple[Status, str, tuple[Failure, ...]]:
    """What the errors of a site's actions make of their job: a site that was lost or could not be
    reached is told as such.
    """
    found = [each for fragment in fragments for each in fragment.failures]
    failures = tuple(failure for _, failure in found)
    status: Status = "ok"
    reason = ""
    for error, failure in found:
        worse: Status = "failed"
        if isinstance(error, SiteLost) and error.site == site:
            worse = "lost"
        elif isinstance(error, SiteUnreachable) and error.site == site:
            worse = "unreachable"
        if _WORSE[worse] > _WORSE[status]:
            status, reason = worse, failure.text
    return status, reason, failures


_WORSE = {"ok": 0, "failed": 1, "unreachable": 2, "lost": 3}
