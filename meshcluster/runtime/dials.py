"""The dials under way: one task each, which a handler's ``dial`` runs in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial

from ..errors import ClusterError
from ..node.effects import CancelDial, DialEndpoint
from ..node.links import REFUSED
from ..protocols.base import Link, LinkReceiver, ProtocolHandler

logger = logging.getLogger("meshcluster")


class Dials:
    """Begins and cancels dials. ``accept`` is told of each link, ``failed`` why there is none."""

    def __init__(
        self, handlers: Mapping[str, ProtocolHandler],
        accept: Callable[[str, int, Link], LinkReceiver | None],
        failed: Callable[[int, str], None],
    ) -> None:  # fmt: skip
        self._handlers = handlers
        self._accept = accept
        self._failed = failed
        self._loop = asyncio.get_running_loop()  # which may be stopped when a dial begins
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def begin(self, effect: DialEndpoint) -> None:
        """Dials an endpoint."""
        task = self._loop.create_task(self._dial(effect))
        self._tasks[effect.number] = task
        task.add_done_callback(lambda _: self._tasks.pop(effect.number, None))

    async def _dial(self, effect: DialEndpoint) -> None:
        scheme = effect.endpoint.scheme
        accept = partial(self._accept, scheme, effect.number)
        try:
            await self._handlers[scheme].dial(effect.address, effect.endpoint, accept)
            return
        except (ConnectionRefusedError, ConnectionResetError):  # reset: while its process ends
            reason = REFUSED
        except (OSError, ClusterError) as error:
            reason = str(error)
        except Exception as error:  # a third party's handler
            logger.exception("protocol %s broke while dialling", scheme)
            reason = repr(error)
        self._failed(effect.number, reason)

    def cancel(self, effect: CancelDial) -> None:
        """Gives one up."""
        task = self._tasks.pop(effect.number, None)
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        """Gives all up."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
