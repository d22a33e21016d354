"""Trees of files, for tests of transfers: made, and told as they are."""

import os
import shlex
import shutil
import stat
from pathlib import Path

from tests.ssh.ways import FAKE

TOOLS = (
    "cat", "env", "find", "grep", "head", "ls", "mkdir", "mv", "rm", "setsid", "sh", "sleep", "ssh",
    "tar", "xargs",
)  # fmt: skip
NAMES = ("-dash", "a b", "quo'te\"d", "$HOME `x` \\t", "new\nline", "wild[1]*?", "à:é~", "#")
TIME = 1_600_000_000


def plant(root):
    """Has all that a tree may have; returns it."""
    (root / "empty").mkdir(parents=True)
    (root / "deep" / "er").mkdir(parents=True)
    (root / "deep" / "er" / "big").write_bytes(os.urandom(1 << 10) * (5 << 10))
    for name in NAMES:
        (root / name).write_text(name)
    (root / "run").write_text("#!/bin/sh\n")
    (root / "twin").hardlink_to(root / "run")
    (root / "nothing").touch()
    (root / "near").symlink_to("deep/er")
    (root / "lost").symlink_to("/nowhere/at all")
    (root / "run").chmod(0o751)
    (root / "deep").chmod(0o750)
    (root / "empty").chmod(0o555)
    for folder, _, names in os.walk(root, topdown=False):
        for name in names:
            os.utime(os.path.join(folder, name), (TIME, TIME), follow_symlinks=False)
        os.utime(folder, (TIME + 60, TIME + 60))
    return root


def told(root):
    """What is in a tree: kind and mode, time and contents by name. Its links have no time."""
    found = {}
    for folder, folders, names in os.walk(root):
        for name in (*folders, *names, "."):
            path = os.path.join(folder, name)
            seen = os.lstat(path)
            inside = os.path.relpath(path, root)
            if stat.S_ISLNK(seen.st_mode):
                found[inside] = os.readlink(path)
            else:
                data = Path(path).read_bytes() if stat.S_ISREG(seen.st_mode) else None
                found[inside] = (oct(seen.st_mode), int(seen.st_mtime), data)
    return found


def tools(folder, *more):
    """A directory for PATH, without rsync."""
    folder.mkdir()
    for name in (*TOOLS, *more):
        if (path := shutil.which(name)) is not None:
            (folder / name).symlink_to(path)
    return folder


def client(folder, home, path=None):
    """An ssh client that logs in at a home directory of this test's own, with a PATH of its own;
    there are spaces in its name.
    """
    home.mkdir()
    file = folder / "ssh client"
    path = path or os.environ["PATH"]
    file.write_text(
        f"#!/bin/sh\nexport HOME={shlex.quote(str(home))} PATH={shlex.quote(str(path))}\n"
        f'cd "$HOME"\nexec {shlex.join(FAKE)} "$@"\n'
    )
    file.chmod(0o755)
    return str(file)
