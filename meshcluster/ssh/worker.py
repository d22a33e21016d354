"""``Worker``: a worker behind a process, as its dispatcher sees it."""

from __future__ import annotations

import asyncio
import builtins
import logging
import time
from contextlib import suppress
from math import inf
from typing import Any

from ..errors import DecodeError, EncodeError, TaskRaised
from .engine import Engine, settle
from .far import framing
from .far.framing import Frame
from .launching import Launch, LogLine
from .pool import Pool
from .process import Hello, Process
from .slot import Slot
from .task import Task

REAP_SECONDS = 10.0
_LOG = logging.getLogger("meshcluster.ssh")
_WORDS = {"cancel": framing.CANCEL, "recall": framing.RECALL, "ping": framing.PING}


class Worker:
    """Stands between the pool and a process."""

    def __init__(self, slot: Slot, engine: Engine, launch: Launch) -> None:
        self._slot = slot
        self._engine = engine
        self._launch = launch
        self._server = slot.place.server
        self._process = Process(self, engine.loop, launch.body_bytes, engine.lock)
        self._stopped = False
        self._refused = ""
        self._over = False
        self._parts: dict[int, list[bytes]] = {}
        """Results of several items that have come before the last of them."""

    async def begin(self) -> None:
        """Starts the process."""
        launch = self._launch
        argv = self._server.argv(launch.ssh, launch.options)
        try:
            shipment = b"" if self._server.command is not None else launch.shipment(self._server)
            await self._process.start(argv, shipment)
        except Exception as error:  # whatever it is: the slot is not to wait for a worker
            self._process.never()
            why = getattr(error, "strerror", None) or str(error)
            if self._server.host and isinstance(error, FileNotFoundError):
                why += "; install OpenSSH's client, or name another one"
            self.over(f"cannot start {argv[0]!r}: {why}", "")
            return
        if self._stopped:  # meanwhile it was not to be
            self._process.end(politely=False)

    async def gone(self) -> None:
        """Returns when the process has ended, and of all that it said was told."""
        await self._process.exited.wait()
        await self._process.heard_out.wait()

    def is_moving(self) -> bool:
        """Whether it is being sent more than goes at once, and takes it."""
        return self._process.is_moving()

    def is_reading(self) -> bool:
        """Whether this is the thread that hears it, and tells futures."""
        return self._process.is_reading()

    # --- what it is told ------------------------------------------------------------------------

    def send(self, tasks: list[Task]) -> None:
        """Has it run these."""
        frames = [framing.frame(task.kind, task.number, task.body) for task in tasks]
        self._process.write(b"".join(frames))

    def tell(self, what: str, number: int) -> None:
        """A word about a task."""
        self._process.write(framing.frame(_WORDS[what], number))

    def stop(self, politely: bool) -> None:
        """Has it end. One elsewhere that is hung does not see that we are gone, so it is killed
        there, too.
        """
        self._stopped = True
        slot = self._slot
        politely = politely and slot.greeted
        self._engine.soon(lambda: self._process.end(politely=politely))
        silent = slot.pinged_at < inf  # what it had in hand was taken from it before this
        if not politely and (slot.blame != "closed" or silent):
            self._reap()

    def _reap(self) -> None:
        # One that was not sent may be in a container: its number is somebody else's here.
        if self._slot.pid > 1 and self._server.host and self._server.command is None:
            self._engine.spawn(self._kill_there(self._slot.pid))

    async def _kill_there(self, pid: int) -> None:
        command = f"kill -KILL -{pid} {pid} 2>/dev/null"
        argv = self._server.client(self._launch.ssh, self._launch.options, command)
        null = asyncio.subprocess.DEVNULL
        with suppress(OSError, TimeoutError):
            process = await asyncio.create_subprocess_exec(
                *argv, stdin=null, stdout=null, stderr=null
            )
            try:
                await asyncio.wait_for(process.wait(), REAP_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()

    # --- what it says ---------------------------------------------------------------------------

    def greeted(self, hello: Hello) -> None:
        """It is ready, if it is one of ours."""
        self._refused = self._launch.check(hello)
        if self._refused:
            self._engine.soon(lambda: self._process.end(politely=True))
            return
        self._process.write(framing.frame(framing.LIMIT, self._launch.body_bytes))
        self._engine.act(
            lambda pool, now: pool.ready(self._slot, now, pid=hello.pid, pings=hello.pings)
        )

    def came(self, frames: list[Frame]) -> None:
        """So many frames at once. What it may have next is sent before any future is told."""
        engine, slot, pool = self._engine, self._slot, self._engine.pool
        answers: list[tuple[Task, Frame]] = []
        lines: list[Frame] = []
        with engine.lock:
            if self._over:  # what it had was given to others
                return
            now = time.monotonic()
            pool.heard(slot, now)
            for frame in frames:
                kind = frame.kind
                if kind == framing.DONE or kind == framing.RAISED:
                    task = pool.answered(slot, frame.number, now, frame.micros)
                    if task is not None:
                        answers.append((task, frame))
                elif kind == framing.CANCELLED:
                    pool.cancelled(slot, frame.number, now)
                elif kind == framing.UNBEGUN:
                    pool.unbegun(slot, frame.number, now)
                elif kind == framing.PART and frame.number in slot.in_hand:
                    self._parts.setdefault(frame.number, []).append(frame.body)
                elif kind == framing.OUT or kind == framing.ERR:
                    lines.append(frame)
            pool.refill(slot, now)
            settled = engine.perform() if pool.effects else ()
        settle(settled)
        for frame in lines:
            self._log(frame)
        if answers:
            self._tell(answers)

    def _tell(self, answers: list[tuple[Task, Frame]]) -> None:
        """Tells futures what became of their tasks."""
        results: list[tuple[Task, Any]] = []
        errors: list[tuple[Task, BaseException]] = []
        loads = self._launch.serializer.loads
        for task, frame in answers:
            try:
                value = loads(frame.body)
            except Exception as error:  # a serializer= of users': each task has its end
                errors.append((task, DecodeError(f"{self._server.name}: {error}")))
                continue
            if frame.kind == framing.DONE and task.kind == framing.EACH:
                results.append((task, self._several(task, value)))
            elif frame.kind == framing.DONE:
                results.append((task, value))
            else:
                errors.append((task, _exception(value, self._server.name)))

        def change(pool: Pool, now: float) -> list[tuple[Task, Any]]:
            for task, error in errors:
                pool.raised(task, error, now)
            return pool.finish(results)

        for task, value in self._engine.act(change):
            task.future.set_result(value)

    def _several(self, task: Task, value: Any) -> tuple[list[Any], BaseException | None]:
        """The results of several items, and what the one after them raised."""
        loads = self._launch.serializer.loads
        try:
            before = [loads(body)[0] for body in self._parts.pop(task.number, ())]
            last, told = value
            error = None if told is None else _exception(loads(told), self._server.name)
            return [each for results in (*before, last) for each in results], error
        except (TypeError, ValueError) as error:
            return [], DecodeError(f"{self._server.name}: {error}")

    def _log(self, frame: Frame) -> None:
        stream = "stdout" if frame.kind == framing.OUT else "stderr"
        if stream == "stderr":
            self._process.note(frame.body)
        for line in frame.body.decode("utf-8", "replace").removesuffix("\n").split("\n"):
            try:
                self._launch.on_log(LogLine(self._server.name, frame.number, stream, line))
            except Exception:
                _LOG.exception("on_log= raised")

    def over(self, reason: str, stderr: str) -> None:
        """It has ended."""
        if not self._over:
            self._over = True
            reason = self._refused or reason
            if self._server.host and reason.endswith(" 255"):
                reason += ", which ssh has for a broken connection and for a worker that is killed"
            self._engine.act(lambda pool, now: pool.ended(self._slot, reason, stderr, now))


def _exception(told: Any, server: str) -> BaseException:
    """What a task raised: a registered exception itself, or one of Python's own, made anew."""
    texts = told[:3] if isinstance(told, tuple | list) and len(told) == 5 else ()
    if not texts or not all(isinstance(each, str) for each in texts):
        return DecodeError(f"{server}: what it raised cannot be understood")
    kind, text, trace, args, error = told
    if not isinstance(error, Exception):
        error = _builtin(kind, args)
    if kind.endswith(".Unserializable"):
        return EncodeError(f"{server}: {text}")
    if error is None or isinstance(error, StopIteration):  # which would end a caller's own loop
        return TaskRaised(kind, text, trace)
    made: Exception = error
    made.__cause__ = TaskRaised(kind, f"{text}\n\nat {server}:\n{trace}", trace)
    return made


def _builtin(kind: str, args: Any) -> Exception | None:
    made = getattr(builtins, kind, None)
    if not (isinstance(made, type) and issubclass(made, Exception)):
        return None
    if made is StopIteration:  # it ends generators, and asyncio's futures refuse it
        return None
    if not isinstance(args, tuple | list):
        return None
    with suppress(Exception):  # such as a UnicodeDecodeError without its five
        return made(*args)
    return None
