"""The member that is called: takes calls, has them run, answers them.

All but the functions themselves runs in the member's loop. A coroutine is a task there, a plain
function a job of ``workers.py``, unless it was exposed with ``in_loop``.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from ..errors import ArgumentError, ConfigError, DecodeError, EncodeError
from ..mailbox import LATER, Letter
from ..model import Service
from .execution import Execution, current, raised
from .exposed import Exposed, functions_of
from .letters import (
    BUSY,
    CANCEL,
    GIVEN_UP,
    ITEMS,
    LEAVES,
    MISFIT,
    NEXT,
    NOT_EXPOSED,
    OK,
    PACKED,
    short,
    values_of,
)  # fmt: skip
from .streaming import Streaming, spawn
from .values import Values
from .workers import Workers, soon

logger = logging.getLogger("meshcluster.rpc")

NO_NAMES: dict[str, Any] = {}

MAX_SECONDS = 1e9
"""More than a call may take: ``config.MAX_TIMEOUT_SECONDS`` and some."""

LOOK_SECONDS = 0.05
"""Between two looks at which deadlines have passed."""

STREAM_IDLE_SECONDS = 60.0
"""A stream of which nobody asks for more is ended."""


class Serving:
    """The exposed functions of one member, and the calls that it serves."""

    def __init__(self, values: Values, open_calls: Callable[[], int]) -> None:
        self.exposed: dict[str, Exposed] = {}
        self._values = values
        self._most = open_calls
        self._workers = Workers("meshcluster-calls")
        self._streaming = Streaming(self._workers, self._checked, self._ended)
        self._open: dict[tuple[bytes, int], Execution] = {}
        """Coroutines, streams and jobs that have not ended, by caller and its number."""
        self._looking: asyncio.TimerHandle | None = None

    # --- what is exposed ---------------------------------------------------------------------

    def add(self, thing: object, name: str | None, **options: Any) -> None:
        """Exposes a function, or the methods of an object.

        Raises:
            ConfigError: it cannot be, or a name is exposed already.
        """
        made = [Exposed(each, function, **options) for each, function in functions_of(thing, name)]
        for each in made:
            if each.name in self.exposed:
                raise ConfigError(f"{each.name!r} is exposed already: unexpose it, or use name=")
        self.exposed.update((each.name, each) for each in made)

    def remove(self, name: str) -> int:
        """Takes away a function, or all methods of an object; says how many. What runs goes on."""
        found = [each for each in self.exposed if each == name or each.startswith(f"{name}.")]
        for each in found:
            waiting = self.exposed.pop(each).waiting
            while waiting:
                execution = waiting.popleft()
                self._forget(execution)
                execution.letter.reply([NOT_EXPOSED])
        return len(found)

    @property
    def offer(self) -> dict[str, list[str]]:
        """What is told to all members."""
        return {name: each.offer for name, each in self.exposed.items()}

    # --- what comes --------------------------------------------------------------------------

    def receive(self, letter: Letter) -> object:
        """Takes a call, or a word about one; in the loop. What it raises the caller gets."""
        values = values_of(letter.data)
        if type(values[0]) is not int:
            return self._word(values, letter)
        args: Sequence[Any]
        try:
            number, name, seconds, extra, *args = values
            exposed = self.exposed.get(name)
            if not 0 <= seconds <= MAX_SECONDS:
                raise ValueError
        except (TypeError, ValueError):
            raise DecodeError("not a call") from None
        if exposed is None:
            return [NOT_EXPOSED]
        named: dict[str, Any] = NO_NAMES
        if extra is not None or tuple(map(type, args)) not in exposed.signature.fitting:
            try:
                args, named = self._arguments(exposed, args, extra)
            except ArgumentError as error:
                return [MISFIT, error.field, str(error)]
            except DecodeError as error:
                return [MISFIT, "", f"{name}: {error}"]
        deadline, service = time.monotonic() + seconds, letter.service
        execution = Execution(number, exposed, args, named, seconds, deadline, service, letter)
        if exposed.is_quick:
            return self._outcome(execution)
        return self._admit(execution)

    def _arguments(
        self, exposed: Exposed, args: Sequence[Any], extra: object
    ) -> tuple[Sequence[Any], dict[str, Any]]:
        """The arguments as the function is to have them.

        Raises:
            ArgumentError: they do not fit.
            DecodeError: they are not what a caller sends, or of types that are not known here.
        """
        named = None
        if extra is not None:
            if type(extra) is not dict:
                raise DecodeError("not a call")
            named = extra.get("named")
            if extra.get("packed"):
                args, named = self._values.unpack(args), self._values.unpack(named)
        if not isinstance(named, dict | None) or not all(type(k) is str for k in named or ()):
            raise DecodeError("not a call")
        return exposed.signature.bind(tuple(args), named)

    def _admit(self, execution: Execution) -> object:
        """Begins a call that does not end at once, or lets it wait."""
        if len(self._open) >= self._most():
            return [BUSY]
        key = execution.service.key, execution.number
        if key in self._open:
            raise DecodeError("the number of another call")
        self._open[key] = execution
        if self._looking is None:
            self._look_later()
        exposed = execution.exposed
        if exposed.limit is not None and exposed.running >= exposed.limit:
            exposed.waiting.append(execution)
        else:
            self._begin(execution)
        return LATER

    def _word(self, values: list[Any], letter: Letter) -> object:
        if len(values) != 2 or values[0] not in (CANCEL, NEXT) or type(values[1]) is not int:
            raise DecodeError("not a word about a call")
        execution = self._open.get((letter.service.key, values[1]))
        if values[0] == CANCEL:
            if execution is not None:
                execution.give_up()
                self._drop(execution)
            return None
        if execution is None or execution.generator is None or execution.given_up:
            return [ITEMS, False, [], False, ["LookupError", "this stream has ended", ""]]
        execution.letter = letter
        execution.deadline = time.monotonic() + execution.seconds
        self._streaming.more(execution)
        return LATER

    def lost(self, service: Service) -> None:
        """A member is gone: nobody waits for its calls."""
        for key, execution in tuple(self._open.items()):
            if key[0] == service.key:
                execution.give_up()
                self._drop(execution)

    # --- running -----------------------------------------------------------------------------

    def _begin(self, execution: Execution) -> None:
        exposed = execution.exposed
        exposed.running += 1 if exposed.limit is not None else 0
        if exposed.is_stream:
            token = current.set(execution)
            try:
                execution.generator = exposed.function(*execution.args, **execution.named)
            except Exception as error:
                execution.letter.reply(raised(execution, error))
                self._ended(execution)
                return
            finally:
                current.reset(token)
            execution.made = deque()
            self._streaming.more(execution)
        elif exposed.is_async:
            task = spawn(execution, self._await(execution))
            task.add_done_callback(partial(self._ended, execution))
        elif exposed.in_loop:
            execution.letter.reply(self._outcome(execution))
            self._ended(execution)
        else:
            loop = asyncio.get_running_loop()
            self._workers.put(partial(self._job, execution, loop))

    def _job(self, execution: Execution, loop: asyncio.AbstractEventLoop) -> None:
        """On a thread. The answer leaves from here; the loop hears of the end only where something
        waits for that.
        """
        answer: bytes | list[Any]
        try:
            answer = [GIVEN_UP] if execution.cancelled else self._outcome(execution)
        except BaseException as error:  # such as of an event loop of its own: it ends no thread
            answer = raised(execution, error)
        execution.letter.reply([GIVEN_UP] if execution.gave_up else answer)
        if execution.exposed.limit is None:
            self._open.pop((execution.service.key, execution.number), None)
        else:
            soon(loop, self._ended, execution)

    def _outcome(self, execution: Execution) -> bytes | list[Any]:
        """Calls a plain function; its answer."""
        token = current.set(execution)
        try:
            result = execution.exposed.function(*execution.args, **execution.named)
            return self._result(execution, result)
        except (Exception, SystemExit) as error:
            return raised(execution, error)
        finally:
            current.reset(token)

    async def _await(self, execution: Execution) -> None:
        current.set(execution)
        exposed = execution.exposed
        try:
            result = await exposed.function(*execution.args, **execution.named)
            answer = self._result(execution, result)
        except asyncio.CancelledError as error:
            answer = raised(execution, error)  # of its own, if it is not ours
        except (Exception, SystemExit) as error:
            answer = raised(execution, error)
        execution.letter.reply([GIVEN_UP] if execution.gave_up else answer)

    def _result(self, execution: Execution, result: Any) -> bytes | list[Any]:
        """The answer that has a result.

        Raises:
            TypeError: it is not what the annotation says, or cannot be sent.
        """
        if type(result) in LEAVES and execution.exposed.signature.returns.sure(result):
            return short([OK, result])
        result, packed = self._checked(execution, result)
        return [OK, result] if packed is result else [PACKED, packed]

    def _checked(self, execution: Execution, result: Any) -> tuple[Any, Any]:
        try:
            result = execution.exposed.signature.returns.convert(result, objects=True)
            return result, self._values.pack(result)
        except (ValueError, EncodeError) as error:
            raise TypeError(f"{execution.name}: its result: {error}") from None

    def _forget(self, execution: Execution) -> bool:
        """It is open no more; says whether it was."""
        key = (execution.service.key, execution.number)
        return self._open.pop(key, None) is not None

    def _ended(self, execution: Execution, task: asyncio.Task[Any] | None = None) -> None:
        """Begins the next call that the limit of a function held up; in the loop."""
        if task is not None and task.cancelled():  # before its first step
            execution.letter.reply([GIVEN_UP])
        exposed = execution.exposed
        if not self._forget(execution) or exposed.limit is None:
            return
        exposed.running -= 1
        while exposed.waiting and exposed.running < exposed.limit:
            following = exposed.waiting.popleft()
            if following.cancelled:
                self._forget(following)
                following.letter.reply([GIVEN_UP])  # whatever is owed is answered, or leaving waits
            else:
                self._begin(following)

    # --- the end -----------------------------------------------------------------------------

    def _drop(self, execution: Execution) -> None:
        """Ends a stream that was given up. All else is there until it has ended by itself, so that
        what hangs counts among the open calls.
        """
        if execution.generator is None:
            with suppress(ValueError):  # it has begun
                execution.exposed.waiting.remove(execution)
                self._forget(execution)
                execution.letter.reply([GIVEN_UP])
            return
        self._streaming.drop(execution)

    def _look_later(self) -> None:
        self._looking = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        """Gives up what is overdue."""
        self._looking = None
        now = time.monotonic()
        for execution in tuple(self._open.values()):
            is_idle = execution.generator is not None and not execution.asked
            end = execution.pulled_at + STREAM_IDLE_SECONDS if is_idle else execution.deadline
            if now >= end:
                execution.give_up()
                self._drop(execution)
        if self._open:
            self._look_later()

    async def close(self, timeout: float) -> None:
        """Gives up everything, and ends the threads."""
        executions = tuple(self._open.values())
        for execution in executions:
            execution.give_up()
        for execution in executions:
            self._drop(execution)
        tasks = [each.task for each in executions if each.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=timeout)
        self._open.clear()
        for exposed in self.exposed.values():  # what goes on after all counts no more
            exposed.running = 0
            exposed.waiting.clear()
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        await self._workers.close(timeout)
