"""``Shell`` and ``AsyncShell``: run commands on one site, and bring files there and back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ..errors import (
    CommandFailed,
    CommandTimeout,
    ConfigError,
    SiteLost,
    SiteUnreachable,
    SudoFailed,
)
from ..lettering import harmless
from ..ssh.launching import seconds
from ..ssh.server import parse
from .alone import run_alone
from .capture import CAPTURE_BYTES
from .envelope import joined
from .hearing import Hearing, Told
from .limit import Limit
from .process import Script
from .result import CommandResult
from .site import Site, checked
from .ways import Handshakes, Way, way_to

if TYPE_CHECKING:
    from .masters import Masters
    from .passwords import Passwords

T = TypeVar("T")
Stdin = str | bytes | Path | None
SUDO = "sudo "
_LOG = logging.getLogger("meshcluster.jobs")


class Around(Protocol):
    """What a shell of a run shares with the run's other shells."""

    handshakes: Handshakes
    masters: Masters | None
    """None: each command has a connection of its own."""

    @property
    def passwords(self) -> Passwords:
        """Of sites that have none of their own."""

    def keep(self, task: asyncio.Task[Any]) -> None:
        """It outlives the action that has begun it, and is ended with the run."""


class Alone:
    """A shell that is in no run."""

    def __init__(self) -> None:
        self.handshakes = Handshakes()
        self.masters: Masters | None = None
        self._passwords: Passwords | None = None

    @property
    def passwords(self) -> Passwords:
        """See ``Around``."""
        if self._passwords is None:
            from .passwords import Passwords

            self._passwords = Passwords()
        return self._passwords

    def keep(self, task: asyncio.Task[Any]) -> None:
        """See ``Around``."""
        task.cancel()
        raise ConfigError("detach=True: in an action of a job, whose run ends it at last")


def site_of(host: str | Site | None, config: Mapping[str, Any]) -> Site:
    """The site that is meant by ``[USER@]HOST[:PORT]``, and what else is said of it.

    Raises:
        ConfigError: it is none.
    """
    if isinstance(host, Site):
        if config:
            raise ConfigError(f"{next(iter(config))}=: the site {host.name!r} says that itself")
        return host
    given = checked("Shell", None, config)
    if host is not None:
        if not isinstance(host, str):
            raise ConfigError(f"Shell({host!r:.80}): [USER@]HOST[:PORT], a Site, or nothing")
        server = parse(host)
        named = {"host": server.host, "user": server.user, "port": server.port}
        given = {**given, **{key: value for key, value in named.items() if value is not None}}
    name = str(given.pop("name", "") or host or given.get("host") or "local")
    return Site(name, (name,), {**given, "name": name})


class AsyncShell:
    """Runs commands on one site; for an event loop. See ``Shell``, whose methods these are."""

    def __init__(
        self, host: str | Site | None = None, *, stdout: Any = None, stderr: Any = None,
        log: Any = None, **config: Any,
    ) -> None:  # fmt: skip
        self._set(site_of(host, config), Told(stdout, stderr, log), Alone())

    def _set(self, site: Site, told: Told, around: Around) -> None:
        self.site = site
        self._told = told
        self._around = around
        self._way: Way = way_to(site, around.handshakes, around.masters)
        self._during: Callable[[], AbstractContextManager[object]] = nullcontext

    @classmethod
    def of(
        cls, site: Site, told: Told, around: Around,
        during: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> AsyncShell:  # fmt: skip
        """The shell of an action: whatever it does is within a ``during()``."""
        shell = cls.__new__(cls)
        shell._set(site, told, around)
        shell._during = during
        return shell

    @property
    def name(self) -> str:
        """The site's name."""
        return self.site.name

    @property
    def remote(self) -> bool:
        """It is another machine's, or a member's."""
        return self.site.via != "local"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.site.name} {self.site.address}>"

    async def run(
        self, command: str | Sequence[str], *, check: bool = True, timeout: float | None = None,
        cwd: str | None = None, env: Mapping[str, str] | None = None, stdin: Stdin = None,
        limit: int = CAPTURE_BYTES, tail: bool = False, quiet: bool = False, silent: bool = False,
        detach: bool = False,
    ) -> CommandResult:  # fmt: skip
        """Runs a command, or several each of which begins when the one before has succeeded.

        Args:
            command: for the site's ``sh``. A text that begins with "sudo " is given to ``sudo``.
            check: another status than 0 is an error; else it is in the result.
            timeout: seconds; then the command is ended. Waiting for a password does not count.
            cwd: where it runs, by default where the site's config says; "~/" is the home there.
            env: variables, besides the site's.
            stdin: what it reads: a text, bytes, or the path of a file here.
            limit: so many bytes of its output are in the result, and of its errors; the first.
            tail: the first half of so many and the last half.
            quiet: its output is not shown, only in the result.
            silent: neither is what it writes as errors.
            detach: does not wait for its end; what runs when the run ends is ended then.

        Raises:
            CommandFailed: it ended with another status than 0, or by a signal.
            CommandTimeout: it took too long.
            SiteUnreachable: it was not begun.
            SiteLost: it was begun, and the way there was lost: it may have been done, or in part.
            ConfigError: it cannot be like that.
        """
        if isinstance(command, str) and command.lstrip().startswith(SUDO):
            rest = command.lstrip().removeprefix(SUDO).lstrip()
            if not rest.startswith("-"):
                return await self.sudo(
                    rest, check=check, timeout=timeout, cwd=cwd, env=env, stdin=stdin, limit=limit,
                    tail=tail, quiet=quiet, silent=silent, detach=detach,
                )  # fmt: skip
        script = self._script(joined(command), cwd, env, stdin, None)
        hearing = Hearing(self.site, self._told, script, limit, tail, quiet, silent)
        return await self._conduct(script, hearing, check, timeout, detach)

    async def sudo(
        self, command: str | Sequence[str], *, user: str = "", check: bool = True,
        timeout: float | None = None, cwd: str | None = None, env: Mapping[str, str] | None = None,
        stdin: Stdin = None, limit: int = CAPTURE_BYTES, tail: bool = False, quiet: bool = False,
        silent: bool = False, detach: bool = False,
    ) -> CommandResult:  # fmt: skip
        """Runs a command as ``run`` does, by sudo: as root, or as ``user``.

        Where sudo asks for a password it gets one of the site's ``passwords``, or of the run's.

        Raises:
            SudoFailed: there is no password, or none that is right; or the user may not.
            CommandFailed, CommandTimeout, SiteUnreachable, SiteLost, ConfigError: as ``run``.
        """
        script = self._script(joined(command), cwd, env, stdin, user)
        passwords = self.site.get("passwords") or self._around.passwords
        tries = passwords.tries(self.site.name, user)
        hearing = Hearing(self.site, self._told, script, limit, tail, quiet, silent, tries)
        return await self._conduct(script, hearing, check, timeout, detach)

    async def upload(
        self, sources: str | Path | Sequence[str | Path], dest: str, *, mirror: bool = False,
        args: Sequence[str] = (), timeout: float | None = None,
    ) -> None:  # fmt: skip
        """Brings files and directories of this machine there, as rsync does: ``dir`` as a
        directory, ``dir/`` what is in it.

        Args:
            sources: one or several, from the current directory; "~/" is the home directory here.
            dest: where to, from the site's ``cwd`` or, without one, from where its commands start:
                the login directory behind ssh. "~/" is the home directory there. One file, and a
                name that does not end with "/" and is no directory: what it is called there. The
                directory that ``dest`` is in must be there.
            mirror: what is there in the directories that are brought, and is not in them here, is
                deleted, after all else was brought.
            args: more arguments for rsync; there is no doing without rsync then.
            timeout: seconds.

        Where rsync is missing at either end, and to members, tar is used: then times are in whole
        seconds, and the files are of the user there.

        Raises:
            TransferFailed: it was not brought, or must not be: an empty source, or the root or home
                directory, are mirrored by nobody.
            CommandTimeout, SiteUnreachable, SiteLost, ConfigError: as ``run``.
        """
        from .transfer import Transfer

        transfer = Transfer(self, self._way, mirror, args)
        with self._during():
            await self._limited(lambda: transfer.up(sources, dest), timeout, f"upload to {dest}")

    async def download(
        self, sources: str | Sequence[str], dest: str | Path, *, mirror: bool = False,
        args: Sequence[str] = (), timeout: float | None = None,
    ) -> None:  # fmt: skip
        """Brings files and directories from there to this machine; as ``upload``, the other way:
        ``dest`` is here. No name is a pattern: ``*`` is a character like others.
        """
        from .transfer import Transfer

        transfer = Transfer(self, self._way, mirror, args)
        what = f"download to {dest}"
        with self._during():
            await self._limited(lambda: transfer.down(sources, dest), timeout, what)

    def note(self, text: str) -> None:
        """A line for the log."""
        self._told.note(self.site, text)

    # --- one command --------------------------------------------------------------------------

    def _script(
        self, command: str, cwd: str | None, env: Mapping[str, str] | None, stdin: Stdin,
        sudo: str | None,
    ) -> Script:  # fmt: skip
        site = self.site
        if not isinstance(env, Mapping | None):
            raise ConfigError(f"env={env!r:.80}: a dict of texts")
        data = (
            stdin.encode("utf-8", "surrogateescape")
            if isinstance(stdin, str)
            else b""
            if stdin is None
            else stdin
        )
        if not isinstance(data, bytes | Path):
            raise ConfigError(f"stdin={stdin!r:.80}: a text, bytes or a Path")
        script = Script(
            command, cwd if cwd is not None else site.get("cwd"),
            {**(site.get("env") or {}), **(env or {})}, site.get("sh") or "sh", data, sudo,
        )  # fmt: skip
        script.check()
        return script

    async def _conduct(
        self, script: Script, hearing: Hearing, check: bool, timeout: float | None, detach: bool
    ) -> CommandResult:
        with self._during():
            limited = self._limited(
                lambda: self._to_the_end(script, hearing, check), timeout, script.command, hearing
            )
            if not detach:
                return await limited
            task = asyncio.create_task(limited)
            self._around.keep(task)
        task.add_done_callback(_note_failure)
        return CommandResult(script.command, self.site.name, None)

    async def _to_the_end(self, script: Script, hearing: Hearing, check: bool) -> CommandResult:
        self.note(f"$ {script.command}")
        try:
            ending = await self._way.run(script, hearing)
        except SudoFailed:
            hearing.refused()
            raise
        except SiteUnreachable as error:
            text = f"{self.site.name} is unreachable: {error}"
            raise SiteUnreachable(text, self.site.name) from error
        finally:
            hearing.end()
        if ending.what == "lost":
            text = f"{self.site.name} was lost while {script.command!r:.80} ran"
            raise SiteLost(text, self.site.name, hearing.result(None))
        result = hearing.result(ending.returncode)
        self.note(f"{result.ending}, {result.seconds:.1f} s")
        if check and not result.ok:
            why = _last_line(result.stderr)
            text = f"{self.site.name}: {script.command!r:.200}: {result.ending}"
            raise CommandFailed(text + (f": {why}" if why else ""), result)
        return result

    async def _limited(
        self, begin: Callable[[], Awaitable[T]], timeout: float | None, what: str,
        hearing: Hearing | None = None,
    ) -> T:  # fmt: skip
        if timeout is not None:
            timeout = seconds("timeout", timeout, 0.0)
        limit = Limit(timeout)
        if hearing is not None:
            hearing.limit = limit
        try:
            async with limit:
                return await begin()
        except TimeoutError as error:
            if not limit.expired or isinstance(error, CommandTimeout):
                raise
            result = None if hearing is None else hearing.result(None)
            text = f"{self.site.name}: {what!r:.200} took longer than {timeout:g} s"
            raise CommandTimeout(text, result) from None


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return harmless(lines[-1][:300]) if lines else ""


def _note_failure(task: asyncio.Task[CommandResult]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _LOG.warning("what was detached: %s", harmless(str(error), keep="\n\t"))


Wait = Callable[[Coroutine[Any, Any, Any]], Any]


class Shell:
    """Runs commands on one site: this machine, a host behind ssh, or a member of the mesh.

    ::

        Shell().run("touch i-was-here")
        print(Shell("ada@example.com").run("uname -a").stdout)

    A command runs by ``sh -c``. Its output is shown as it comes, and the first 64 KiB of it are in
    the result. Behind ssh the user's own client is used with all its configuration; it never asks
    anybody anything. Commands are ended when who waits for them is interrupted or killed.

    Args:
        host: ``[USER@]HOST[:PORT]``, a ``Site``; None: this machine.
        stdout, stderr: what output and errors are written to, anything with ``write``; by default
            those of this process.
        log: what commands and their endings are written to; by default nothing.
        config: as a site's: user, port, identity, cwd, env, passwords and so on.

    Raises:
        ConfigError: it cannot be like that.
    """

    def __init__(
        self, host: str | Site | None = None, *, stdout: Any = None, stderr: Any = None,
        log: Any = None, **config: Any,
    ) -> None:  # fmt: skip
        self._shell = AsyncShell(host, stdout=stdout, stderr=stderr, log=log, **config)
        self._wait: Wait = run_alone

    @classmethod
    def of(cls, shell: AsyncShell, wait: Wait) -> Shell:
        """The shell of a plain function's action: ``wait`` runs a coroutine in the run's loop."""
        made = cls.__new__(cls)
        made._shell, made._wait = shell, wait
        return made

    @property
    def site(self) -> Site:
        """Where its commands run."""
        return self._shell.site

    @property
    def name(self) -> str:
        """The site's name."""
        return self._shell.name

    @property
    def remote(self) -> bool:
        """It is another machine's, or a member's."""
        return self._shell.remote

    def __repr__(self) -> str:
        return repr(self._shell).replace("AsyncShell", "Shell", 1)

    def run(
        self, command: str | Sequence[str], *, check: bool = True, timeout: float | None = None,
        cwd: str | None = None, env: Mapping[str, str] | None = None, stdin: Stdin = None,
        limit: int = CAPTURE_BYTES, tail: bool = False, quiet: bool = False, silent: bool = False,
        detach: bool = False,
    ) -> CommandResult:  # fmt: skip
        """See ``AsyncShell.run``."""
        return self._done(self._shell.run(
            command, check=check, timeout=timeout, cwd=cwd, env=env, stdin=stdin, limit=limit,
            tail=tail, quiet=quiet, silent=silent, detach=detach,
        ))  # fmt: skip

    def sudo(
        self, command: str | Sequence[str], *, user: str = "", check: bool = True,
        timeout: float | None = None, cwd: str | None = None, env: Mapping[str, str] | None = None,
        stdin: Stdin = None, limit: int = CAPTURE_BYTES, tail: bool = False, quiet: bool = False,
        silent: bool = False, detach: bool = False,
    ) -> CommandResult:  # fmt: skip
        """See ``AsyncShell.sudo``."""
        return self._done(self._shell.sudo(
            command, user=user, check=check, timeout=timeout, cwd=cwd, env=env, stdin=stdin,
            limit=limit, tail=tail, quiet=quiet, silent=silent, detach=detach,
        ))  # fmt: skip

    def upload(
        self, sources: str | Path | Sequence[str | Path], dest: str, *, mirror: bool = False,
        args: Sequence[str] = (), timeout: float | None = None,
    ) -> None:  # fmt: skip
        """See ``AsyncShell.upload``."""
        self._done(self._shell.upload(sources, dest, mirror=mirror, args=args, timeout=timeout))

    def download(
        self, sources: str | Sequence[str], dest: str | Path, *, mirror: bool = False,
        args: Sequence[str] = (), timeout: float | None = None,
    ) -> None:  # fmt: skip
        """See ``AsyncShell.download``."""
        self._done(self._shell.download(sources, dest, mirror=mirror, args=args, timeout=timeout))

    def note(self, text: str) -> None:
        """A line for the log."""
        self._shell.note(text)

    def _done(self, work: Awaitable[T]) -> T:
        result: T = self._wait(work)  # type: ignore[arg-type]
        return result
