"""``Action``: what an action of a job is given, and how it is held to its end."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import os
import threading
import traceback
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import CommandFailed, ConfigError, Interrupted, JobError
from .hearing import Told
from .limit import Limit
from .lines import Lines
from .outcomes import Failure, Pair
from .result import CommandResult
from .shell import Around, AsyncShell, Shell
from .site import Site

if TYPE_CHECKING:
    from .terms import Terms

AWAITED = ("run", "sudo", "upload", "download")
"""What a shell does."""
TRACEBACK_CHARACTERS = 10_000
OURS = str(Path(__file__).parents[1]) + os.sep
_LOG = logging.getLogger("meshcluster.jobs")


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a run an action is.

    Attributes:
        pair: its job and site.
        id: of the run and this action, safe as the name of a file.
        batch: the id of the batch.
        fragment, fragments: which action of the job on that site, from 1, and of how many.
        terms: the run's options.
        shared: what the actions of a batch leave for one another.
    """

    pair: Pair
    id: str
    batch: str
    fragment: int
    fragments: int
    terms: Terms
    shared: Any


class Tell(Protocol):
    """Takes a line of an action."""

    def __call__(self, stream: str, text: str) -> None:
        """``stream`` and ``text`` as ``LineWritten`` has them."""


class Hold:
    """Keeps an action from ending until it is called, once, from any thread: with nothing or None
    where all is well, else with an error, a text, or the result of a command that failed.
    """

    def __init__(self, action: AsyncAction) -> None:
        self._action = action
        self._lock = threading.Lock()
        self._released = False

    def __call__(self, error: object = None) -> None:
        """Ends the hold. A second time is an error of the action's."""
        with self._lock:
            again, self._released = self._released, True
        if again:
            error = JobError("a hold was released twice")
        self._action.released(error, again=again)


class AsyncAction:
    """What an ``async def`` of a job is given.

    Attributes:
        site: a copy of its site.
        shell: runs commands there.
        local: runs commands of this machine, as if they were the site's: told and ended with it.
    """

    def __init__(
        self, site: Site, place: Place, tell: Tell, around: Around, limit: Limit,
        loop: asyncio.AbstractEventLoop,
    ) -> None:  # fmt: skip
        self.site = site
        self._place = place
        self._tell = tell
        self._loop = loop
        self._lock = threading.Lock()
        self._held = 0
        self._free = asyncio.Event()
        self._stopped = False
        self._over = False
        self._running: set[asyncio.Task[Any]] = set()
        self._idle = asyncio.Event()
        self.failures: list[tuple[BaseException, Failure]] = []
        """Each error, as it is and as it is told."""
        self.interrupted = False
        """Somebody has stopped the run by it: at the question for a password."""
        self.shell: Any = AsyncShell.of(site, _Shown(tell, limit), around, self._during)
        here = Site(site.name, site.roles, {"name": site.name})
        self.local: Any = AsyncShell.of(here, _Shown(tell, limit), around, self._during)
        self._begun: list[Coroutine[Any, Any, Any]] = []
        for shell in (self.shell, self.local):
            for name in AWAITED:
                setattr(shell, name, self._noted(getattr(shell, name)))

    @property
    def job(self) -> str:
        """The job's name."""
        return self._place.pair.job

    @property
    def id(self) -> str:
        """Of the batch, the run and this action; safe as the name of a file."""
        return self._place.id

    @property
    def batch(self) -> str:
        """The id of the batch."""
        return self._place.batch

    @property
    def issuer(self) -> str:
        """Who speaks, for logs: ``[id] site``."""
        return f"[{self.id}] {self.site.name}"

    @property
    def fragment(self) -> int:
        """Which action of the job this is on this site, from 1."""
        return self._place.fragment

    @property
    def fragments(self) -> int:
        """How many actions the job has on this site; they run at the same time."""
        return self._place.fragments

    @property
    def options(self) -> Terms:
        """Those of the run."""
        return self._place.terms

    @property
    def shared(self) -> Any:
        """What the actions of a batch leave for one another: a dict, unless the batch was given
        something else. Plain actions are on threads of their own, several at once.
        """
        return self._place.shared

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.job} {self.issuer}>"

    def report(self, text: object) -> None:
        """A line for whoever watches."""
        for line in str(text).splitlines() or [""]:
            self._tell("report", line)

    def fail(self, error: object = None) -> None:
        """The action has failed, and goes on. All errors are kept.

        Args:
            error: an exception, a text, or the result of a command; None is none, and so is the
                result of a command that did not fail.
        """
        if isinstance(error, CommandResult):
            error = None if error.ok else JobError(f"{error.command!r:.200}: {error.ending}")
        if error is not None:
            self.raised(error if isinstance(error, BaseException) else JobError(str(error)))

    def raised(self, error: BaseException) -> None:
        """What the action's function raised. Of a group each error is one."""
        if isinstance(error, BaseExceptionGroup):
            for each in error.exceptions:
                self.raised(each)
            return
        trace = "" if isinstance(error, JobError) else _trace(error)
        code = error.result.returncode if isinstance(error, CommandFailed) else None
        kind = type(error).__name__
        text = str(error) or kind
        with self._lock:
            if not self._over:
                self.failures.append((error, Failure(self.fragment, kind, text, trace, code)))
                if isinstance(error, Interrupted) and not self._stopped:
                    self.interrupted = True
                return
        late = f"after the end of {self.job}: {text}"
        _LOG.warning("%s: %s", self.issuer, late)
        self._tell("log", late)

    def hold(self) -> Hold:
        """Takes a hold: the action ends when its function has returned and each was released. The
        run waits for it; ``timeout=`` says how long at most.

        Raises:
            JobError: the action has ended.
        """
        with self._lock:
            if self._over:
                raise JobError(f"{self.job} has ended on {self.site.name}: nothing can be held")
            self._held += 1
        return Hold(self)

    def released(self, error: object, *, again: bool) -> None:
        """A hold was released."""
        self.fail(error)
        if again:
            return
        with self._lock:
            self._held -= 1
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(self._free.set)

    async def until_free(self) -> None:
        """Returns when nothing is held; nothing can be from here on. What nobody has awaited by
        then has not been done, or is ended: that is an error.
        """
        while True:
            with self._lock:
                free = not self._held
                self._free.clear()
            if free:
                self._judge_what_is_left()
                with self._lock:
                    self._over = not self._held
                if self._over:
                    return
            await self._free.wait()

    def _judge_what_is_left(self) -> None:
        for coroutine in self._left():
            name = getattr(coroutine, "__qualname__", "what a shell does")
            self.fail(f"{name} was not awaited: nothing was done")
        if self._running:
            self.fail("a command still ran at the end, and was ended: await it, or detach=True")

    def _left(self) -> list[Coroutine[Any, Any, Any]]:
        return [each for each in self._begun if _is_new(each)]

    def _noted(self, method: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
        """A shell's method, of which it is seen whether somebody awaits it."""

        @functools.wraps(method)
        def begin(*args: Any, **named: Any) -> Coroutine[Any, Any, Any]:
            coroutine = method(*args, **named)
            self._begun = [*self._left(), coroutine]
            return coroutine

        return begin

    def end(self) -> None:
        """What it does from now on is told as late; its shells run nothing more."""
        left = self._left()
        tasks = {task.get_coro() for task in asyncio.all_tasks()} if left else set()
        for coroutine in left:
            if coroutine not in tasks:  # which is refused when it begins
                coroutine.close()
        with self._lock:
            self._over = True

    @contextmanager
    def _during(self) -> Iterator[None]:
        """Around what its shells do, in a task of its own or of the action's.

        Raises:
            JobError: the action has ended.
        """
        task = asyncio.current_task()
        assert task is not None
        with self._lock:
            if self._over:
                raise self._refusal()
            self._running.add(task)
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(task)
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                self._loop.call_soon_threadsafe(self._idle.set)

    def _refusal(self) -> JobError:
        return JobError(
            f"{self.job} has ended on {self.site.name}: its shells run nothing more; await what "
            "they do, take a hold, or detach=True"
        )

    def stop(self) -> None:
        """What its shells run is ended."""
        with self._lock:
            running = [task for task in self._running if not task.cancelling()]
        for task in running:
            if task.get_loop() is self._loop:
                task.cancel()
            else:
                with suppress(RuntimeError):  # it is closed
                    task.get_loop().call_soon_threadsafe(task.cancel)

    async def closed(self) -> None:
        """Returns when its shells run nothing any more; also where this is hurried on."""
        hurried: asyncio.CancelledError | None = None
        while self._running:
            self._idle.clear()
            try:
                await self._idle.wait()
            except asyncio.CancelledError as error:
                hurried = error
        if hurried is not None:
            raise hurried


class Action(AsyncAction):
    """What a plain function of a job is given: it runs on a thread of its own, and its shells
    block.

    Attributes: as ``AsyncAction`` has them.
    """

    shell: Shell
    local: Shell

    def __init__(
        self, site: Site, place: Place, tell: Tell, around: Around, limit: Limit,
        loop: asyncio.AbstractEventLoop,
    ) -> None:  # fmt: skip
        super().__init__(site, place, tell, around, limit, loop)
        self.shell = Shell.of(self.shell, self._wait)  # type: ignore[arg-type]
        self.local = Shell.of(self.local, self._wait)  # type: ignore[arg-type]
        self._calls: set[Future[Any]] = set()

    @property
    def stopped(self) -> bool:
        """Whether the run does not wait for it any more: a long function may look at this."""
        return self._stopped

    def _wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        if _loop_here() is self._loop:
            work.close()
            raise ConfigError("the run's own event loop runs in this thread: it cannot wait here")
        with self._lock:
            if self._stopped:
                work.close()
                raise self._interruption()
            call = asyncio.run_coroutine_threadsafe(self._run(work), self._loop)
            self._calls.add(call)
        try:
            return call.result()
        except CancelledError:
            raise self._interruption() from None
        finally:
            with self._lock:
                self._calls.discard(call)

    async def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """What a shell does, in the loop."""
        if self._stopped:
            work.close()
            raise self._interruption()
        return await work

    def _refusal(self) -> JobError:
        return self._interruption()

    def _interruption(self) -> Interrupted:
        return Interrupted(f"{self.job} was stopped on {self.site.name}")

    def stop(self) -> None:
        """Its shells run nothing more; what they run is ended."""
        with self._lock:
            self._stopped = True
            calls = list(self._calls)
        for call in calls:
            call.cancel()


def _trace(error: BaseException) -> str:
    """Where it was raised, from where the action's own code begins; "" where it was not."""
    theirs = error.__traceback__
    if theirs is None:
        return ""
    while theirs is not None and theirs.tb_frame.f_code.co_filename.startswith(OURS):
        theirs = theirs.tb_next
    lines = traceback.format_exception(type(error), error, theirs)
    return "".join(lines)[-TRACEBACK_CHARACTERS:]


def _is_new(coroutine: Coroutine[Any, Any, Any]) -> bool:
    """Nobody has awaited it."""
    return inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED


def _loop_here() -> asyncio.AbstractEventLoop | None:
    """That which runs in this thread."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class _Shown(Told):
    """Has what commands write told line by line."""

    def __init__(self, tell: Tell, limit: Limit) -> None:
        self._tell = tell
        self._limit = limit
        self._lines = {"stdout": Lines(), "stderr": Lines()}

    def one(self) -> _Shown:
        return _Shown(self._tell, self._limit)

    def asking(self) -> AbstractContextManager[object]:
        return self._limit.paused()

    def show(self, site: Site, stream: str, data: bytes) -> None:
        for line in self._lines[stream].take(data):
            self._tell(stream, line)

    def end(self) -> None:
        for stream, lines in self._lines.items():
            for line in lines.end():
                self._tell(stream, line)

    def note(self, site: Site, text: str) -> None:
        self._tell("log", text)
