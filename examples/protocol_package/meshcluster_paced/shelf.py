"""Members find each other by a folder that they share: one file each, which holds what its member
announced last, where it answers, and how often it was written.

A file that is not written any more says nothing: its member may have been killed.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from meshcluster import ConfigError
from meshcluster.announcers import AnnouncerReceiver, Context

LOOK_SECONDS = 0.5
FILE_BYTES = 8192
MEMBERS = 256
"""More files than these are not looked at."""


class ShelfAnnouncer:
    """Options: ``folder``, one that all members can write to; by default one of this user's on this
    host, which is the only one for members with ``ttl=0``: of them no other host may hear.
    """

    port = 0  # it has none: others answer at that of their member

    def __init__(self, context: Context) -> None:
        options = dict(context.options)
        folder = options.pop("folder", context.runtime_dir / "shelf")
        if options or not isinstance(folder, str | Path):
            raise ConfigError(f"announcer_options={{'shelf': {dict(context.options)}}}: a folder")
        if context.ttl == 0 and "folder" in context.options:
            raise ConfigError("announcer 'shelf': others may share a folder; with ttl=0 give none")
        mesh = hashlib.blake2b(f"{context.cluster} {context.group}".encode(), digest_size=8)
        self._folder = Path(folder) / mesh.hexdigest()
        self._own = self._folder / f"{context.member_id.hex()}.json"
        self._where: Callable[[], tuple[str, ...]] = context.addresses
        self._answers = context.port
        self._written = 0
        self._seen: dict[str, tuple[int, bytes]] = {}
        self._receiver: AnnouncerReceiver | None = None
        self._looking: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"announcer 'shelf': {self._folder}: {error.strerror}") from error

    def start(self, receiver: AnnouncerReceiver) -> None:
        self._receiver = receiver
        self._look()

    def announce(self, data: bytes) -> None:
        if self._receiver is None:
            return
        self._written += 1
        said = {"said": data.hex(), "at": self._where(), "port": self._answers, "n": self._written}
        new = self._own.with_suffix(".new")
        try:
            new.write_text(json.dumps(said))
            os.replace(new, self._own)  # nobody reads half of it
        except OSError:
            self._receiver.dropped("not written")

    def reaches(self, address: tuple[str, int]) -> bool:
        return False  # who is found is asked by UDP

    def send(self, data: bytes, address: tuple[str, int]) -> None:
        pass

    def close(self) -> None:
        if self._receiver is not None:
            self._own.unlink(missing_ok=True)
        if self._looking is not None:
            self._looking.cancel()
        self._receiver = self._looking = None

    def forked(self) -> None:
        self._receiver = None  # the file is the parent's to remove

    def _look(self) -> None:
        """Reads the others' files, and tells what is new in them."""
        if self._receiver is None:
            return
        self._looking = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)
        files = [path for path in self._folder.glob("*.json") if path != self._own][:MEMBERS]
        for path in files:
            try:
                self._read(path)
            except (OSError, ValueError, TypeError, KeyError):
                self._receiver.dropped("not understood")
        for name in self._seen.keys() - {path.name for path in files}:
            self._receiver.vanished(self._seen.pop(name)[1])

    def _read(self, path: Path) -> None:
        with path.open(encoding="ascii") as file:
            told = json.loads(file.read(FILE_BYTES))
        data, count = bytes.fromhex(told["said"]), int(told["n"])
        if self._receiver is not None and self._seen.get(path.name, (0, b""))[0] != count:
            self._seen[path.name] = count, data
            if told["at"]:  # of several addresses another one each time
                ip = told["at"][count % len(told["at"])]
                self._receiver.hinted(data, (ip, int(told["port"])))
