"""Streams that a member serves: some items are made ahead, and given as soon as somebody waits."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from .execution import Execution, current, raised
from .letters import GIVEN_UP, ITEMS
from .values import weight
from .workers import Workers, soon

logger = logging.getLogger("meshcluster.rpc")

STREAM_ITEMS = 64
STREAM_BYTES = 1024 * 1024
"""So many items of a stream are made ahead, and so many are in an answer at most; fewer where they
are large, but one."""


class Streaming:
    """The streams of one member. ``checked`` makes of an item what it should be, and packs it;
    ``ended`` is told, in the loop, when there will be no more of one.
    """

    def __init__(
        self, workers: Workers, checked: Callable[[Execution, Any], tuple[Any, Any]],
        ended: Callable[[Execution], None],
    ) -> None:  # fmt: skip
        self._workers = workers
        self._checked = checked
        self._ended = ended

    def more(self, execution: Execution) -> None:
        """Answers with what there is of a stream, as soon as there is something, and has more made:
        some ahead, so that the caller seldom waits.
        """
        execution.pulled_at = time.monotonic()
        execution.asked = True
        self._give(execution)
        if execution.making or execution.ended is not None or execution.given_up:
            return
        execution.making = True
        if execution.exposed.is_async:
            spawn(execution, self._make_async(execution))
        else:
            loop = asyncio.get_running_loop()
            self._workers.put(partial(self._make, execution, loop))

    def _make(self, execution: Execution, loop: asyncio.AbstractEventLoop) -> None:
        """On a thread."""
        made, generator = execution.made, execution.generator
        token = current.set(execution)
        room = STREAM_ITEMS
        try:
            while len(made) < room and not execution.gave_up:
                item = self._checked(execution, next(generator))[1]  # type: ignore[arg-type]
                if execution.gave_up:
                    break
                made.append(item)
                room = room_for(item)
                if not execution.told:
                    execution.told = True
                    soon(loop, self._give, execution)
        except StopIteration:
            execution.ended = (None,)
        except BaseException as error:
            execution.ended = (raised(execution, error)[1:],)
        finally:
            current.reset(token)
        if execution.gave_up:
            execution.letter.reply([GIVEN_UP])
            _close(execution)
            execution.ended = (None,)
        soon(loop, self._made, execution)

    async def _make_async(self, execution: Execution) -> None:
        current.set(execution)
        made, generator = execution.made, execution.generator
        loop = asyncio.get_running_loop()
        room = STREAM_ITEMS
        try:
            while len(made) < room:
                item = self._checked(execution, await anext(generator))[1]  # type: ignore[arg-type]
                made.append(item)
                room = room_for(item)
                if not execution.told:
                    execution.told = True
                    loop.call_soon(self._give, execution)
        except StopAsyncIteration:
            execution.ended = (None,)
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            execution.ended = (raised(execution, error)[1:],)
        self._made(execution)

    def _made(self, execution: Execution) -> None:
        """No more is being made; in the loop."""
        execution.making = False
        self._give(execution)
        if execution.given_up:
            self._ended(execution)
        elif execution.asked:
            self.more(execution)

    def _give(self, execution: Execution) -> None:
        """Answers who asked for more, if there is any; in the loop."""
        execution.told = False  # before looking: what is made from here on is told
        made = execution.made
        if not execution.asked or not (made or execution.ended):
            return
        items: list[Any] = []
        size = 0
        while made and len(items) < STREAM_ITEMS:
            size += weight(made[0])
            if items and size > STREAM_BYTES:
                break
            items.append(made.popleft())
        over = execution.ended is not None and not made
        failure = execution.ended[0] if over and execution.ended else None
        answer = [ITEMS, True, items, not over, failure]
        execution.asked = False
        execution.pulled_at = time.monotonic()
        execution.letter.reply([GIVEN_UP] if over and execution.gave_up else answer)
        if over:
            self._ended(execution)

    def drop(self, execution: Execution) -> None:
        """Ends a stream that was given up."""
        if execution.exposed.is_async:
            spawn(execution, _aclose(execution, execution.task))
        elif execution.making:
            return  # a thread is in it, closes it then, and keeps its place until then
        else:
            self._workers.put(partial(_close, execution))
        self._ended(execution)


def spawn(execution: Execution, coroutine: Any) -> asyncio.Task[Any]:
    """Runs a coroutine for a call, in the loop; giving the call up cancels it."""
    task = execution.task = asyncio.get_running_loop().create_task(coroutine)
    return task


def room_for(item: Any) -> int:
    """How many items of a stream like this one are made ahead."""
    return min(STREAM_ITEMS, max(1, STREAM_BYTES // (weight(item) + 1)))


def _close(execution: Execution) -> None:
    try:
        execution.generator.close()  # type: ignore[union-attr]
    except (Exception, SystemExit):  # such as: it runs in another thread, which closes it then
        logger.info("a stream raised when it was closed", exc_info=True)
    else:
        execution.letter.reply([GIVEN_UP])


async def _aclose(execution: Execution, task: asyncio.Task[Any] | None) -> None:
    if task is not None:  # cancelled, but not yet at its end
        await asyncio.wait([task])
    try:
        await execution.generator.aclose()  # type: ignore[union-attr]
    except (Exception, SystemExit, asyncio.CancelledError):
        logger.info("a stream raised when it was closed", exc_info=True)
    execution.letter.reply([GIVEN_UP])
