"""Messages in datagrams: no links, nothing repeated, nothing in order; for who asks for just that.

They travel on the datagram port that every member has anyway, from there and to there, so this
handler opens nothing. That it is offered says that such messages are taken; the node makes and
understands them (``node/parcels.py``).
"""

from __future__ import annotations

from ..errors import ConfigError
from ..model import UDP, Endpoint
from .base import Accept, Context, Props


class UdpHandler:
    """Has no options."""

    scheme = UDP
    local_only = False

    def __init__(self, context: Context) -> None:
        if context.options:
            raise ConfigError(f"protocol 'udp' has no option {', '.join(context.options)}")

    async def listen(self, accept: Accept) -> Props:
        """Nothing needs to be known: a member's datagram port is."""
        return {}

    async def dial(self, address: str, endpoint: Endpoint, accept: Accept) -> None:
        """There are no links to be opened."""
        raise ConnectionError("udp has no links")

    async def close(self) -> None:
        """Nothing was opened."""
