"""Members of one user meet in the runtime directory, where no network works, not even loopback.

Each member claims a UNIX datagram socket in one directory; whoever looks into it sees who is there.
The same datagrams travel as elsewhere, from and to addresses of the form ``("unix:<name>", 0)``.

Where multicast does its work this costs a look into the directory now and then and sends nothing:
only those are told of us who are not known, and those who are reached in no other way.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import socket
import stat
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..claims import Claim, remove_if_dead
from ..model import UNIX, Address, is_unix, unix_address
from ..wire import codec
from .base import READS_A_TURN, RECEIVE_BYTES, AnnouncerReceiver
from .neighbours import meeting_folder, passed

EAGER_SECONDS = 1.0
"""After the first announcement: so long each one is a reason to look into the directory."""

LOOK_SECONDS = 5.0
"""Between two looks later on. Newcomers come to us; this is for whom they missed."""

RETRIES = 8
RETRY_SECONDS = 0.002
"""The queue of a UNIX datagram socket is short (10 on many systems): what does not fit is tried
again, after pauses that double while nobody reads; in all that is half a second."""

WAITING_DATAGRAMS = 64
"""So many wait for one receiver; then the oldest is lost, as datagrams may be."""

_FULL = (errno.EAGAIN, errno.ENOBUFS)


class RendezvousAnnouncer:
    """A member's socket in the directory of those who share cluster name and beacon group."""

    port = 0

    near_only = True
    """No plain copy of what was sealed for this host is for anybody here."""

    def __init__(
        self, runtime_dir: Path, *, cluster: str, address: str, port: int, member_id: bytes
    ) -> None:
        self._folder = meeting_folder(runtime_dir, cluster, address, port)
        self._name = _name(unix_address(member_id))
        self._claim = Claim(self._folder / f"{self._name}.sock")
        self._file_name = re.compile(r"([0-9a-f]{16})\.sock")
        self._source = re.compile(rf"(?:.*/)?{self._folder.name}/{self._file_name.pattern}")
        self._socket: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._receiver: AnnouncerReceiver | None = None
        self._eager_until: float | None = None
        self._look_at = 0.0
        self._waiting: dict[str, deque[bytes]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._tries = 0
        self.sent = 0
        """Datagrams that were taken by the system."""

    async def open(self) -> None:
        """Claims our name and binds the socket."""
        self._socket = await self._claim.bind(socket.SOCK_DGRAM)

    def start(self, receiver: AnnouncerReceiver) -> None:
        """Begins to read the socket."""
        if self._socket is None:
            return
        self._receiver = receiver
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._read, self._socket)

    def announce(self, data: bytes) -> None:
        """Sends a datagram to the members reached this way and, now and then, to all strangers:
        but no messages, which strangers do not take.
        """
        if self._receiver is None:
            return
        known = list(self._receiver.known())
        for _, address in known:
            if is_unix(address):
                self.send(data, address)
        if not codec.is_message(data) and self._should_look():
            names = {_name(unix_address(member_id)) for member_id, _ in known}
            for name in list(self._strangers(names)):
                self._send(data, name)

    def announce_near(self, data: bytes) -> None:
        """All that is sent this way stays near."""
        self.announce(data)

    def reaches(self, address: Address) -> bool:
        """Every socket in the directory."""
        return is_unix(address)

    def send(self, data: bytes, address: Address) -> None:
        """Sends a datagram; a name that is none leads nowhere."""
        if self._file_name.fullmatch(f"{_name(address)}.sock"):
            self._send(data, _name(address))

    def descriptors(self) -> Iterable[int]:
        """What a forked child must let go of."""
        return self._claim.descriptors()

    def forked(self) -> None:
        """The files are the parent's to remove."""
        self._claim.forked()

    def close(self) -> None:
        """Closes and removes the socket."""
        if self._socket is not None:
            if self._loop is not None:
                self._loop.remove_reader(self._socket)
            self._socket.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._waiting.clear()
        self._claim.release()
        self._socket = self._receiver = None

    # --- looking -----------------------------------------------------------------------------

    def _should_look(self) -> bool:
        """The first announcement is left to multicast, which needs no help as a rule."""
        assert self._loop is not None
        now = self._loop.time()
        if self._eager_until is None:
            self._eager_until = now + EAGER_SECONDS
            return False
        if now >= self._eager_until and now < self._look_at:
            return False
        self._look_at = now + LOOK_SECONDS
        return True

    def _strangers(self, names: set[str]) -> Iterator[str]:
        """The names in the directory that are neither ours nor among these."""
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    found = self._file_name.fullmatch(entry.name)
                    if found and found[1] not in names and found[1] != self._name:
                        if stat.S_ISSOCK(entry.stat(follow_symlinks=False).st_mode):
                            yield found[1]
        except OSError:  # somebody removes the directory: nobody is there
            return

    # --- sending -----------------------------------------------------------------------------

    def _send(self, data: bytes, name: str) -> None:
        """Sends, after what waits for the same receiver already."""
        if name not in self._waiting and self._is_done(data, name):
            return
        self._waiting.setdefault(name, deque(maxlen=WAITING_DATAGRAMS)).append(data)
        self._try_later()

    def _is_done(self, data: bytes, name: str) -> bool:
        """Hands a datagram to the system; False when the receiver has no room for it now."""
        if self._socket is None:
            return True
        path = self._folder / f"{name}.sock"
        try:
            self._socket.sendto(data, os.fspath(path))
            self.sent += 1
        except (ConnectionRefusedError, FileNotFoundError):
            self._nobody_at(path, name)
        except OSError as error:
            return error.errno not in _FULL
        return True

    def _try_later(self) -> None:
        if self._timer is None and self._loop is not None:
            pause = RETRY_SECONDS * 2**self._tries
            self._timer = self._loop.call_later(pause, self._try_again)

    def _try_again(self) -> None:
        self._timer = None
        self._tries += 1
        for name, datagrams in list(self._waiting.items()):
            while datagrams and self._is_done(datagrams[0], name):
                datagrams.popleft()
                self._tries = 0
            if not datagrams:
                self._waiting.pop(name, None)
        if self._tries > RETRIES:
            self._waiting.clear()
        if self._waiting:
            self._try_later()
        else:
            self._tries = 0

    def _nobody_at(self, path: Path, name: str) -> None:
        """Nobody reads that socket: its member is dead, unless it holds its lock."""
        if remove_if_dead(path) and self._receiver is not None:
            self._receiver.datagram_refused((UNIX + name, 0))

    # --- reading -----------------------------------------------------------------------------

    def _read(self, source: socket.socket) -> None:
        for _ in range(READS_A_TURN):
            if self._receiver is None:
                return
            try:
                data, path = source.recvfrom(RECEIVE_BYTES)
            except OSError:
                return
            # A sender without a name of ours could not be answered; it is this user's own.
            found = self._source.fullmatch(path) if isinstance(path, str) else None
            if found:
                self._receiver.datagram_received(data, (UNIX + found[1], 0))
            elif came := passed(data):
                self._receiver.datagram_received(*came)


def _name(address: Address) -> str:
    return address[0].removeprefix(UNIX)
