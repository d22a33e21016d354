"""Asking a person at the terminal for what must not be seen: ``ask``, and ``Asking``, which can be
given up from another thread. Knows terminals and keys, not what a password is for.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from contextlib import suppress
from contextvars import ContextVar
from typing import ClassVar

from ..errors import Interrupted, SudoFailed

LOOK_SECONDS = 0.1
LINE_BYTES = 4096
"""What is typed beyond is dropped, as a terminal does by itself."""
ENDS, INTERRUPT, ERASE, KILL = b"\r\n\x04", 0x03, b"\x08\x7f", 0x15


class Line:
    """What was typed so far; the keys that take it back work."""

    def __init__(self) -> None:
        self._typed = bytearray()

    def feed(self, keys: bytes) -> bool:
        """Takes keys; True when they end the line (CR, LF or ^D). What is behind is dropped.

        Raises:
            KeyboardInterrupt: ^C was among them.
        """
        for key in keys:
            if key in ENDS:
                return True
            if key == INTERRUPT:
                raise KeyboardInterrupt
            if key == KILL:
                self.wipe()
            elif key in ERASE:
                self._erase()
            elif len(self._typed) < LINE_BYTES:
                self._typed.append(key)
        return False

    def _erase(self) -> None:
        while self._typed and self._typed.pop() & 0xC0 == 0x80:
            pass  # the later bytes of a character in UTF-8

    def text(self) -> str:
        """The line, without its end; bytes that are no UTF-8 come as ``surrogateescape`` has it."""
        return self._typed.decode("utf-8", "surrogateescape")

    def wipe(self) -> None:
        """Makes it empty, and zeroes what was there."""
        self._typed[:] = bytes(len(self._typed))
        self._typed.clear()


if sys.platform == "win32":
    import msvcrt

    TROUBLES: tuple[type[Exception], ...] = (OSError, EOFError)

    class Terminal:
        """The console of this process. Keys are shown by who reads lines only; nobody does here.

        Raises:
            OSError: there is none.
        """

        def __init__(self) -> None:
            with open("CONIN$"):
                self._woken = threading.Event()

        def silence(self) -> None:
            """From here on what is typed is not shown."""

        def say(self, text: str) -> None:
            """Writes."""
            for character in text:
                msvcrt.putwch(character)

        def read(self) -> bytes:
            """Waits for a key; empty when it was woken."""
            while not self._woken.wait(0.0 if msvcrt.kbhit() else LOOK_SECONDS / 2):
                if msvcrt.kbhit():
                    key = msvcrt.getwch()
                    if "\ud800" <= key <= "\udbff":  # half a character; the other half follows
                        pair = (key + msvcrt.getwch()).encode("utf-16-le", "surrogatepass")
                        key = pair.decode("utf-16-le", "replace")
                    return key.encode("utf-8", "replace")
            return b""

        def restore(self) -> None:
            """Ends ``silence``, and whoever reads."""
            if not self._woken.is_set():
                self._woken.set()
                self.say("\r\n")

        def close(self) -> None:
            """Nothing is held."""

else:
    import selectors
    import termios

    TROUBLES = (OSError, EOFError, termios.error)
    # poll knows no terminals on macOS; select knows none with a high number.
    Selector = selectors.SelectSelector if sys.platform == "darwin" else selectors.PollSelector

    class Terminal:
        """The terminal that controls this process, whatever its standard input is.

        It never makes who uses it wait but in ``read``: what is written while the terminal is
        stopped (^S) is dropped.

        Raises:
            OSError, termios.error: there is none.
        """

        def __init__(self) -> None:
            self._fd = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            try:
                self._before = termios.tcgetattr(self._fd)
                self._woken, self._waker = os.pipe()
            except BaseException:
                os.close(self._fd)
                raise
            self._silent = False

        def silence(self) -> None:
            """From here on what is typed is not shown, and ^C is a key like others: it reaches who
            asks, in whatever thread, and not the whole group of processes.
            """
            mode = termios.tcgetattr(self._fd)
            off = termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN
            mode[3] &= ~off
            mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
            self._silent = True
            termios.tcsetattr(self._fd, termios.TCSANOW, mode)
            termios.tcflush(self._fd, termios.TCIFLUSH)  # typed before: it was seen

        def say(self, text: str) -> None:
            """Writes."""
            with suppress(BlockingIOError):
                os.write(self._fd, text.encode("utf-8", "replace"))

        def read(self) -> bytes:
            """Waits for keys; empty when it was woken.

            Raises:
                OSError, EOFError: the terminal is gone.
            """
            with Selector() as selector:
                selector.register(self._fd, selectors.EVENT_READ)
                selector.register(self._woken, selectors.EVENT_READ)
                ready = {key.fd for key, _ in selector.select()}
            if self._woken in ready:
                return b""
            with suppress(BlockingIOError):
                if keys := os.read(self._fd, 256):
                    return keys
                raise EOFError("the terminal hung up")
            return b""

        def restore(self) -> None:
            """Ends ``silence``, and whoever reads. Keys that nobody read are dropped: they may be
            half a password, and would be shown and run by a shell.
            """
            if self._silent:
                self._silent = False
                os.write(self._waker, b"!")
                with suppress(*TROUBLES):  # it is gone
                    termios.tcsetattr(self._fd, termios.TCSANOW, self._before)
                    termios.tcflush(self._fd, termios.TCIFLUSH)
                    self.say("\n")

        def close(self) -> None:
            """Lets go of it."""
            for each in (self._fd, self._woken, self._waker):
                os.close(each)


class Asking:
    """Questions of one who may lose interest: ``give_up`` ends the one that is being asked, from
    any thread, and with it those to come.
    """

    # As there is one terminal for the process: two questions at once would take each other's keys,
    # and the second would find the terminal silent and leave it so.
    _turn: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._given_up = False
        self._terminal: Terminal | None = None

    def use(self) -> None:
        """From here on ``console.ask`` in this thread (or task) is a question of this one."""
        _current.set(self)

    def give_up(self) -> None:
        """Who asks gets Interrupted. When this returns the terminal is as it was before."""
        with self._lock:
            self._given_up = True
            if self._terminal is not None:
                self._terminal.restore()

    def ask(self, prompt: str) -> str:
        """As the function ``ask``."""
        while not self._turn.acquire(timeout=LOOK_SECONDS):
            self._go_on()
        try:
            self._go_on()
            return self._in_turn(prompt)
        finally:
            self._turn.release()

    def _in_turn(self, prompt: str) -> str:
        what = prompt.rstrip(": ")
        try:
            terminal = Terminal()
        except TROUBLES as error:
            raise SudoFailed(
                f"no terminal to ask for the {what}: --sudo-password-file of the command and "
                "Passwords.set() give it beforehand, Passwords(provider=...) asks elsewhere"
            ) from error
        line = Line()
        try:
            atexit.register(self.give_up)  # this thread may be one that is not waited for
            self._begin(terminal)
            terminal.say(prompt)
            while not line.feed(terminal.read()):
                self._go_on()
            return line.text()
        except TROUBLES as error:
            raise SudoFailed(f"the terminal went away at the question for the {what}") from error
        finally:
            line.wipe()
            self._end(terminal)
            atexit.unregister(self.give_up)

    def _begin(self, terminal: Terminal) -> None:
        with self._lock:
            self._go_on()
            self._terminal = terminal
            terminal.silence()

    def _end(self, terminal: Terminal) -> None:
        with self._lock:
            self._terminal = None
            terminal.restore()
            terminal.close()

    def _go_on(self) -> None:
        if self._given_up:
            raise Interrupted("the question at the terminal was given up")


def is_asking() -> bool:
    """Whether a question is at the terminal now: what else is drawn there must wait."""
    return Asking._turn.locked()


_current: ContextVar[Asking | None] = ContextVar("asking", default=None)


def ask(prompt: str) -> str:
    """Asks at the terminal that controls this process; what is typed is not shown.

    The answer ends at CR, LF or ^D; backspace and ^U take back. In any thread: questions of several
    threads come one after the other. However it ends, also by an exception in a signal's handler
    or by the end of the program, the terminal then shows what is typed as before; only what ends
    the process at once (SIGKILL, SIGTERM without a handler, ``os._exit``) leaves it silent.

    Args:
        prompt: what the person sees, such as "sudo password of web1: ".

    Raises:
        KeyboardInterrupt: ^C was typed.
        Interrupted: the question was given up, see ``Asking``.
        SudoFailed: there is no terminal, or it went away.
    """
    return (_current.get() or Asking()).ask(prompt)
