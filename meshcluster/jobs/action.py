"""``Action``: what an action of a job is given, and how it is held to its end."""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import Interrupted, JobError
from .hearing import Told
from .lines import Lines
from .outcomes import Failure, Pair
from .result import CommandResult
from .shell import AsyncShell, RunAround, Shell
from .site import Site

if TYPE_CHECKING:
    from .terms import Terms

TRACEBACK_CHARACTERS = 10_000


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
        if isinstance(error, CommandResult):
            error = None if error.ok else JobError(f"{error.command!r:.200}: {error.ending}")
        self._action.released(error, again=again)


class AsyncAction:
    """What an ``async def`` of a job is given.

    Attributes:
        site: a copy of its site.
        shell: runs commands there.
        local: runs commands of this machine, as if they were the site's: told and ended with it.
    """

    def __init__(
        self, site: Site, place: Place, tell: Tell, around: RunAround,
        loop: asyncio.AbstractEventLoop,
    ) -> None:  # fmt: skip
        self.site = site
        self._place = place
        self._tell = tell
        self._loop = loop
        self._lock = threading.Lock()
        self._held = 0
        self._free = asyncio.Event()
        self._free.set()
        self._over = False
        self.failures: list[tuple[BaseException, Failure]] = []
        """Each error, as it is and as it is told."""
        self.shell: Any = AsyncShell.of(site, _Shown(tell), around)
        here = Site(site.name, site.roles, {"name": site.name})
        self.local: Any = AsyncShell.of(here, _Shown(tell), around)

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
        """The action has failed, and goes on. All errors are kept; None is none."""
        if error is None:
            return
        raised = error if isinstance(error, BaseException) else JobError(str(error))
        text = str(raised) or type(raised).__name__
        self._failed(raised, Failure(self.fragment, type(raised).__name__, text))

    def raised(self, error: BaseException) -> None:
        """What the action's function raised."""
        trace = ""
        if not isinstance(error, JobError):
            trace = "".join(traceback.format_exception(error))[-TRACEBACK_CHARACTERS:]
        kind = type(error).__name__
        self._failed(error, Failure(self.fragment, kind, str(error) or kind, trace))

    def _failed(self, error: BaseException, failure: Failure) -> None:
        with self._lock:
            if self._over:
                late = f"after the end of {self.job}: {failure.text}"
            else:
                self.failures.append((error, failure))
                return
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
        self._free.clear()
        return Hold(self)

    def released(self, error: object, *, again: bool) -> None:
        """A hold was released."""
        self.fail(error)
        if again:
            return
        with self._lock:
            self._held -= 1
            free = self._held == 0
        if free:
            self._loop.call_soon_threadsafe(self._see)

    def _see(self) -> None:
        with self._lock:
            if self._held == 0:
                self._free.set()

    async def until_free(self) -> None:
        """Returns when nothing is held."""
        await self._free.wait()

    def end(self) -> None:
        """What it does from now on is told as late."""
        with self._lock:
            self._over = True


class Action(AsyncAction):
    """What a plain function of a job is given: it runs on a thread of its own, and its shells
    block.

    Attributes: as ``AsyncAction`` has them.
    """

    shell: Shell
    local: Shell

    def __init__(
        self, site: Site, place: Place, tell: Tell, around: RunAround,
        loop: asyncio.AbstractEventLoop,
    ) -> None:  # fmt: skip
        super().__init__(site, place, tell, around, loop)
        self._around = around
        self.shell = Shell.of(self.shell, self._wait)  # type: ignore[arg-type]
        self.local = Shell.of(self.local, self._wait)  # type: ignore[arg-type]
        self._calls: set[Future[Any]] = set()
        self._stopped = False

    @property
    def stopped(self) -> bool:
        """Whether the run does not wait for it any more: a long function may look at this."""
        return self._stopped

    def _wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        with self._lock:
            if self._stopped:
                work.close()
                raise Interrupted(f"{self.job} was stopped on {self.site.name}")
            call = asyncio.run_coroutine_threadsafe(self._around.until(work), self._loop)
            self._calls.add(call)
        try:
            return call.result()
        except CancelledError:
            raise Interrupted(f"{self.job} was stopped on {self.site.name}") from None
        finally:
            with self._lock:
                self._calls.discard(call)

    def stop(self) -> None:
        """Its shells run nothing more; what they run is ended."""
        with self._lock:
            self._stopped = True
            calls = list(self._calls)
        for call in calls:
            call.cancel()


class _Shown(Told):
    """Has what commands write told line by line."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._lines = {"stdout": Lines(), "stderr": Lines()}

    def one(self) -> _Shown:
        return _Shown(self._tell)

    def show(self, site: Site, stream: str, data: bytes) -> None:
        for line in self._lines[stream].take(data):
            self._tell(stream, line)

    def end(self) -> None:
        for stream, lines in self._lines.items():
            for line in lines.end():
                self._tell(stream, line)

    def note(self, site: Site, text: str) -> None:
        self._tell("log", text)
