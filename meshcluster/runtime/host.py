"""What a member needs to know of its machine: runtime directory, host id, names."""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import sys
import tempfile
from pathlib import Path

from ..config import DEFAULT_PORT
from ..errors import ConfigError

RUNTIME_DIR_VARIABLE = "MESHCLUSTER_RUNTIME_DIR"
PORT_VARIABLE = "MESHCLUSTER_PORT"


def runtime_dir() -> Path:
    """The directory where the members of this user meet; made with mode 0700.

    Its path depends on the uid alone, so that a login session, cron and a service of one user
    find each other and nothing is lost at logout. ``MESHCLUSTER_RUNTIME_DIR`` overrides it.

    Raises:
        ConfigError: it is not a directory of our own that only we can enter.
    """
    given = os.environ.get(RUNTIME_DIR_VARIABLE)
    if given:
        path = Path(given).absolute()
    elif sys.platform == "win32":
        path = Path(tempfile.gettempdir()) / "meshcluster"
    else:
        path = Path("/tmp") / f"meshcluster-{os.getuid()}"
    try:
        path.mkdir(mode=0o700, parents=bool(given), exist_ok=True)
        found = path.lstat()
    except FileExistsError:
        raise ConfigError(_advice(path, "is not a directory")) from None
    except OSError as error:
        trouble = f"cannot be made ({error.strerror or error})"
        raise ConfigError(_advice(path, trouble)) from error
    if not stat.S_ISDIR(found.st_mode):
        raise ConfigError(_advice(path, "is not a directory"))
    if sys.platform != "win32":
        if found.st_uid != os.getuid():
            raise ConfigError(_advice(path, f"belongs to user {found.st_uid}"))
        if found.st_mode & 0o077:
            if given:  # it may be anything, /etc among others: it is not ours to change
                raise ConfigError(_advice(path, "is open to others"))
            raise ConfigError(f"runtime directory {path} is open to others: chmod 700 {path}")
    return path


def beacon_port(port: int) -> int:
    """The port of the beacons: ``MESHCLUSTER_PORT`` moves the default one, so that programs that
    name none can be kept apart from others on this host.

    Raises:
        ConfigError: no port number in the variable.
    """
    given = os.environ.get(PORT_VARIABLE)
    if port != DEFAULT_PORT or not given:
        return port
    if not given.isascii() or not given.isdecimal() or not 0 < int(given) < 65536:
        raise ConfigError(f"{PORT_VARIABLE}={given}: 1 to 65535")
    return int(given)


def host_id() -> str:
    """An opaque id of this machine, the same for all its processes, new at each boot of it."""
    try:
        seed = Path("/proc/sys/kernel/random/boot_id").read_bytes()
    except OSError:
        seed = _kept_seed()
    return hashlib.blake2b(b"meshcluster host" + seed.strip(), digest_size=8).hexdigest()


def default_name(member_id: bytes) -> str:
    """What a member is called that was not named: its program, its process, a bit of its id."""
    program = Path(sys.argv[0] or "python").stem if sys.argv else "python"
    if program in ("", "-", "-c", "-m", "__main__"):
        program = "python"
    safe = "".join(c if c.isprintable() else "?" for c in program)
    return f"{safe[:40]}-{os.getpid()}-{member_id[:2].hex()}"


def _kept_seed() -> bytes:
    """Where the system has no boot id: a random number kept in the runtime directory."""
    path = runtime_dir() / "host-id"
    try:
        with open(path, "xb") as file:
            file.write(os.urandom(16).hex().encode())
    except FileExistsError:
        pass
    return path.read_bytes() + socket.gethostname().encode()


def _advice(path: Path, trouble: str) -> str:
    return (
        f"runtime directory {path} {trouble}: set {RUNTIME_DIR_VARIABLE} to a directory of your "
        "own ('mkdir -m 700 DIR' makes one)"
    )
