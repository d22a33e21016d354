"""``Passwords``: the password that several sites share for sudo, asked for once and kept in memory.
Does not talk to sudo: who sees its prompt asks here what to answer.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import ClassVar, TypeAlias

from ..errors import ConfigError, Interrupted, SudoFailed
from . import console

ATTEMPTS = 5
LOOK_SECONDS = 1.0
"""On Windows a signal is handled when a wait ends; so we wait no longer than this at a time."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a provider is asked.

    Attributes:
        site: whose sudo wants it; "" when it is asked for before that.
        user: whose password it is; "": of the user one is at the site.
        attempt: which one of this command, from 1; those before were not right.
        again: asked a second time, by ``twice``, to see that it was typed well.
    """

    site: str = ""
    user: str = ""
    attempt: int = 1
    again: bool = False

    @property
    def what(self) -> str:
        """What is asked for, in words."""
        whose = " at ".join(filter(None, (self.user, self.site)))
        return f"sudo password of {whose}" if whose else "sudo password"

    @property
    def prompt(self) -> str:
        """The line for a person."""
        notes = [f"attempt {self.attempt}"] if self.attempt > 1 else []
        notes += ["again"] if self.again else []
        return f"{self.what} ({', '.join(notes)}): " if notes else f"{self.what}: "


Provider: TypeAlias = Callable[[Question], str | Awaitable[str]]


def at_console(question: Question) -> str:
    """The provider that asks at the terminal; raises what ``console.ask`` does."""
    return console.ask(question.prompt)


def twice(provider: Provider = at_console) -> Provider:
    """A provider that asks ``provider`` two times, for a password that is typed blindly.

    Raises (the provider):
        SudoFailed: the two differ.
    """
    if inspect.iscoroutinefunction(provider):

        async def ask_twice(question: Question) -> str:
            first = await provider(question)
            return _same(first, await provider(replace(question, again=True)))

        return ask_twice
    return lambda question: _same(provider(question), provider(replace(question, again=True)))


def _same(first: object, second: object) -> str:
    if _checked(first) != _checked(second):
        raise SudoFailed("the two passwords differ")
    return _checked(first)


def _checked(given: object) -> str:
    """What can be a password. The texts of errors never show it."""
    if not isinstance(given, str):
        raise SudoFailed(f"a password is text, not {type(given).__name__}")
    if set(given) & set("\r\n\0"):
        raise SudoFailed("a password has no line break and no NUL in it")
    try:
        given.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise SudoFailed("a password that UTF-8 cannot write") from None
    return given


@dataclass(frozen=True, slots=True, repr=False)
class _Answer:
    """What became of a question: a password, or why there is none. Each who waited raises an error
    of its own, for several threads may.
    """

    password: str | None = None
    error: BaseException | None = None
    what: str = ""

    @property
    def again(self) -> bool:
        """Nobody has answered, and nobody will: who still waits has it asked once more."""
        return self.password is None and self.error is None

    def take(self) -> str:
        if self.password is not None:
            return self.password
        if isinstance(self.error, SudoFailed):
            raise SudoFailed(str(self.error)) from self.error
        if isinstance(self.error, Interrupted | KeyboardInterrupt):
            raise Interrupted(f"interrupted at the question for the {self.what}") from self.error
        kind = type(self.error).__name__  # what it says may have the password in it
        raise SudoFailed(f"who was asked for the {self.what} raised {kind}") from self.error


_AGAIN = _Answer()


class _Asked:
    """A question that is being asked, and all who wait for its answer."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.asking = console.Asking()
        self.task: asyncio.Task[_Answer] | None = None
        self.waiting: list[Future[_Answer]] = []

    def end(self, answer: _Answer) -> None:
        self.asking.give_up()
        task, self.task = self.task, None
        if task is not None:
            with suppress(RuntimeError):  # its loop is closed
                task.get_loop().call_soon_threadsafe(task.cancel)
        for each in self.waiting:
            if each.set_running_or_notify_cancel():
                each.set_result(answer)


class Passwords:
    """The password that several sites share for sudo.

    The first who needs it has it asked for, the others wait for that answer; then it is kept until
    it is rejected or ``reset``. For use by any threads and event loops at once.

    It is never written or logged by us. What is kept is zeroed when it is forgotten or replaced;
    but Python's texts cannot be, and copies of them may stay in memory until it is used again, or
    be swapped out. Who reads the memory of this process may find it.

    Args:
        provider: called with a ``Question``, returns the password. A plain function runs in a
            thread of its own and may block; an ``async def`` runs in the event loop of who asked
            first, as a task of its own; if that loop ends another one asks. It is given up when
            nobody waits any more. What it raises ends all who wait; Interrupted or
            KeyboardInterrupt their runs, too. By default the terminal asks.
        attempts: how many passwords a command of sudo may have at most, 5 by default, whether kept
            or asked for; it counts also one that is not sent because it was rejected there before.

    Raises:
        ConfigError: ``attempts`` is not positive.
    """

    shared: ClassVar[bool] = True
    """Who is configured with it keeps this object, and makes no copy."""

    def __init__(self, provider: Provider | None = None, *, attempts: int = ATTEMPTS) -> None:
        if attempts < 1:
            raise ConfigError("attempts: at least 1")
        self.attempts = attempts
        self._provider = provider or at_console
        self._lock = threading.RLock()  # a signal's handler may come in between
        self._kept: bytearray | None = None
        self._asked: _Asked | None = None

    def __repr__(self) -> str:
        state = "asking" if self._asked else "empty" if self._kept is None else "set"
        return f"<Passwords {state}>"

    def __copy__(self) -> Passwords:
        return self

    def __deepcopy__(self, memo: object) -> Passwords:
        return self

    def set(self, password: str) -> None:
        """Gives it beforehand, or now: all who wait for it get it, and nobody is asked any more.

        Raises:
            SudoFailed: it cannot be one: no text, or it has a line break in it.
        """
        self._finish(_Answer(_checked(password)))

    def reset(self) -> None:
        """Forgets it. Who waits for one gets SudoFailed, and nobody is asked any more."""
        self._finish(_Answer(error=SudoFailed("the password was reset while it was asked for")))

    async def ask(self, site: str = "") -> None:
        """Asks for it now unless it is known: before a run whose output would hide the question.
        If it is being asked for already, waits for that answer.

        Raises:
            Interrupted, SudoFailed: it is not known now.
        """
        await self._known(Question(site), frozenset())

    def prompt(self, site: str = "") -> None:
        """``ask`` for who has no event loop; it blocks.

        Raises:
            Interrupted, SudoFailed: it is not known now.
            RuntimeError: an event loop runs in this thread; ``await passwords.ask()`` there.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._known_blocking(Question(site))
        else:
            raise RuntimeError("an event loop runs in this thread: await passwords.ask() instead")

    def tries(self, site: str, user: str = "") -> Tries:
        """What to answer to one command's sudo at a site, as whom it asks the password of."""
        return Tries(self, site, user)

    def _drop(self, password: str) -> None:
        """Forgets one that was rejected, unless another is kept by now."""
        with self._lock:
            if self._kept == bytearray(password, "utf-8", "surrogateescape"):
                self._keep(None)

    def _keep(self, password: str | None) -> None:
        if self._kept is not None:
            self._kept[:] = bytes(len(self._kept))
        coded = None if password is None else password.encode("utf-8", "surrogateescape")
        self._kept = None if coded is None else bytearray(coded)

    async def _known(self, question: Question, rejected: frozenset[str]) -> str:
        """The kept one, else what is answered to this or to the question that is being asked."""
        loop = asyncio.get_running_loop()
        while True:
            found, waiting = self._join(question, rejected, loop)
            if waiting is None:
                return found
            try:
                answer = asyncio.wrap_future(waiting)
                while not (await asyncio.wait([answer], timeout=LOOK_SECONDS))[0]:
                    self._look()
            finally:  # it was cancelled, or has its answer
                self._leave(waiting)
            if not answer.result().again:
                return answer.result().take()

    def _known_blocking(self, question: Question) -> str:
        while True:
            found, waiting = self._join(question, frozenset(), None)
            if waiting is None:
                return found
            try:
                while True:
                    try:
                        answer = waiting.result(LOOK_SECONDS)
                        break
                    except TimeoutError:
                        self._look()
            except KeyboardInterrupt as error:
                self._interrupted(waiting, error)
                raise
            finally:
                self._leave(waiting)
            if not answer.again:
                return answer.take()

    def _join(
        self, question: Question, rejected: frozenset[str], loop: asyncio.AbstractEventLoop | None
    ) -> tuple[str, Future[_Answer] | None]:
        """The password; or a future of it, and then the question is being asked."""
        with self._lock:
            if self._kept is not None:
                found = self._kept.decode("utf-8", "surrogateescape")
                if found not in rejected:
                    return found, None
                self._keep(None)
            begin = self._asked is None
            asked = self._asked or _Asked(question)
            self._asked = asked
            waiting: Future[_Answer] = Future()
            asked.waiting.append(waiting)
        if begin:
            try:
                self._begin(asked, loop)
            except BaseException as error:  # no thread is to be had
                self._finish(_Answer(error=error), asked)
        return "", waiting

    def _leave(self, waiting: Future[_Answer]) -> None:
        """Who waited does not any more. The question goes on for the others, whoever has begun it;
        where there are none it is given up.
        """
        waiting.cancel()
        with self._lock:
            asked = self._asked
            if asked is None or waiting not in asked.waiting:
                return
            asked.waiting.remove(waiting)
            if asked.waiting:
                return
            self._asked = None
        asked.end(_AGAIN)

    def _interrupted(self, waiting: Future[_Answer], error: KeyboardInterrupt) -> None:
        """^C where one waits who blocks: if it is the first, that was at the question."""
        with self._lock:
            asked = self._asked
            first = asked is not None and asked.waiting[0] is waiting
        if first:
            self._finish(_Answer(error=error), asked)

    def _look(self) -> None:
        """A loop that was closed with the question in it answers nothing: another one asks."""
        with self._lock:
            asked = self._asked
            task = None if asked is None else asked.task
        if task is not None and task.get_loop().is_closed():
            self._finish(_AGAIN, asked)

    def _begin(self, asked: _Asked, loop: asyncio.AbstractEventLoop | None) -> None:
        if loop is not None and inspect.iscoroutinefunction(self._provider):
            asked.task = loop.create_task(self._ask_here(asked))
            asked.task.add_done_callback(lambda task: self._asked_here(asked, task))
        else:
            name = "meshcluster-password"
            threading.Thread(target=self._ask, args=(asked,), name=name, daemon=True).start()

    def _ask(self, asked: _Asked) -> None:
        asked.asking.use()
        try:
            given = self._provider(asked.question)
            if inspect.isawaitable(given):
                given = asyncio.run(_waited(given))
            answer = _Answer(_checked(given))
        except BaseException as error:
            answer = _Answer(error=error)
        self._finish(answer, asked)

    async def _ask_here(self, asked: _Asked) -> _Answer:
        task = asyncio.current_task()
        assert task is not None
        asked.asking.use()
        try:
            given = self._provider(asked.question)
            return _Answer(_checked(await given if inspect.isawaitable(given) else given))
        except GeneratorExit:  # its loop was closed
            raise
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and task.cancelling():
                raise
            return _Answer(error=error)

    def _asked_here(self, asked: _Asked, task: asyncio.Task[_Answer]) -> None:
        """Cancelled it was by us, when all is over, or its loop ends: others may still wait."""
        asked.task = None
        self._finish(_AGAIN if task.cancelled() else task.result(), asked)

    def _finish(self, answer: _Answer, asked: _Asked | None = None) -> None:
        """Ends what is being asked: ``asked``, if it has not ended; without it whatever it is."""
        with self._lock:
            ours = self._asked
            if asked is not None and asked is not ours:
                return
            self._asked = None
            self._keep(answer.password)
        if ours is not None:
            ours.end(replace(answer, what=ours.question.what))


async def _waited(given: Awaitable[str]) -> str:
    return await given


class Tries:
    """The passwords for one command's sudo at one site."""

    def __init__(self, passwords: Passwords, site: str, user: str) -> None:
        self._passwords = passwords
        self._question = Question(site, user, 0)
        self._last: str | None = None
        self._rejected: set[str] = set()

    async def next(self) -> str:
        """What to answer to sudo's prompt, without a line break. Called again when it prompts
        again: what it had before was not right, and is not kept any longer.

        None is given twice, so that a user's account is not locked for the same mistake.

        Raises:
            SudoFailed: there is none, or there were as many as may be.
            Interrupted: the question was interrupted, by whoever was asked or asks.
        """
        while True:
            if self._last is not None:
                self._passwords._drop(self._last)
                self._rejected.add(self._last)
            self._question = replace(self._question, attempt=self._question.attempt + 1)
            self._still_allowed()
            self._last = await self._passwords._known(self._question, frozenset(self._rejected))
            if self._last not in self._rejected:
                return self._last

    def refused(self) -> None:
        """sudo has ended without another question: what it had at last was not right, and is not
        kept any longer.
        """
        if self._last is not None:
            self._passwords._drop(self._last)

    def _still_allowed(self) -> None:
        limit = self._passwords.attempts
        if self._question.attempt > limit:
            many = "the password was" if limit == 1 else f"{limit} passwords were"
            raise SudoFailed(f"{many} not right at {self._question.site}")
