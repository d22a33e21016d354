"""A process in a namespace, asked line by line."""

import contextlib
import json
import os
import signal
import subprocess
from typing import Any

END_SECONDS = 10


class Process:
    """A program that prints a JSON line once it is ready and one for each line it reads."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.popen = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self._ready = False

    def ready(self) -> None:
        """Waits for what it says first."""
        if not self._ready:
            self._ready = True
            self.reply()

    def ask(self, line: str = "") -> Any:
        """Its reply to a line; a member's is the value of the expression in it (``joined.py``)."""
        self.begin(line)
        return self.reply()

    def begin(self, line: str) -> None:
        """Asks; ``reply`` has the answer."""
        self.ready()
        self.popen.stdin.write(line + "\n")
        self.popen.stdin.flush()

    def reply(self) -> Any:
        """The reply to what was begun."""
        line = self.popen.stdout.readline()
        assert line, "the process has ended"
        return json.loads(line)

    def kill(self) -> None:
        """Ends it as ``kill -9`` does: ip has become the program by exec."""
        self.popen.kill()
        self.popen.wait()

    def pause(self) -> None:
        """Stops it until ``resume``: it does nothing any more when this returns."""
        self.popen.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.popen.pid, os.WSTOPPED)

    def resume(self) -> None:
        """Lets it go on."""
        self.popen.send_signal(signal.SIGCONT)

    def release(self) -> None:
        """Lets it end by itself, whenever that is."""
        with contextlib.suppress(BrokenPipeError):
            self.popen.stdin.close()

    def end(self) -> None:
        """Lets it end by itself, else kills it."""
        self.resume()
        self.release()
        self.popen.stdout.close()
        try:
            self.popen.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
