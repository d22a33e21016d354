"""``Envelope``: the few lines of ``sh`` around a command, and what they tell of it.

A command that is run by ssh cannot be trusted to its exit status: 255 means that the host was not
reached, or that the connection was lost, or that the command ended so. And when the ssh client is
ended, what it had started goes on. So a command is started by a small script that says on standard
error, in lines that begin with a random word, when the command begins (whatever came before is not
the command's: a banner, a login script, sudo's question) and how it ended; and that ends the
command, with all that it started in its process group, as soon as standard input ends, which the
script keeps for itself. It needs ``sh``, ``head -c`` and ``cat``. Here, behind ssh and on members
it is the same.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from ..errors import ConfigError

GRACE_SECONDS = 2
"""Between SIGTERM and SIGKILL."""
MOST_BYTES = 100_000
"""Of a command and what is around it: Linux has a limit of 128 KiB (``MAX_ARG_STRLEN``)."""
_ESCAPE = re.compile(r"\\(?=[\\']|$)")
_NOT_ALONE = re.compile(r"[;&|#\n\\]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

FEEDER = (
    "trap '' TERM HUP INT;"
    "echo $$;"
    '[ "$1" = 0 ]||head -c "$1";'
    "exec >&-;"
    "cat >/dev/null;"
    'kill -TERM -"$2";'
    f"sleep {GRACE_SECONDS};"
    'kill -KILL -"$2"'
)
"""A process between standard input and the command: gives it so many bytes, then waits for the end
of standard input, at which it ends the group. It says its own number first, so that it can be ended
when the command has.
"""
AROUND = (
    "trap : TERM HUP;"
    '{ sh -c "$4" "$0" "$3" $$ 4>&-|{ '
    "trap : TERM HUP;"
    "read f;"
    "printf '%s b\\n' \"$0\";"
    "printf '%s b\\n' \"$0\">&4;"
    '"$1" -c "$2" 2>&4 4>&-;'
    "s=$?;"
    'kill -9 "$f";'
    'printf \'%s e %s\\n\' "$0" "$s">&4; }; } 4>&2 2>/dev/null'
)
"""The command between its two marks. What the shell itself has to say of its end is not heard."""
LEADING = (
    'kill -0 -$$ 2>/dev/null||! command -v setsid >/dev/null||exec setsid sh -c "$5" "$@";eval "$5"'
)
"""Only the leader of a process group can end all of it by its own number: where it is none (behind
sudo, or an ssh server that makes no session) it becomes one first.
"""
KILLED: Final = 128
"""A shell's status of what a signal has ended is this and the signal's number (POSIX 2.8.2)."""


class Mark(NamedTuple):
    """Something the script has said: "began", "asks" (sudo, for a password), or "ended" with the
    command's ``returncode``, negative for a signal.
    """

    what: str
    returncode: int = 0


class Envelope:
    """Around one command. ``token`` is a random word of letters and digits, used once."""

    def __init__(self, token: str) -> None:
        self.token = token

    def script(
        self, command: str, *, cwd: str | None = None, env: Mapping[str, str] | None = None,
        sh: str = "sh", stdin_bytes: int = 0, sudo: str | None = None,
    ) -> str:  # fmt: skip
        """What a shell is to be given, any shell of the Bourne, C or fish kind.

        ``sudo``: the user whose command it is; None: no other.

        Raises:
            ConfigError: it is too long, or has what no command can have.
        """
        inner = f"{self._exit_trap()}{_places(cwd, env)}{command}"
        words = ["sh", "-c", LEADING, self.token, sh, inner, str(stdin_bytes), FEEDER, AROUND]
        if sudo is not None:
            user = ["-u", sudo] if sudo else []
            words = ["sudo", "-S", "-p", f"{self.token} ? ", *user, "--", *words]
        script = "exec " + " ".join(_quoted(word) for word in words)
        if "\0" in script:
            raise ConfigError("a command, its cwd, env, sh and user cannot have NUL in them")
        if len(script.encode("utf-8", "surrogateescape")) > MOST_BYTES:
            raise ConfigError(
                f"a command of {len(command)} characters: {MOST_BYTES} bytes at most, with all "
                "that is around it; give it as stdin, or upload it as a file"
            )
        return script

    def _exit_trap(self) -> str:
        """Says that the shell ended by itself: a status above 128 is then no signal's."""
        return f"trap 'printf \"%s x %s\\n\" {self.token} $? >&2' EXIT; "


def _quoted(word: str) -> str:
    """In single quotes. To fish ``\\\\`` and ``\\'`` mean something even there."""
    word = _ESCAPE.sub("'\"\\\\\\\\\"'", word.replace("'", "'\"'\"'"))
    return f"'{word}'"


def _places(cwd: str | None, env: Mapping[str, str] | None) -> str:
    text = ""
    for name, value in (env or {}).items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigError(f"env={name!r}: names are letters, digits and _")
        if not isinstance(value, str):
            raise ConfigError(f"env: {name}={value!r}: a text")
        text += f"export {name}={shlex.quote(value)}; "
    if cwd is not None:
        text += f"CDPATH= cd -- {_path(cwd)} || exit 1; "
    return text


def _path(path: str) -> str:
    """Quoted; but ``~/`` is the home directory there."""
    if path == "~":
        return '"$HOME"'
    return f'"$HOME"/{shlex.quote(path[2:])}' if path[:2] == "~/" else shlex.quote(path)


def joined(commands: str | Sequence[str]) -> str:
    """The command that several make: each begins when the one before has succeeded.

    Raises:
        ConfigError: not a text or a list of texts, or nothing.
    """
    if isinstance(commands, str):
        texts = [commands]
    elif isinstance(commands, Sequence) and all(isinstance(text, str) for text in commands):
        texts = list(commands)
    else:
        raise ConfigError(f"{commands!r:.80}: a command is a text, or a list of texts")
    if not texts or not all(text.strip() for text in texts):
        raise ConfigError("an empty command")
    if len(texts) == 1:
        return texts[0]
    return " && ".join(f"{{ {text}\n}}" if _NOT_ALONE.search(text) else text for text in texts)


class Reader:
    """Takes what comes on standard error (``errors``) and standard output apart: what came before
    the command began, what it wrote, and the marks of an ``Envelope``.
    """

    def __init__(self, token: str) -> None:
        self._token = token.encode()
        self._mark = re.compile(rb"%b (?:(b)\n|(\?) |x (\d+)\n|e (\d+)\n)" % self._token)
        self._held = {"stdout": b"", "stderr": b""}
        self._began = {"stdout": False, "stderr": False}
        self._exited: int | None = None
        self.noise = b""
        """The last of what came before the command began."""

    def take(self, stream: str, data: bytes) -> tuple[bytes, list[Mark]]:
        """What of it the command wrote, and what was told."""
        if stream == "stdout" and self._began[stream]:
            return data, []
        data = self._held[stream] + data
        written, marks, at = [], [], 0
        for found in self._mark.finditer(data):
            written.append(self._passed(stream, data[at : found.start()]))
            at = found.end()
            mark = self._meaning(stream, found)
            if mark is not None:
                marks.append(mark)
        rest = data[at:]
        keep = 0 if stream == "stdout" and self._began[stream] else self._unsure(rest)
        self._held[stream] = rest[len(rest) - keep :]
        written.append(self._passed(stream, rest[: len(rest) - keep]))
        return b"".join(written), marks

    def end(self, stream: str) -> bytes:
        """What was held back because it might have been the beginning of a mark."""
        held, self._held[stream] = self._held[stream], b""
        return self._passed(stream, held)

    def _meaning(self, stream: str, found: re.Match[bytes]) -> Mark | None:
        began, asks, exited, ended = found.groups()
        if began:
            self._began[stream] = True
            return Mark("began") if stream == "stderr" else None
        if asks:
            return Mark("asks")
        if exited is not None:
            self._exited = int(exited)
            return None
        status = int(ended)
        if status > KILLED and self._exited != status:
            status = KILLED - status
        return Mark("ended", status)

    def _passed(self, stream: str, data: bytes) -> bytes:
        if self._began[stream]:
            return data
        self.noise = (self.noise + data)[-8192:]
        return b""

    def _unsure(self, data: bytes) -> int:
        """How many bytes at the end may be the beginning of a mark."""
        at = data.rfind(self._token)
        if at >= 0 and len(data) - at <= len(self._token) + 16:
            return len(data) - at
        for size in range(min(len(data), len(self._token) - 1), 0, -1):
            if self._token.startswith(data[-size:]):
                return size
        return 0
