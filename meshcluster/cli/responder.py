"""Answers questions with a command: a process for each, bounded in time and in what it writes."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from .values import dumped

OUTPUT_BYTES = 8 * 1024 * 1024
"""Who writes more is killed; the asker is told."""

ERROR_BYTES = 1000
"""So much of the end of stderr is kept."""

READ_BYTES = 64 * 1024

END_SECONDS = 1.0
"""How long closing waits for what it has killed."""

LEAVING = "the member is leaving"


class CommandFailed(Exception):
    """The command gave no answer. The asker gets the text in a ``RemoteError``."""


class Responder:
    """Runs ``words`` (no shell) for each question. Safe to use from many threads."""

    def __init__(self, words: Sequence[str], timeout: float) -> None:
        self._words = list(words)
        self._timeout = timeout
        self._running: set[Run] = set()
        self._ended = threading.Condition()
        self._closed = False

    def answer(self, data: object) -> str | bytes:
        """What the command writes, without a last line end; bytes if that is not UTF-8.

        Raises:
            CommandFailed: it ended otherwise than with exit code 0, or was too slow or too long.
        """
        with self._ended:
            if self._closed:
                raise CommandFailed(LEAVING)
            run = Run(self._words, self._timeout)
            self._running.add(run)
        try:
            output = run.communicate(input_of(data))
        finally:
            with self._ended:
                self._running.discard(run)
                self._ended.notify_all()
        try:
            return output.decode().removesuffix("\n")
        except UnicodeDecodeError:
            return output

    def close(self) -> bool:
        """Kills what runs; from now on every question fails. Whether anything ran."""
        with self._ended:
            self._closed = True
            running = list(self._running)
            for run in running:
                run.kill(LEAVING)
            self._ended.wait_for(lambda: not self._running, END_SECONDS)
        return bool(running)


class Run:
    """One process of the command, and all that it starts: they are killed together."""

    def __init__(self, words: list[str], timeout: float) -> None:
        self._end = time.monotonic() + timeout
        self._timeout = timeout
        self._killed = ""
        try:
            self._process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                bufsize=0, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise CommandFailed(f"cannot run {words[0]}: {error.strerror}") from error

    def communicate(self, data: bytes) -> bytes:
        """Feeds the process and collects what it writes until it has ended.

        Raises:
            CommandFailed: see ``Responder.answer``.
        """
        output, trouble = bytearray(), bytearray()
        try:
            self._exchange(memoryview(data), output, trouble)
            self._process.wait(self._left())
        except (TimeoutError, subprocess.TimeoutExpired):
            self.kill(f"took longer than {self._timeout:g} s")
        finally:
            self._finish()
        code = self._process.returncode
        if self._killed or code:
            said = trouble.decode(errors="replace").strip()
            raise CommandFailed((self._killed or _ending(code)) + (f": {said}" if said else ""))
        return bytes(output)

    def kill(self, reason: str) -> None:
        """Ends the process and its children at once."""
        self._killed = self._killed or reason
        if self._process.returncode is None:  # or its number may be another's by now
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _exchange(self, data: memoryview, output: bytearray, trouble: bytearray) -> None:
        into, out, err = self._process.stdin, self._process.stdout, self._process.stderr
        assert into is not None
        with selectors.DefaultSelector() as selector:
            os.set_blocking(into.fileno(), False)
            selector.register(into, selectors.EVENT_WRITE)
            for pipe, kept in ((out, output), (err, trouble)):
                assert pipe is not None
                selector.register(pipe, selectors.EVENT_READ, kept)
            while selector.get_map() and not self._killed:
                for key, _ in selector.select(self._left()):
                    if key.data is None:
                        data = data[self._fed(key.fd, data) :]
                        going = len(data) > 0
                    else:
                        going = self._collected(key.fd, key.data, trouble)
                    if not going:
                        selector.unregister(key.fileobj)
                        if key.data is None:
                            into.close()

    def _fed(self, into: int, data: memoryview) -> int:
        """How much of the question the process took: all, when it does not want any."""
        try:
            return os.write(into, data)
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            return len(data)

    def _collected(self, pipe: int, kept: bytearray, trouble: bytearray) -> bool:
        piece = os.read(pipe, READ_BYTES)
        kept += piece
        if kept is trouble:
            del kept[:-ERROR_BYTES]
        elif len(kept) > OUTPUT_BYTES:
            self.kill(f"wrote more than {OUTPUT_BYTES} bytes")
        return bool(piece)

    def _left(self) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def _finish(self) -> None:
        """Nothing is left of it: no process, no pipe."""
        if self._process.poll() is None:
            self.kill("was interrupted")
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert pipe is not None
            with suppress(OSError):
                pipe.close()


def input_of(data: Any) -> bytes:
    """A question as the command reads it: a str as it is, bytes raw, else JSON."""
    if isinstance(data, bytes):
        return data
    return (data if isinstance(data, str) else dumped(data)).encode()


def _ending(code: int) -> str:
    if code > 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
