"""``There``: small scripts that a transfer has a site run, and what it learns by them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import SiteLost, SiteUnreachable, TransferFailed
from ..lettering import harmless
from .origin import EMPTY, FILE, FULL, MISSING, Origin, shell_word
from .process import Ending, Script, Source
from .ways import Way

if TYPE_CHECKING:
    from .shell import AsyncShell

LAST_BYTES = 4096
LAST_LINES = 3
_KIND = (
    'k() { if [ -d "$1/" ] && { [ "$2" = y ] || [ ! -L "$1" ]; }; then '
    f'if [ -n "$(ls -A "$1/")" ]; then printf "{FULL}\\0"; else printf "{EMPTY}\\0"; fi; '
    f'elif [ "$2" = n ] && {{ [ -e "$1" ] || [ -L "$1" ]; }}; then printf "{FILE}\\0"; '
    f'else printf "{MISSING}\\0"; fi; }}'
)


class Ear:
    """Listens to a program of ours: its output is taken, the last of its errors kept."""

    def __init__(self, take: Callable[[bytes], object]) -> None:
        self._take = take
        self._last = b""

    def began(self) -> None:
        """See ``Listener``."""

    async def wrote(self, stream: str, data: bytes) -> None:
        """See ``Listener``."""
        if stream == "stdout":
            self._take(data)
        else:
            self._last = (self._last + data)[-LAST_BYTES:]

    async def password(self) -> str:
        """See ``Listener``. Nothing of ours is run by sudo."""
        raise AssertionError

    @property
    def errors(self) -> str:
        """The last of what it wrote as errors."""
        return self._last.decode("utf-8", "backslashreplace")

    @property
    def why(self) -> str:
        """The last few lines of that, in one."""
        lines = [line.strip() for line in self.errors.splitlines() if line.strip()]
        return harmless("; ".join(lines[-LAST_LINES:])[:500])


@dataclass(frozen=True, slots=True)
class Facts:
    """What a site says before a transfer.

    Attributes:
        rsync: it has one.
        homes: the home directory, as its name is and as it truly is.
        start: where relative paths start.
        kinds: what there is at each of the sources.
        targets: where each of the targets truly is; "" of one that there is not.
    """

    rsync: bool
    homes: tuple[str, ...]
    start: str
    kinds: tuple[str, ...]
    targets: tuple[str, ...]


class There:
    """Runs scripts at the site of a shell."""

    def __init__(self, shell: AsyncShell, way: Way) -> None:
        self.shell = shell
        self.way = way

    @property
    def name(self) -> str:
        """The site's."""
        return self.shell.site.name

    async def run(
        self, what: str, command: str, take: Callable[[bytes], object], stdin: bytes | Source = b""
    ) -> None:
        """Runs a script; ``what`` it does is said in the error.

        Raises:
            TransferFailed: it ended with another status than 0.
            SiteUnreachable, SiteLost: as ``AsyncShell.run``.
        """
        ear = Ear(take)
        script = Script(command, None, dict(self.shell.site.get("env") or {}), "sh", stdin)
        ending = await self.reached(self.way, script, ear)
        if ending.what == "lost":
            raise SiteLost(f"{self.name} was lost: {what} may have been done in part", self.name)
        if ending.returncode:
            raise TransferFailed(f"{self.name}: {what}: {ear.why or 'failed without a word'}")

    async def reached(self, way: Way, script: Script, ear: Ear) -> Ending:
        """Runs it by some way.

        Raises:
            SiteUnreachable: it was not begun.
        """
        try:
            return await way.run(script, ear)
        except SiteUnreachable as error:
            text = f"{self.name} is unreachable: {error}"
            raise SiteUnreachable(text, self.name) from error

    async def facts(self, sources: Sequence[Origin], targets: Sequence[str]) -> Facts:
        """Asks for them; changes nothing."""
        lines = [
            "command -v rsync >/dev/null && printf 'y\\0' || printf 'n\\0'",
            """printf '%s\\0' "$HOME" "$(cd && pwd -P)" "$(pwd)" """,
            _KIND,
            *(f"k {shell_word(each.path)} {'y' if each.contents else 'n'}" for each in sources),
            *(f'printf "%s\\0" "$(CDPATH= cd {word} 2>/dev/null && pwd -P)"'
              for word in map(shell_word, targets)),
        ]  # fmt: skip
        said = bytearray()
        await self.run("looking at it", "\n".join(lines), said.extend)
        rsync, home, home_truly, start, *rest = said.decode("utf-8", "surrogateescape").split("\0")
        kinds, found = rest[: len(sources)], rest[len(sources) : -1]
        return Facts(rsync == "y", (home, home_truly), start, tuple(kinds), tuple(found))
