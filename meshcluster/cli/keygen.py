"""``meshcluster keygen``: makes a secret, and puts it where only its user can read it."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

import click

from ..lettering import harmless
from .options import Command, Example, Settings
from .screen import Screen

FILE_MODE = 0o600


@click.command(
    cls=Command,
    examples=(
        Example("meshcluster keygen shop.key", "a new secret in a file, for you alone"),
        Example("meshcluster keygen | ssh otherhost 'umask 077; cat > shop.key'",
                "a new secret that is never on this disk"),
        Example("meshcluster members --secret-file shop.key", "use it"),
    ),
)  # fmt: skip
@click.argument("file", required=False)
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
def command(settings: Settings, file: str | None, force: bool) -> None:
    """Make a secret: a new key of 32 random bytes, as text.

    Without FILE it is written to stdout. With FILE it is written there, with mode 600, complete or
    not at all; a file that is there stays as it is, unless --force is given.

    JSON: key, or file.
    """
    from ..errors import ConfigError
    from ..security.text import new_key

    screen = Screen()
    key = new_key()
    if file is None:
        if settings.json:
            screen.document({"key": key})
        else:
            screen.say(key)
        return
    path = Path(file).absolute()
    try:
        write(path, key + "\n", force=force)
    except FileExistsError:
        advice = "--force replaces it; who uses the old secret is then met no more"
        raise ConfigError(f"{path} is there already: {advice}") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}") from error
    if settings.json:
        screen.document({"file": str(path)})
        return
    shown = harmless(str(path))
    screen.say(f"{shown} has a new secret (mode 600). To use it:")
    screen.say(f"  in a program        meshcluster.join(secret=pathlib.Path({str(path)!r}))")
    screen.say(f"  or its environment  MESHCLUSTER_SECRET_FILE={shown}")
    screen.say(f"  with this command   meshcluster members --secret-file {shown}")
    screen.say("Give it to the other members by a way that nobody sees, such as scp -p.")


def write(path: Path, text: str, *, force: bool) -> None:
    """Writes a file that only its user can read, complete or not at all.

    Raises:
        FileExistsError: there is one, and ``force`` is not given.
        OSError: it cannot be written.
    """
    handle, made = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
    try:
        with open(handle, "w", encoding="utf-8") as file:
            if hasattr(os, "fchmod"):
                os.fchmod(handle, FILE_MODE)
            file.write(text)
            file.flush()
            os.fsync(handle)
        if force:
            os.replace(made, path)
        else:
            os.link(made, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(made)
