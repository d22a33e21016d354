"""``Process``: a worker's process, here or behind the ssh client, and what it says."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

from .far import framing
from .far.framing import Frame, FramingError, Splitter

STDERR_BYTES = 8192
"""The last of what a worker wrote there is kept."""
NOISE_BYTES = 65536
"""So much may come before the hello: what a login shell prints."""
END_SECONDS = 2.0
"""Each step of ending: the end of its input, SIGTERM, SIGKILL."""
READ_BYTES = 1 << 18
LAST_SECONDS = 0.3
"""When its output has ended, its exit status and last words are waited for, for so long."""
_LOG = logging.getLogger("meshcluster.ssh")


class Hello(NamedTuple):
    """What a worker says of itself."""

    pid: int
    host: str
    python: str
    serializer: str
    callback: bool
    types: tuple[str, ...]
    pings: bool


class Owner(Protocol):
    """Who is told: of ``over`` in the loop's thread, of the others by who reads its answers."""

    def greeted(self, hello: Hello) -> None:
        """The worker is ready."""

    def came(self, frames: list[Frame]) -> None:
        """So many frames came at once."""

    def over(self, reason: str, stderr: str) -> None:
        """It has ended; nothing more comes."""


class Process(asyncio.SubprocessProtocol):
    """One worker; its program is started by ``start``."""

    def __init__(
        self, owner: Owner, loop: asyncio.AbstractEventLoop, body_bytes: int, lock: Any = None
    ) -> None:
        self._owner = owner
        self._loop = loop
        self._splitter = Splitter(body_bytes)
        self._hello: Hello | None = None
        self._noise = b""
        self._tail = b""
        self._broken = ""
        self._over = False
        self.exited = asyncio.Event()
        self.heard_out = asyncio.Event()
        """Nothing that it has said is still to be told."""
        self._ending: asyncio.TimerHandle | None = None
        self._writing = lock or threading.RLock()
        """An engine's own, so that no two locks are taken in two orders."""
        self._in_write = False
        self._seen_behind = 0
        self._handed_over = 0
        """Writes that the loop's thread has yet to take."""
        self._output: socket.socket | None = None
        """Where its answers are read; None where asyncio reads them, or there are no more."""
        self._reader: threading.Thread | None = None
        self._gone = False
        self._fd = -1
        self._transport: Any = None
        self._stdin: Any = None

    def never(self) -> None:
        """It was not started after all."""
        self.exited.set()
        self.heard_out.set()

    async def start(self, argv: Sequence[str], shipment: bytes) -> None:
        """Starts a program. ``shipment`` is what it reads first.

        Raises:
            OSError: it cannot be started.
        """
        options: dict[str, Any] = {}
        theirs = None
        if sys.platform != "win32":
            options["start_new_session"] = True  # Ctrl-C at a terminal is not for the ssh client
            self._output, theirs = socket.socketpair()
            options["stdout"] = theirs
            self._reader = threading.Thread(
                target=self._read, args=(self._output,), name="meshcluster-reader", daemon=True
            )
        try:
            await self._loop.subprocess_exec(lambda: self, *argv, **options)
            if self._reader is not None:
                self._reader.start()
        except (OSError, ValueError, RuntimeError) as error:  # a NUL; no more threads
            self._not_begun()
            raise error if isinstance(error, OSError) else OSError(str(error)) from error
        finally:
            if theirs is not None:
                theirs.close()
        if self._reader is None:
            self.heard_out.set()
        if shipment:
            self._stdin.write(shipment)

    def _not_begun(self) -> None:
        self._over = True
        if self._transport is not None:  # it runs, and nobody could hear it
            self._kill()
        self.exited.set()
        if self._reader is None or self._reader.ident is None:
            self.heard_out.set()
            if self._output is not None:
                self._output.close()
                self._output = None

    def _read(self, output: socket.socket) -> None:
        """In a thread of its own: an answer is there as soon as it can be, without a turn of the
        loop.
        """
        while True:
            try:
                data = output.recv(READ_BYTES)
            except OSError:
                break
            if not data:
                break
            try:
                self._heard(data)
            except Exception as error:  # of users' code that is told
                _LOG.exception("what a worker said could not be taken")
                self._break(repr(error))
        with self._writing:
            output.close()
        with suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(self._end_of_output)

    # --- what asyncio tells -------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        """It has begun."""
        self._transport = transport
        self._stdin = transport.get_pipe_transport(0)
        if sys.platform != "win32" and not self._stdin.is_closing():  # it may be over already
            # Our own: asyncio closes its one when the worker has closed its end, and the number is
            # another file's from then on.
            pipe = self._stdin.get_extra_info("pipe")
            self._fd = -1 if pipe is None else os.dup(pipe.fileno())  # uvloop has none

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """It has said something."""
        if fd == 2:
            self.note(data)
        else:
            self._heard(data)

    def _heard(self, data: bytes) -> None:
        """Bytes of its answers; always in one thread."""
        if self._broken or self._over:
            return
        try:
            frames = list(self._splitter.feed(self._after_hello(data)))
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            self._break(str(error))
            return
        if frames or self._hello is not None:  # also of a part: it is not silent
            self._owner.came(frames)

    def _end_of_output(self) -> None:
        self.heard_out.set()
        self._output = None
        self.pipe_connection_lost(1, None)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """It says nothing more there."""
        if fd == 1 and self._gone:
            self._finish()
        elif fd == 1 and self._ending is None:
            self._ending = self._loop.call_later(LAST_SECONDS, self._finish)

    def process_exited(self) -> None:
        """It has ended; what it said last may still be on its way."""
        self.exited.set()
        if self._over:
            self._close()
        elif self._ending is None:
            self._ending = self._loop.call_later(LAST_SECONDS, self._finish)

    def connection_lost(self, exc: Exception | None) -> None:
        """All of it is over, but for what we read ourselves."""
        self._gone = True
        if self._output is None:
            self._finish()

    def _finish(self) -> None:
        if self._over:
            return
        self._over = True
        if self._output is not None:
            with self._writing, suppress(OSError):
                self._output.shutdown(socket.SHUT_RDWR)  # its reader, if it still waits, ends
        if self._ending is not None:
            self._ending.cancel()
        self._owner.over(self._broken or self._how(), self._tail.decode("utf-8", "replace"))
        if self._transport.get_returncode() is None:
            self._kill()  # and close it when it has ended: closing would reap it behind our back
        else:
            self._close()

    def _close(self) -> None:
        with self._writing:
            self._close_fd()
            self._transport.close()

    def _close_fd(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def is_reading(self) -> bool:
        """Whether this is the thread that reads its answers."""
        return threading.current_thread() is self._reader

    def note(self, data: bytes) -> None:
        """Keeps this with what it wrote to its standard error: a task's own words."""
        self._tail = (self._tail + data)[-STDERR_BYTES:]

    def _how(self) -> str:
        status = self._transport.get_returncode()
        if status is None:
            how = "it has closed its output"
        elif status < 0:
            with suppress(ValueError):
                return f"killed by {signal.Signals(-status).name}"
            return f"killed by signal {-status}"
        else:
            how = f"ended with exit status {status}"
        if self._hello is None:
            noise = self._noise.decode("utf-8", "replace").strip()[-200:]
            how += " before it said hello" + (f"; it said {noise!r}" if noise else "")
        return how

    def _after_hello(self, data: bytes) -> bytes:
        """What came after the hello. Before it login shells may say anything."""
        if self._hello is not None:
            return data
        self._noise += data
        start = self._noise.find(framing.HELLO + b" ")
        if start < 0:
            if len(self._noise) > NOISE_BYTES:
                raise FramingError(f"no worker: it said {self._noise[:60]!r}")
            return b""
        first = next(Splitter(NOISE_BYTES).feed(self._noise[start:]), None)
        if first is None:
            return b""
        rest = self._noise[self._noise.index(b"\n", start) + 1 + len(first.body) :]
        self._hello = _hello(first)
        self._noise = b""
        self._owner.greeted(self._hello)
        return rest

    def _break(self, why: str) -> None:
        """What it says means nothing: it is not heard further."""
        self._broken = why
        self._loop.call_soon_threadsafe(lambda: self.end(politely=False))

    # --- what we tell it ----------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Sends whole frames, from any thread: at once where that can be, so that no other thread
        need wake up for it.
        """
        with self._writing:
            if self._over or self._stdin is None:
                return
            # In the middle of a write garbage may be collected, and what goes cancel a task.
            behind = self._in_write or self._handed_over or self._stdin.get_write_buffer_size()
            if self._fd >= 0 and not behind:
                self._in_write = True
                try:
                    data = data[os.write(self._fd, data) :]
                except BlockingIOError:
                    pass
                except OSError:  # it is gone; that is told when its output ends
                    return
                finally:
                    self._in_write = False
            if data:
                self._handed_over += 1
                self._loop.call_soon_threadsafe(self._write_in_loop, data)

    def is_moving(self) -> bool:
        """Whether some of what is still to be written was taken since this was last asked. A worker
        that is being sent much cannot answer yet.
        """
        before = self._seen_behind
        self._seen_behind = 0 if self._stdin is None else self._stdin.get_write_buffer_size()
        return before > 0 and self._seen_behind != before

    def _write_in_loop(self, data: bytes) -> None:
        with self._writing:
            self._handed_over -= 1
            if not self._stdin.is_closing():
                self._stdin.write(data)

    # --- its end ------------------------------------------------------------------------------

    def end(self, *, politely: bool) -> None:
        """Has it end: politely it is told to, and has ``END_SECONDS`` for each further step."""
        steps: list[Callable[[], None]] = [self._say_bye] if politely else []
        steps += [self._terminate, self._kill] if politely else [self._kill]
        self._step(steps)

    def _step(self, steps: list[Callable[[], None]]) -> None:
        if self._transport is None or self._transport.get_returncode() is not None or not steps:
            return
        steps[0]()
        self._loop.call_later(END_SECONDS, self._step, steps[1:])

    def _say_bye(self) -> None:
        self.write(framing.frame(framing.BYE))
        self._loop.call_soon(self._close_input)

    def _close_input(self) -> None:
        with self._writing:
            self._close_fd()
            self._stdin.close()

    def _terminate(self) -> None:
        self._signal(getattr(signal, "SIGTERM", None))

    def _kill(self) -> None:
        self._signal(getattr(signal, "SIGKILL", None))

    def _signal(self, number: int | None) -> None:
        with suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg") and number is not None:
                pid, inner = self._transport.get_pid(), self._hello.pid if self._hello else 0
                with suppress(OSError, OverflowError):
                    # Behind a shell it has a group of its own; in our session nobody else has.
                    if inner > 1 and inner != pid and os.getsid(inner) == pid:
                        os.killpg(inner, number)
                os.killpg(pid, number)
            else:
                self._transport.kill()


def _hello(frame: Frame) -> Hello:
    if frame.number != framing.PROTOCOL:
        raise FramingError(f"a worker of protocol {frame.number}; this is {framing.PROTOCOL}")
    told = json.loads(frame.body)
    if not isinstance(told, dict):
        raise FramingError("a hello that is no JSON object")
    types = told.get("types", ())
    return Hello(
        pid=int(told.get("pid", 0)), host=str(told.get("host", "")),
        python=str(told.get("python", "")), serializer=str(told.get("serializer", "")),
        callback=bool(told.get("callback", True)),
        types=tuple(map(str, types)) if isinstance(types, list) else (),
        pings=bool(told.get("pings", True)),
    )  # fmt: skip
