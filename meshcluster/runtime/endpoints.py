"""The protocols that a member offers: loaded, and listening, when it joins."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from ..config import ClusterConfig
from ..errors import ConfigError
from ..model import Endpoint
from ..protocols import Context, Link, LinkReceiver, ProtocolHandler, load
from ..protocols.registry import DEFAULT, OPTIONAL, installed
from . import forking

logger = logging.getLogger("meshcluster")

Accept = Callable[[str, Link], LinkReceiver | None]
"""Takes a link that somebody opened, by scheme."""


async def open_endpoints(
    config: ClusterConfig, handlers: dict[str, ProtocolHandler],
    context: Callable[[str], Context], accept: Accept, *, networked: bool,
) -> list[Endpoint]:  # fmt: skip
    """Listens by every protocol, and puts its handler among ``handlers``. What nobody asked for may
    fail, if it is one of several or there is no network.

    Raises:
        ConfigError: a protocol cannot be used here.
        PluginError: one is not known here, or claimed twice.
    """
    endpoints: list[Endpoint] = []
    plugins = installed()
    for scheme in config.protocols or DEFAULT:
        try:
            handler = handlers[scheme] = load(scheme, context(scheme), plugins=plugins)
            endpoints.append(Endpoint(scheme, await _listen(scheme, handler, accept)))
        except ConfigError as error:
            asked = config.protocols is not None or scheme in config.protocol_options
            if asked or scheme == DEFAULT[0] or (networked and scheme not in OPTIONAL):
                raise
            if (failed := handlers.pop(scheme, None)) is not None:
                await failed.close()
            if networked:
                logger.warning("%s. It is not offered", error)
    return endpoints


async def _listen(
    scheme: str, handler: ProtocolHandler, accept: Accept
) -> dict[str, str | int]:  # fmt: skip
    """Begins to listen; returns what is advertised of it."""
    forking.watch(handler)
    try:
        return await handler.listen(partial(accept, scheme))
    except OSError as error:
        raise ConfigError(f"protocol {scheme!r} cannot be used here: {error}") from error
