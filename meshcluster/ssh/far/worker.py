"""``work``: a worker's end. Runs what its caller sends, one task after the other."""

from __future__ import annotations

import builtins
import importlib
import json
import os
import platform
import signal
import sys
import threading
import time
import traceback
from collections import deque
from typing import Any, Callable

try:  # the same without an enum made of what is found, which is most of what that takes
    from _signal import getsignal  # type: ignore[import-not-found]
except ImportError:
    from signal import getsignal

from . import framing
from .framing import Frame, frame
from .listening import Listening
from .output import Output
from .serializer import Serializer, Unserializable

GRACE_SECONDS = 1.0
"""So long a task that runs when the caller is gone may take to end."""
AGAIN_SECONDS = (0.001, 0.01, 0.1, 0.5)
"""After each a task that is to end is told again. A signal that comes just before the main thread
begins to wait for something does not end the waiting.
"""
TOLD_CHARACTERS = 20_000
"""Of a traceback, and of an exception's text, so much is told: the last of it."""

Callback = Callable[[Any], Any]


class TaskCancelled(BaseException):
    """Raised inside a task that its caller has cancelled, or that took too long."""


class Worker:
    """Reads frames in a thread of its own, and runs tasks in the main thread, so that they can be
    interrupted and may place signal handlers.
    """

    def __init__(
        self, source: int, sink: int, serializer: Any, callback: Callback | None,
        setup: Callback | None = None,
    ) -> None:  # fmt: skip
        self._source = source
        self._sink = sink
        self._serializer = serializer
        self._callback = callback
        self._setup = setup
        self._owner = os.getpid()
        self._writing = threading.Lock()
        self._writer = 0
        """The thread that writes a frame."""
        self._later: deque[bytes] = deque()
        """Frames of that same thread, by a finalizer or a signal handler of a task's."""
        self._late = False
        """The running task is to be cancelled when its frame is written."""
        self._inbox: deque[int] = deque()
        self._waiting: dict[int, Frame] = {}
        """Tasks that have not begun. Who takes one out decides about it: the main thread runs it,
        the reading one says that it never began.
        """
        self._running = 0
        self._cancelled = 0
        self._bye = False
        self._limit = framing.BODY_BYTES
        self._functions: dict[str, Callable[..., Any]] = {}
        self._ended = threading.Event()
        self.task = 0
        """The one under way; what is printed is told with it."""
        self.outputs = (
            Output(lambda data: self.send(framing.OUT, self.task, data)),
            Output(lambda data: self.send(framing.ERR, self.task, data)),
        )

    def run(self) -> None:
        """Serves until the caller says goodbye or is gone."""
        before = signal.signal(signal.SIGINT, self._interrupted)
        try:
            self._run()
        finally:
            self._ended.set()
            signal.signal(signal.SIGINT, before or signal.SIG_DFL)

    def _run(self) -> None:
        if self._setup is not None:
            self._setup(self._serializer)
        for output in (sys.stdout, sys.stderr):
            output.flush()  # what was printed before is no word of ours: it is in the real stderr
        sys.stdout, sys.stderr = self.outputs
        hello = {
            "pid": os.getpid(), "host": platform.node(), "python": platform.python_version(),
            "serializer": self._serializer.name, "callback": self._callback is not None,
            "types": list(getattr(self._serializer, "types", ())),
        }  # fmt: skip
        self.send(framing.HELLO, framing.PROTOCOL, json.dumps(hello).encode())
        listening = Listening(self._source, self._take, lambda: self._running, self._alone)
        while not listening.over:
            while self._inbox and not listening.over:
                self._serve(self._inbox.popleft(), listening)
            if self._bye:
                return
            listening.wait()

    def send(self, kind: bytes, number: int = 0, body: bytes = b"", micros: int = 0) -> None:
        """Sends a frame; any thread may."""
        data, me = frame(kind, number, body, micros), threading.get_ident()
        if self._writer == me:
            self._later.append(data)
            return
        with self._writing:
            self._writer = me
            try:
                self._write(data)
                while self._later:
                    self._write(self._later.popleft())
            except OSError:  # nobody reads: the reading thread ends us
                self._later.clear()
            finally:
                self._writer = 0
        if self._late:
            self._late = False
            self._interrupted()

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._sink, rest) :]

    # --- what comes -----------------------------------------------------------------------------

    def _take(self, each: Frame) -> None:
        """A frame. What is not known is skipped: a later caller may say more."""
        if each.kind in (framing.RUN, framing.CALL, framing.EACH):
            self._waiting[each.number] = each
            self._inbox.append(each.number)
        elif each.kind == framing.RECALL:
            self._give_back(each.number)
        elif each.kind == framing.CANCEL:
            if not self._give_back(each.number) and self._running == each.number:
                self._interrupt(each.number)
        elif each.kind == framing.PING:
            self.send(framing.PONG, each.number)
        elif each.kind == framing.LIMIT:
            self._limit = each.number
        elif each.kind == framing.BYE:
            self._bye = True

    def _give_back(self, number: int) -> bool:
        if self._waiting.pop(number, None) is None:
            return False
        self.send(framing.UNBEGUN, number)
        return True

    def _interrupt(self, number: int) -> None:
        """Raises ``TaskCancelled`` in the main thread; a sleep or a read there ends at once."""
        self._cancelled = number
        main = threading.main_thread().ident
        if hasattr(signal, "pthread_kill") and main is not None:
            for pause in AGAIN_SECONDS:
                signal.pthread_kill(main, signal.SIGINT)
                time.sleep(pause)
                if self._running != number:
                    return
        else:
            import _thread

            _thread.interrupt_main()

    def _interrupted(self, *_: Any) -> None:
        if self._running and self._running == self._cancelled:
            if self._writer == threading.get_ident():  # half a frame would be the last to be read
                self._late = True
                return
            self._running = 0
            raise TaskCancelled

    def _alone(self) -> None:
        """The caller is gone, and a task runs. So are we, with whatever it has started."""
        self._waiting.clear()
        if self._running:
            self._interrupt(self._running)
        end_group(signal.SIGTERM if self._ended.wait(GRACE_SECONDS) else signal.SIGKILL)
        os._exit(1)

    # --- one task -------------------------------------------------------------------------------

    def _serve(self, number: int, listening: Listening) -> None:
        began = time.perf_counter()
        before = sys.stdout, sys.stderr
        if getsignal(signal.SIGINT) != self._interrupted:  # a task has replaced it
            signal.signal(signal.SIGINT, self._interrupted)
        try:
            try:
                self._running = self.task = number  # before it is taken: now it can be interrupted
                listening.begin()
                each = self._waiting.pop(number, None)
                if each is None:
                    return
                kind, body = self._outcome(each)
            finally:
                self._running = 0
        except TaskCancelled:
            kind, body = framing.CANCELLED, b""
        sys.stdout, sys.stderr = before
        for output in self.outputs:
            output.give_rest()
        self.task = 0
        self.send(kind, number, body, int((time.perf_counter() - began) * 1e6) + 1)

    def _outcome(self, each: Frame) -> tuple[bytes, bytes]:
        try:
            value = self._compute(each)
            if os.getpid() != self._owner:
                os._exit(0)
            try:
                if each.kind == framing.EACH:
                    body = self._packed(each.number, *value)
                else:
                    body = self._serializer.dumps(value)
            except Unserializable as error:
                error.what = "the result"
                raise
            if len(body) > self._limit:
                raise Unserializable(f"{len(body)} bytes as a result, of {self._limit}")
            return framing.DONE, body
        except TaskCancelled:
            raise
        except BaseException as error:  # sys.exit() and its kin are no end of ours
            if os.getpid() != self._owner:
                _leave_fork(error)
            return framing.RAISED, self._told(error)

    def _compute(self, each: Frame) -> Any:
        value = self._serializer.loads(each.body)
        if each.kind == framing.CALL:
            if self._callback is None:
                raise LookupError("this worker has no callback: give the dispatcher callback=")
            return self._callback(value)
        function, *rest = value
        if isinstance(function, str):
            function = self._function(function)
        if each.kind == framing.EACH:
            return self._each(function, rest[0])
        args, named = rest
        return function(*args, **named)

    def _each(self, function: Callable[..., Any], items: Any) -> tuple[Any, bytes | None]:
        """The results of items up to the first that raises; and what that raised."""
        results = []
        for args in items:
            try:
                results.append(function(*args))
            except TaskCancelled:
                raise
            except BaseException as error:
                return results, self._told(error)
        return results, None

    def _packed(self, number: int, results: Any, told: bytes | None) -> bytes:
        """The answer of several items. What is too large together goes in parts, before it."""
        body: bytes = self._serializer.dumps((results, told))
        if len(body) <= self._limit or len(results) < 2:
            return body
        half = len(results) // 2
        self.send(framing.PART, number, self._packed(number, results[:half], None))
        return self._packed(number, results[half:], told)

    def _function(self, name: str) -> Callable[..., Any]:
        found = self._functions.get(name)
        if found is None:
            found = self._functions[name] = find(name)
        return found

    def _told(self, error: BaseException) -> bytes:
        """What is raised at the caller: kind, text, traceback, arguments, itself if registered."""
        kind = type(error)
        name = kind.__qualname__
        if kind.__module__ != builtins.__name__:
            name = f"{kind.__module__}.{name}"
        try:
            text = str(error)
        except Exception:
            text = "(no text: its __str__ raised)"
        last = "".join(traceback.format_exception(kind, error, _theirs(error)))
        said = (name, text[-TOLD_CHARACTERS:], last[-TOLD_CHARACTERS:])
        args = error.args
        if isinstance(error, OSError) and error.filename is not None:  # which args leaves out
            args = (error.errno, error.strerror, error.filename, None, error.filename2)
        for rest in ((args, error), (args, None)):
            try:
                body: bytes = self._serializer.dumps((*said, *rest))
            except Exception:
                continue
            if len(body) <= self._limit:
                return body
        empty: bytes = self._serializer.dumps((*said, None, None))
        return empty


def _theirs(error: BaseException) -> Any:
    """The traceback without our own frames on top of it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == _theirs.__code__.co_filename:
        trace = trace.tb_next
    return trace


def find(name: str) -> Callable[..., Any]:
    """The function of a name such as ``"package.module:Class.method"``.

    Raises:
        ImportError, AttributeError, ValueError: there is none; the text says what is missing.
    """
    module, colon, path = name.partition(":")
    if not colon or not module or not path:
        raise ValueError(f"{name!r}: a function is named MODULE:FUNCTION")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    if not callable(found):
        raise TypeError(f"{name} is no function but a {type(found).__name__}")
    return found  # type: ignore[no-any-return]


def _leave_fork(error: BaseException) -> None:
    """Ends a child that a task has forked, and that would go on as if it were the worker."""
    status = 1
    if isinstance(error, SystemExit) and (error.code is None or isinstance(error.code, int)):
        status = error.code or 0
    else:
        text = "".join(traceback.format_exception(type(error), error, _theirs(error)))
        os.write(2, text.encode("utf-8", "backslashreplace"))
    os._exit(status & 0xFF)


def end_group(number: int) -> None:
    """Ends what tasks have started and left behind: the rest of our process group; and, by another
    than the main thread, this process.
    """
    if not hasattr(os, "killpg") or os.getpgrp() != os.getpid():
        return
    if threading.current_thread() is not threading.main_thread():
        os.killpg(0, number)  # only the main thread may have us ignore it
        return
    before = signal.signal(number, signal.SIG_IGN)
    os.killpg(0, number)
    signal.signal(number, before or signal.SIG_DFL)


def leave() -> None:
    """Has the process end soon, though threads run on that tasks have left."""
    end = threading.Timer(GRACE_SECONDS, os._exit, (0,))
    end.daemon = True
    end.start()


def work(
    callback: Callback | None = None, *, serializer: Any = None, setup: Callback | None = None
) -> None:
    """Makes this program a worker: it serves the dispatcher that started it, by standard input and
    output, until that says goodbye; then it returns.

    One task at a time, in this thread, which must be the main one. What tasks print goes to the
    caller as log lines. When the caller is gone the process ends, and what it has started.

    Args:
        callback: is given what ``dispatcher(value)`` was, and returns the result. Functions that
            the caller names are found without.
        serializer: as the dispatcher's; by default a ``Serializer``.
        setup: called once with the serializer, before anything else.
    """
    if sys.stdin is None or sys.stdin.isatty():
        raise SystemExit(
            "this program is a worker: a Dispatcher starts it, with command=, and talks to it by "
            "standard input and output"
        )
    if hasattr(os, "setpgid") and os.getpgrp() != os.getpid():
        try:
            os.setpgid(0, 0)
        except OSError:  # a session's leader already
            pass
    source, sink = os.dup(0), os.dup(1)
    if sys.platform == "win32":
        import msvcrt

        for descriptor in (source, sink):
            msvcrt.setmode(descriptor, os.O_BINARY)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # input() finds an end, and takes no frames
    os.close(nothing)
    os.dup2(2, 1)  # what programs print that tasks start
    worker = Worker(source, sink, serializer or Serializer(), callback, setup)
    before = sys.stdout, sys.stderr
    try:
        worker.run()
    finally:
        sys.stdout, sys.stderr = before
        end_group(signal.SIGTERM)
