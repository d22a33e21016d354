"""Anonymous memory that another process of our user can open: made, sealed, found, checked.

It has no name, so it is gone with the last process that has it, however that ends.

The other end opens it as ``/proc/PID/fd/NUMBER``, PID being what the system itself says of the
socket. It is not sent over the socket as a message, because event loops own the socket's reads,
and theirs throw away descriptors that come with the bytes. Where PID cannot be seen or looked
into (another PID namespace, a process that may not be debugged) there is no shared memory.
"""

from __future__ import annotations

import mmap
import os
from contextlib import suppress
from pathlib import Path

from ..wire.notices import TOKEN_BYTES, Offer

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

RING_BYTES = 4 * 1024 * 1024 + 4096
"""No multiple of any size of huge pages: these may be missing when they are touched, which ends the
process that touches them (SIGBUS)."""

HUGE_BYTES = 64 * 1024
MOST_BYTES = 16 * 1024 * 1024
"""No larger memory is taken from the other end."""

_NAME = "meshcluster"
AVAILABLE = hasattr(os, "memfd_create") and hasattr(fcntl, "F_ADD_SEALS")


class Memory:
    """Memory of ours, to be offered. ``close`` ends it; what is mapped stays until ``unmap``.

    Raises:
        OSError: the system gives none.
    """

    def __init__(self) -> None:
        self.token = os.urandom(TOKEN_BYTES)
        self.descriptor = os.memfd_create(_NAME, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(self.descriptor, RING_BYTES)
            fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, _seals())
            self._map = mmap.mmap(self.descriptor, RING_BYTES)
        except (OSError, ValueError):
            os.close(self.descriptor)
            raise
        self._map[:TOKEN_BYTES] = self.token
        self.view = memoryview(self._map)

    def close(self) -> None:
        """Nobody can open it any more."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def unmap(self) -> None:
        """Lets go of it."""
        self.close()
        self.view.release()
        self._map.close()


def opened(pid: int, offer: Offer) -> mmap.mmap | None:
    """What a process of our user offers, to be read; None: it cannot be had, or is not fit.

    Only what can neither be cut short nor lack pages is mapped, for reading beyond its end would
    end us. The token proves that it is the very memory that was offered.
    """
    path = Path(f"/proc/{pid}/fd/{offer.descriptor}")
    if not AVAILABLE or not TOKEN_BYTES <= offer.size <= MOST_BYTES or not offer.size % HUGE_BYTES:
        return None
    with suppress(OSError, ValueError):
        if not str(path.readlink()).startswith(f"/memfd:{_NAME}"):
            return None  # opening whatever it is might do something
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            return _mapped(descriptor, offer)
        finally:
            os.close(descriptor)
    return None


def _mapped(descriptor: int, offer: Offer) -> mmap.mmap | None:
    seals = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
    if seals & _seals() != _seals() or os.fstat(descriptor).st_size != offer.size:
        return None
    memory = mmap.mmap(descriptor, offer.size, access=mmap.ACCESS_READ)
    if memory[:TOKEN_BYTES] == offer.token:
        return memory
    memory.close()
    return None


def _seals() -> int:
    return fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
