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
"""Of a command and what is around it: Linux takes no argument above 128 KiB."""
_ESCAPE = re.compile(r"\\(?=[\\'!]|$)|!")
_NOT_ALONE = re.compile(r"[;&|#\n\\]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

FEEDER = (
    "trap '' TERM HUP INT PIPE;"
    f'e(){{ kill -TERM -"$1";sleep {GRACE_SECONDS};kill -KILL -"$1"; }};'
    'if [ "$1" = 0 ];then w=;else '
    '{ while sleep 1 4>&- && printf \'%s k\\n\' "$0">&4;do :;done;e "$2"; } >/dev/null & w=$!;fi;'
    'echo "$$ $w";'
    '[ "$1" = 0 ]||head -c "$1" 4>&-;'
    '[ -z "$w" ]||kill -9 "$w";'
    "exec >&- 4>&-;"
    "cat >/dev/null;"
    'e "$2"'
)
"""A process between standard input and the command: gives it so many bytes, then waits for the end
of standard input, at which it ends the group. While it gives and the command does not take, that
end is not to be seen: so it also says something every second, and ends the group when there is
nobody to say it to. First it says the numbers of its processes, so that they can be ended when the
command has.
"""
AROUND = (
    "trap : TERM HUP;"
    '{ sh -c "$4" "$0" "$3" $$|{ '
    "trap : TERM HUP;"
    "read f;"
    "printf '%s b\\n' \"$0\";"
    "printf '%s b\\n' \"$0\">&4;"
    'sh -c \'trap : TERM HUP;("$0" -c "$1" 2>&4 4>&-);exit $?\' "$1" "$2";'
    "s=$?;"
    "kill -9 $f;"
    "printf '%s .\\n' \"$0\";"
    'printf \'%s e %s\\n\' "$0" "$s">&4; }; } 4>&2 2>/dev/null'
)
"""The command between its two marks. What the shell itself has to say of its end is not heard. Who
tells of it is not the command's parent, which some commands end.
"""
LEADING = (
    "kill -0 -$$ 2>/dev/null||! command -v setsid >/dev/null||"
    'exec setsid sh -c "$5" "$0" "$@";eval "$5"'
)
"""Only the leader of a process group can end all of it by its own number: where it is none (behind
sudo, or an ssh server that makes no session) it becomes one first.
"""
KILLED: Final = 128
"""A shell's status of what a signal has ended is this and the signal's number (POSIX 2.8.2)."""
SIGNALS: Final = 64
"""None has a higher number."""


class Mark(NamedTuple):
    """Something the script has said: "began", by each stream; "asks" (sudo, for a password);
    "whole": all that the command wrote to standard output is there; or, by standard error, "ended"
    with its ``returncode``, negative for a signal.
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
            if not isinstance(sudo, str):
                raise ConfigError(f"user={sudo!r:.80}: a name")
            user = ["-u", sudo] if sudo else []
            words = ["sudo", "-S", "-p", f"{self.token} ? ", *user, "--", *words]
        script = "exec " + " ".join(_quoted(word) for word in words)
        if "\0" in script:
            raise ConfigError("a command, its cwd, env, sh and user cannot have NUL in them")
        try:
            size = len(script.encode("utf-8", "surrogateescape"))
        except UnicodeEncodeError:
            raise ConfigError(f"{command!r:.80}: UTF-8 cannot write it") from None
        if size > MOST_BYTES:
            raise ConfigError(
                f"a command of {len(command)} characters: {MOST_BYTES} bytes at most, with all "
                "that is around it; give it as stdin, or upload it as a file"
            )
        return script

    def _exit_trap(self) -> str:
        """Says that the shell ended by itself: a status above 128 is then no signal's. It says no
        more than it must: by then standard error may be a file of the user's.
        """
        return (
            "trap '{ _s=$?;set +x; } 2>/dev/null;"
            f'[ "$_s" -le {KILLED} ]||{{ printf "%s x %s\\n" {self.token} "$_s" >&2;'
            'exit "$_s"; }\' EXIT; '
        )


def _quoted(word: str) -> str:
    """In single quotes. Even there two backslashes and ``\\'`` mean something to fish, and ``!``
    to csh: so these are outside of them, after a backslash.
    """
    word = _ESCAPE.sub(lambda found: f"'\\{found[0]}'", word.replace("'", "'\"'\"'"))
    return f"'{word}'"


def _places(cwd: str | None, env: Mapping[str, str] | None) -> str:
    text = ""
    if not isinstance(env, Mapping | None):
        raise ConfigError(f"env={env!r:.80}: a dict of texts")
    for name, value in (env or {}).items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigError(f"env={name!r}: names are letters, digits and _")
        if not isinstance(value, str):
            raise ConfigError(f"env: {name}={value!r}: a text")
        text += f"export {name}={shlex.quote(value)}; "
    if cwd is not None:
        if not isinstance(cwd, str) or not cwd:
            raise ConfigError(f"cwd={cwd!r:.80}: the path of a directory, a text")
        text += f"CDPATH= cd -- {_path(cwd)} || exit 1; "
    return text


def _path(path: str) -> str:
    """Quoted; but ``~/`` is the home directory there."""
    if path == "~":
        return '"$HOME"'
    if path == "-":  # to cd that is the one before
        return "./-"
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
        self._before = re.compile(rb"%b (?:(b)\n|(\?) |k\n)" % self._token)
        after = rb"%b (?:x (\d{1,9})\n|e (\d{1,9})\n|k\n)" % self._token
        self._after = {"stderr": re.compile(after), "stdout": re.compile(rb"%b \.\n" % self._token)}
        self._held = {"stdout": b"", "stderr": b""}
        self._began = {"stdout": False, "stderr": False}
        self._exited: int | None = None
        self.noise = b""
        """The last of what came before the command began."""

    def take(self, stream: str, data: bytes) -> tuple[bytes, list[Mark]]:
        """What of it the command wrote, and what was told."""
        data = self._held[stream] + data
        written, marks, at = [], [], 0
        while found := self._next(stream).search(data, at):
            written.append(self._passed(stream, data[at : found.start()]))
            at = found.end()
            marks += self._meaning(stream, found)
        rest = data[at:]
        keep = self._unsure(rest)
        self._held[stream] = rest[len(rest) - keep :]
        written.append(self._passed(stream, rest[: len(rest) - keep]))
        return b"".join(written), marks

    def end(self, stream: str) -> bytes:
        """What was held back because it might have been the beginning of a mark."""
        held, self._held[stream] = self._held[stream], b""
        return self._passed(stream, held)

    def _next(self, stream: str) -> re.Pattern[bytes]:
        return self._after[stream] if self._began[stream] else self._before

    def _meaning(self, stream: str, found: re.Match[bytes]) -> list[Mark]:
        if not self._began[stream]:
            return self._beginning(stream, found)
        return [Mark("whole")] if stream == "stdout" else self._ended(found)

    def _beginning(self, stream: str, found: re.Match[bytes]) -> list[Mark]:
        began, asks = found.groups()
        if asks:
            return [Mark("asks")]
        self._began[stream] = self._began[stream] or bool(began)
        return [Mark("began")] if began else []

    def _ended(self, found: re.Match[bytes]) -> list[Mark]:
        exited, ended = found.groups()
        if exited:
            self._exited = int(exited)
        if not ended:
            return []
        status = int(ended)
        by_signal = KILLED < status <= KILLED + SIGNALS and self._exited != status
        return [Mark("ended", KILLED - status if by_signal else status)]

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
