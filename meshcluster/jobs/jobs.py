"""``Jobs`` and ``AsyncJobs``: named jobs, and the runs of them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Coroutine, Iterator
from inspect import iscoroutinefunction
from typing import Any, Generic, TypeVar, overload

from ..errors import ConfigError
from .alone import run_alone
from .job import Job
from .outcomes import RunResult
from .passwords import Passwords
from .plan import Plan, pick
from .running import Running, Watch
from .selector import flatten
from .sites import Sites
from .terms import Terms

F = TypeVar("F", bound=Callable[..., Any])
R = TypeVar("R")


class Declared:
    """Jobs by name, and the sites they are for."""

    def __init__(
        self, sites: Sites | None = None, *, passwords: Passwords | None = None, **options: Any
    ) -> None:
        self.sites = Sites() if sites is None else sites
        self.options = Terms().changed(**options)
        self.passwords = passwords or Passwords()
        self._jobs: dict[str, Job] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {', '.join(self._jobs)} on {len(self.sites)} sites>"

    def __iter__(self) -> Iterator[Job]:
        return iter([*self._jobs.values()])

    def __contains__(self, name: object) -> bool:
        return name in self._jobs

    def __getitem__(self, name: str) -> Job:
        return self._jobs[name]

    def add(self, name: str, roles: Any = None, actions: Any = ()) -> None:
        """Declares a job, or adds to one that there is.

        Args:
            name: of the job.
            roles: which sites it is for, as ``Sites.list``; by default the role of its own name.
            actions: functions, in nested lists or one alone; those of a job start together on each
                of their sites. An ``async def`` gets an ``AsyncAction``, a plain function, which
                runs on a thread, an ``Action``. None of them: the job does nothing.

        Raises:
            ConfigError: a name or a role cannot work, or an action is no function.
        """
        if callable(roles) and actions == ():
            roles, actions = None, roles
        made = self._jobs[name] if isinstance(name, str) and name in self._jobs else Job(name)
        made.add(name if roles is None else roles, actions)
        self._jobs[name] = made

    @overload
    def job(self, function: F, /) -> F: ...
    @overload
    def job(self, name: str | None = None, /, *, roles: Any = None) -> Callable[[F], F]: ...
    def job(self, name: Any = None, /, *, roles: Any = None) -> Any:
        """A decorator: ``@jobs.job``, ``@jobs.job(roles="app")``, ``@jobs.job("deploy")``. The
        function is an action of the job of its own name, or of ``name``; see ``add``.

        Raises:
            ConfigError: as ``add``.
        """
        if callable(name):
            self.add(_name_of(name), None, name)
            return name
        if name is not None and not isinstance(name, str):
            raise ConfigError(f"job({name!r:.80}): a name, or roles=")

        def declare(function: F) -> F:
            self.add(_name_of(function) if name is None else name, roles, function)
            return function

        return declare

    def _running(
        self, batch: Shared, jobs: Any, terms: Terms, watch: Watch | None, retry: RunResult | None
    ) -> Running:
        if watch is not None and (not callable(watch) or iscoroutinefunction(watch)):
            raise ConfigError(f"watch={watch!r:.80}: a plain function of an event")
        if retry is not None and not isinstance(retry, RunResult):
            raise ConfigError(f"retry={retry!r:.80}: the result of a run")
        names, ignored = self._picked(jobs, terms, retry)
        index = batch.index + 1
        head = RunResult(
            f"{batch.id}-{index}", batch.id, index, terms.schedule, names,
            ignored=ignored, shared=batch.shared,
        )  # fmt: skip
        return Running(
            self._jobs, names, self.sites, terms, head, watch=watch, passwords=self.passwords,
            only=None if retry is None else retry.undone,
        )  # fmt: skip

    def _picked(
        self, jobs: Any, terms: Terms, retry: RunResult | None
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        if retry is not None and jobs is None:
            jobs = retry.jobs
        names = list(flatten("jobs", jobs))
        if not all(isinstance(name, str) for name in names):
            raise ConfigError(f"jobs={jobs!r:.80}: names")
        if retry is not None and tuple(names) != tuple(retry.jobs):
            raise ConfigError(f"retry=: that run was of {', '.join(retry.jobs)}")
        missing = terms.allow_missing and retry is None  # or its pairs would be other jobs'
        return pick(names, self._jobs, allow_missing=missing)

    async def _plan(self, jobs: Any, options: dict[str, Any]) -> Plan:
        batch = Shared(None)
        return self._running(batch, jobs, self.options.changed(**options), None, None).plan


def _name_of(function: Callable[..., Any]) -> str:
    try:
        return str(function.__name__)
    except AttributeError:
        text = f"job({function!r:.80}): it has no name of its own; job(NAME) or add(NAME, ...)"
        raise ConfigError(text) from None


class Shared:
    """What the runs of a batch have in common: an id, a state, and options that are inherited."""

    def __init__(self, shared: Any) -> None:
        self.id = f"{int(time.time() * 1000):011x}{secrets.token_hex(3)}"
        self.index = 0
        self.shared: Any = {} if shared is None else shared
        self.results: list[RunResult] = []


class Schedules(Generic[R]):
    """The schedules by their names, of what has ``run``."""

    def run(self, jobs: Any = None, **options: Any) -> R:
        """Runs jobs."""
        raise NotImplementedError

    def sequential(self, jobs: Any, **options: Any) -> R:
        """``run`` where a job begins when the one before has ended on all its sites."""
        return self.run(jobs, schedule="sequential", **options)

    def atomic(self, jobs: Any, **options: Any) -> R:
        """``run`` where one job runs on one site at a time."""
        return self.run(jobs, schedule="atomic", **options)

    def parallel(self, jobs: Any, **options: Any) -> R:
        """``run`` where all run at once."""
        return self.run(jobs, schedule="parallel", **options)


class AnyBatch(Schedules[R]):
    """What both kinds of batches are.

    Attributes:
        id: letters and digits; later batches sort after earlier ones.
        shared: what actions leave for one another.
        results: of the runs so far, also of one that was interrupted.
    """

    def __init__(
        self, declared: Declared, shared: Any, watch: Watch | None, options: dict[str, Any]
    ) -> None:
        self._declared = declared
        self._state = Shared(shared)
        self._watch = watch
        self._terms = declared.options.changed(**options)

    @property
    def id(self) -> str:
        """See the class."""
        return self._state.id

    @property
    def shared(self) -> Any:
        """See the class."""
        return self._state.shared

    @property
    def results(self) -> list[RunResult]:
        """See the class."""
        return self._state.results

    async def _run(
        self, jobs: Any, watch: Watch | None, retry: RunResult | None, options: dict[str, Any]
    ) -> RunResult:
        terms = self._terms.changed(**options)
        state = self._state
        running = self._declared._running(state, jobs, terms, watch or self._watch, retry)
        self._terms = terms  # what was refused changes nothing
        state.index += 1
        try:
            return await running.to_the_end()
        finally:
            state.results.append(running.result)


class AsyncBatch(AnyBatch[Coroutine[Any, Any, RunResult]]):
    """Runs that follow one another: with one id, one ``shared``, and options that stay. It has
    ``id``, ``shared`` and ``results``, of the runs so far, also of one that was interrupted.
    """

    async def run(
        self, jobs: Any = None, *, watch: Watch | None = None, retry: RunResult | None = None,
        **options: Any,
    ) -> RunResult:  # fmt: skip
        """Runs jobs, one after the other on each site; options as ``Terms``. They stay for the runs
        that follow.
        """
        return await self._run(jobs, watch, retry, options)


class Batch(AnyBatch[RunResult]):
    """Runs that follow one another, as ``AsyncBatch``."""

    def run(
        self, jobs: Any = None, *, watch: Watch | None = None, retry: RunResult | None = None,
        **options: Any,
    ) -> RunResult:  # fmt: skip
        """See ``AsyncBatch.run``."""
        return run_alone(self._run(jobs, watch, retry, options))


class AsyncJobs(Declared, Schedules[Coroutine[Any, Any, RunResult]]):
    """Named jobs, and their runs, for an event loop; see ``Jobs``, whose methods these are."""

    def batch(
        self, *, shared: Any = None, watch: Watch | None = None, **options: Any
    ) -> AsyncBatch:
        """Runs that follow one another."""
        return AsyncBatch(self, shared, watch, options)

    async def run(
        self, jobs: Any = None, *, shared: Any = None, watch: Watch | None = None,
        retry: RunResult | None = None, **options: Any,
    ) -> RunResult:  # fmt: skip
        """See ``Jobs.run``."""
        return await self.batch(shared=shared, watch=watch).run(jobs, retry=retry, **options)

    async def plan(self, jobs: Any, **options: Any) -> Plan:
        """See ``Jobs.plan``."""
        return await self._plan(jobs, options)


class Jobs(Declared, Schedules[RunResult]):
    """Named jobs, the sites they are for, and their runs.

    ::

        jobs = Jobs()
        jobs.sites.add(["web-1", "web-2"], "app", user="ada")

        @jobs.job(roles="app")
        def update(action):
            action.shell.run("git pull")

        jobs.run("update").raise_for_errors()

    Args:
        sites: may be shared by several; by default it has its own, empty, as ``jobs.sites``.
        passwords: what sudo is told at sites that have none of their own; by default the terminal
            is asked, once.
        options: of all runs, as ``Terms`` has them.

    Raises:
        ConfigError: an option cannot work.
    """

    def batch(self, *, shared: Any = None, watch: Watch | None = None, **options: Any) -> Batch:
        """Runs that follow one another: ``shared`` and options stay. Arguments as ``run``."""
        return Batch(self, shared, watch, options)

    def run(
        self, jobs: Any = None, *, shared: Any = None, watch: Watch | None = None,
        retry: RunResult | None = None, **options: Any,
    ) -> RunResult:  # fmt: skip
        """Runs jobs: by default each site goes through those that match it, one after the other,
        and sites do not wait for one another.

        All names and sites are looked up before anything begins. A failure is no exception: the
        result says what became of each job on each site. Ctrl-C ends what runs, and then raises;
        the third one does not wait for that.

        Args:
            jobs: names, in order; one may be there twice.
            shared: what actions find as ``shared``; by default an empty dict.
            watch: called with each event as it happens, in the thread of the call.
            retry: the result of a run: what is not ok in it is run again, and nothing else; of
                that, what ``roles`` leave out is no part of the result, but of its ``warnings``.
            options: ``schedule``, ``break_on_error``, ``roles``, ``max_parallel``, ``batches``,
                ``max_fail``, ``timeout``, ``live`` and so on, as ``Terms`` has them.

        Raises:
            MissingJob: there is no such job.
            NoSites: a job matches fewer sites than ``require_sites``.
            ConfigError: an option cannot work.
            KeyboardInterrupt: Ctrl-C.
        """
        return self.batch(shared=shared, watch=watch).run(jobs, retry=retry, **options)

    def plan(self, jobs: Any, **options: Any) -> Plan:
        """What ``run`` would do: jobs, their sites and actions, and in which order. Nothing runs.

        Raises:
            MissingJob, NoSites, ConfigError: as ``run``.
        """
        return run_alone(self._plan(jobs, options))
