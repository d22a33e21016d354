"""Sees to it that the files of a member that runs are not cleaned away as old."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ..errors import ConfigError
from .keys import kept_key

logger = logging.getLogger("meshcluster")

KEEP_SECONDS = 60.0
"""Between two looks. A key that was removed is back after so long at most."""


class Keeping:
    """Keeps the host key and a member's sockets in use, from ``start`` to ``close``.

    ``place`` is ``runtime_dir``, or ``group_dir`` of a group: each look sees again that it is ours,
    for once it is gone anybody may make one of that name. ``changed`` is called, in the loop, with
    the key that is there when it is another one: the old one was removed, and somebody who came
    before we looked has made a new one.
    """

    def __init__(
        self, place: Callable[[], Path], key: bytes, member_id: bytes,
        changed: Callable[[bytes], None],
    ) -> None:  # fmt: skip
        self._place = place
        self._key = key
        self._name = member_id[:8].hex()
        self._changed = changed
        self._timer: asyncio.TimerHandle | None = None
        self._complained = False

    def start(self) -> None:
        """Looks now and then, in the running loop."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(KEEP_SECONDS, self._again)

    def close(self) -> None:
        """Looks no more. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def look(self) -> None:
        """Looks once."""
        try:
            directory = self._place()
            found = kept_key(directory, self._key)
            self._freshen(directory)
        except (ConfigError, OSError) as error:
            if not self._complained:
                logger.warning("%s. Members that join later may not be met", error)
            self._complained = True
            return
        self._complained = False
        if found != self._key:
            self._key = found
            self._changed(found)

    def _again(self) -> None:
        self.look()
        self.start()

    def _freshen(self, directory: Path) -> None:
        """Our sockets and their locks have our id as their name, in whatever folder they are."""
        for folder in directory.iterdir():
            for suffix in (".sock", ".lock"):
                with suppress(OSError):
                    os.utime(folder / (self._name + suffix), follow_symlinks=False)
