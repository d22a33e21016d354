"""Follows the files that secrets were read from: who edits one changes the keys of its members."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from ..errors import ConfigError
from .secrets import Secret, secrets_of

logger = logging.getLogger("meshcluster")

LOOK_SECONDS = 5.0
"""Between two looks: a change on many hosts takes longer than that anyway."""


class Following:
    """Looks now and then whether ``source`` (as ``secret=`` takes it) gives other secrets, and
    hands them to ``changed`` once two looks have seen the same: an editor may have been at work in
    between. A file that cannot be used is warned of once; what was read before
    holds.
    """

    def __init__(
        self, source: Secret, secrets: Sequence[bytes],
        changed: Callable[[Sequence[bytes]], None],
    ) -> None:  # fmt: skip
        self._source = source
        self._secrets = self._seen = tuple(secrets)
        self._changed = changed
        self._timer: asyncio.TimerHandle | None = None
        self._trouble = ""

    def start(self) -> None:
        """Looks from now on, in the running loop."""
        self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._again)

    def close(self) -> None:
        """Looks no more. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def look(self) -> None:
        """Looks once."""
        trouble = ""
        try:
            found = secrets_of(self._source, {})
            if found != self._secrets and found == self._seen:
                self._changed(found)
                self._secrets = found
            self._seen = found
        except ConfigError as error:
            trouble = str(error)
        if trouble and trouble != self._trouble:
            logger.warning("%s. The secrets read before are used on", trouble)
        self._trouble = trouble

    def _again(self) -> None:
        self.start()
        self.look()
