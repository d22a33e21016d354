"""``Fragment``: one action of a job on a site, from its call to its end."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from ..errors import CommandTimeout, JobError, SiteLost, SiteUnreachable
from .action import Action, AsyncAction, Place
from .events import LineWritten
from .limit import Limit
from .outcomes import Failure, Pair, RunResult, Status
from .shell import Around
from .site import Site

if TYPE_CHECKING:
    from .job import Function
    from .terms import Terms

PATIENCE_SECONDS = 5.0
"""A plain function that is stopped has so long to return; then it is left to itself: nobody can end
a thread.
"""
_LOG = logging.getLogger("meshcluster.jobs")


class Fragment:
    """Runs a function, and knows what came of it."""

    def __init__(
        self, function: Function, pair: Pair, pair_id: str, number: int, count: int,
        result: RunResult, terms: Terms, site: Site, around: Around,
        tell: Callable[[LineWritten], None],
    ) -> None:  # fmt: skip
        self._function = function
        self._number = number
        self._count = count
        self._pair = pair
        self._timeout = terms.timeout
        self._limit = Limit(terms.timeout)
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        own = pair_id if count == 1 else f"{pair_id}.{number}"
        place = Place(pair, own, result.batch, number, count, terms, result.shared)
        kind = AsyncAction if _is_async(function) else Action
        self._action = kind(site, place, self._line, around, self._limit, self._loop)

    @property
    def failures(self) -> list[tuple[BaseException, Failure]]:
        """Each error, as it is and as it is told."""
        return self._action.failures

    @property
    def interrupted(self) -> bool:
        """Somebody has stopped the run by it."""
        return self._action.interrupted

    def _line(self, stream: str, text: str) -> None:
        line = LineWritten(self._pair, stream, text, self._number, self._count)
        if threading.get_ident() == self._thread:
            self._tell(line)
        else:
            with suppress(RuntimeError):  # the loop is closed: nobody watches
                self._loop.call_soon_threadsafe(self._tell, line)

    async def to_the_end(self) -> None:
        """Calls it, and waits until nothing of it is held or runs. It raises only when it is
        cancelled.
        """
        action, limit = self._action, self._limit
        try:
            async with limit:
                _check_returned(await self._called())
                if not limit.expired:
                    await action.until_free()
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            action.raised(error)  # nobody stops it: it has awaited what was cancelled
        except BaseException as error:
            if not (isinstance(error, TimeoutError) and limit.expired):
                action.raised(error)
        finally:
            if limit.expired:  # also of what took no notice
                text = f"{self._pair.job} took longer than {self._timeout:g} s"
                action.raised(CommandTimeout(text))
            action.end()
            action.stop()
            await action.closed()

    async def _called(self) -> Any:
        action = self._action
        if not isinstance(action, Action):
            return await self._function(action)
        ended = _on_thread(lambda: self._function(action), self._pair)
        try:
            await asyncio.wait([ended])
        except asyncio.CancelledError:
            action.stop()
            await asyncio.wait([ended], timeout=PATIENCE_SECONDS)
            if not ended.done():
                _LOG.warning("%s: the function does not return; it is left alone", action.issuer)
            raise
        result, error = ended.result()
        if error is not None:
            raise error
        return result


def _is_async(function: Any) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(type(function), "__call__", None)  # noqa: B004
    )


def _check_returned(value: object) -> None:
    """Raises JobError where nothing was done yet: what an action returns is not looked at."""
    if inspect.isawaitable(value) or inspect.isgenerator(value) or inspect.isasyncgen(value):
        if inspect.iscoroutine(value):
            value.close()
        raise JobError(
            f"the action returned a {type(value).__name__}, which nobody runs: "
            "it has to be a plain function or an async def, and no generator"
        )


def _on_thread(
    function: Callable[[], Any], pair: Pair
) -> asyncio.Future[tuple[Any, BaseException | None]]:
    """What it returns or raises. The thread does not keep the process from ending."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()

    def work() -> None:
        result, error = None, None
        try:
            result = function()
        except BaseException as raised:
            error = raised
        with suppress(RuntimeError):  # the run has ended without it
            loop.call_soon_threadsafe(ended.set_result, (result, error))

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
            own = failure.traceback and failure.text != failure.kind
            status, reason = worse, f"{failure.kind}: {failure.text}" if own else failure.text
    return status, reason, failures


_WORSE = {"ok": 0, "failed": 1, "unreachable": 2, "lost": 3}
