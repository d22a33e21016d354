"""A directory for a group of users: members of several users of one host meet there on purpose."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from ..claims import SHARED_MODE, make_shared
from ..errors import ConfigError

GROUP_DIR_VARIABLE = "MESHCLUSTER_GROUP_DIR"


def group_dir(group: str | int) -> Path:
    """The directory where members of this group meet; made with mode 2770 by the first of them.

    Its path depends on the group alone; ``MESHCLUSTER_GROUP_DIR`` overrides it. All that is made in
    it is the group's: sockets, the host key.

    Args:
        group: a group's name, or its number.

    Raises:
        ConfigError: no such group, we are not in it, or the directory is not this group's alone.
    """
    if sys.platform == "win32":
        raise ConfigError(f"group={group!r}: there are no groups of files on Windows; use secret=")
    gid = _number_of(group)
    if os.geteuid() != 0 and gid not in {os.getegid(), *os.getgroups()}:
        advice = f"usermod -aG {group} USER adds one, at the next login"
        raise ConfigError(f"group={group!r}: this process is not in it; {advice}")
    given = os.environ.get(GROUP_DIR_VARIABLE)
    path = Path(given).absolute() if given else Path("/tmp") / f"meshcluster-g{gid}"
    try:
        if not os.path.lexists(path):
            make_shared(path, gid)
        trouble = _trouble(path, gid)
    except OSError as error:
        trouble = f"cannot be made ({error.strerror or error})"
    if trouble:
        raise ConfigError(
            f"group={group!r}: directory {path} {trouble}: have it removed, or set "
            f"{GROUP_DIR_VARIABLE} to one of mode 2770 and group {gid}"
        )
    return path


def _number_of(group: str | int) -> int:
    import grp  # POSIX only

    if isinstance(group, bool) or not isinstance(group, str | int):
        raise ConfigError(f"group={group!r}: a group's name or number")
    if isinstance(group, str):
        try:
            return grp.getgrnam(group).gr_gid
        except (KeyError, ValueError):
            if not group.isascii() or not group.isdecimal():
                raise ConfigError(
                    f"group={group!r}: no such group here ('getent group' lists them)"
                ) from None
    number = int(group)
    if not 0 <= number < 2**32 - 1:
        raise ConfigError(f"group={group!r}: no number of a group")
    return number


def _trouble(path: Path, gid: int) -> str:
    """Why it is not this group's alone, or nothing.

    Who made it is in the group: the system lets nobody give a file to a group they are not in. The
    exception is a directory that has its group from the one it is in, without being asked (setgid,
    or BSD's way); there the maker must be one of the group by the system's own list.
    """
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode):
        return "is not a directory"
    if found.st_gid != gid:
        return f"belongs to group {found.st_gid}"
    if found.st_mode & 0o007:
        return "is open to others"
    if found.st_mode & SHARED_MODE != SHARED_MODE:
        return f"has mode {stat.S_IMODE(found.st_mode):04o}"
    if path.parent.stat().st_gid == gid and not _is_in(found.st_uid, gid):
        return f"was made by user {found.st_uid}, who is not in the group"
    return ""


def _is_in(uid: int, gid: int) -> bool:
    """Whether a user is in a group, or is one that need not be asked: root, or we."""
    import pwd  # POSIX only

    if uid in (0, os.geteuid()):
        return True
    try:
        user = pwd.getpwuid(uid)
    except KeyError:
        return False
    return gid in os.getgrouplist(user.pw_name, user.pw_gid)
