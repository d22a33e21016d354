"""Sees to a member's own endpoints: one that others cannot open is dialled from here, and opened
anew if nobody answers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from ..errors import ClusterError
from ..interfaces import LOOPBACK_V6
from ..model import LOOPBACK, Endpoint
from ..node.effects import CheckEndpoint
from ..protocols.base import Link, LinkReceiver, ProtocolHandler
from .dials import race

logger = logging.getLogger("meshcluster")

CHECK_SECONDS = 2.0
"""An own endpoint that does not open in this time is opened anew."""

Accepted = Callable[[str, int | None, Link], LinkReceiver | None]


class Listeners:
    """The checks under way, one for a scheme. ``accept`` is told of each link that others open,
    ``renewed`` of each endpoint that takes the place of another one; ``addresses`` gives ours.
    """

    def __init__(
        self, handlers: Mapping[str, ProtocolHandler], accept: Accepted,
        renewed: Callable[[Endpoint, Endpoint], None], addresses: Callable[[], Iterable[str]],
    ) -> None:  # fmt: skip
        self._handlers = handlers
        self._accept = accept
        self._renewed = renewed
        self._addresses = addresses
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def check(self, effect: CheckEndpoint) -> None:
        """Sees whether an endpoint of ours can be opened, unless that is being seen already."""
        scheme = effect.endpoint.scheme
        if scheme in self._handlers and scheme not in self._tasks:
            task = asyncio.get_running_loop().create_task(self._check(effect.endpoint))
            self._tasks[scheme] = task
            task.add_done_callback(lambda _: self._tasks.pop(scheme, None))

    async def _check(self, endpoint: Endpoint) -> None:
        scheme = endpoint.scheme
        handler = self._handlers[scheme]
        try:
            if await self._opens(handler, endpoint):
                return
            await handler.close()
            props = await handler.listen(partial(self._accept, scheme, None))
        except (OSError, ClusterError) as error:
            logger.warning("%s cannot be opened anew: %s", scheme, error)
            return
        except Exception:  # a third party's handler
            logger.exception("protocol %s broke while it was opened anew", scheme)
            return
        logger.info("%s was opened anew: others could not open it", scheme)
        self._renewed(endpoint, Endpoint(scheme, props))

    async def _opens(self, handler: ProtocolHandler, endpoint: Endpoint) -> bool:
        """Whether it opens at any address of ours: it may be bound to a single one (``host=``)."""
        others = () if handler.local_only else (LOOPBACK_V6, *self._addresses())
        addresses = tuple(dict.fromkeys((LOOPBACK, *others)))
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await race(handler, addresses, endpoint, lambda link: None)
        except OSError:  # a timeout among them
            return False
        return True

    async def close(self) -> None:
        """Gives all up."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
