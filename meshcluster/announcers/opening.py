"""Which ways to be found a member has: all that work here, and at least one."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

from ..config import ClusterConfig
from ..errors import ConfigError
from .base import Announcer
from .mdns import MdnsAnnouncer
from .multicast import MulticastAnnouncer, has_no_network
from .rendezvous import RendezvousAnnouncer

logger = logging.getLogger("meshcluster.announcers")


async def open_announcers(
    config: ClusterConfig,
    *,
    member_id: bytes,
    runtime_dir: Path,
    made: Callable[[Announcer], None] = lambda announcer: None,
) -> list[Announcer]:
    """Opens multicast, where there are UNIX sockets the rendezvous directory, and mDNS if it is
    wanted; ``made`` is called with each before that.

    At ``ttl=0`` the directory suffices: a host without a working loopback interface is warned of.

    Raises:
        ConfigError: a setting that cannot work, or nobody could ever be met.
    """
    multicast = MulticastAnnouncer(
        config.address, config.port, config.ttl, chosen=config.interfaces
    )
    meeting = await _open_rendezvous(config, member_id, runtime_dir, made)
    made(multicast)
    try:
        await multicast.open()
    except ConfigError as error:
        if not meeting or config.ttl > 0 or not has_no_network(error):
            for announcer in meeting:
                announcer.close()
            raise
        logger.warning("no beacons: %s. Members of this user on this host still meet", error)
        return meeting
    except BaseException:
        for announcer in meeting:
            announcer.close()
        raise
    made_mdns = [] if not config.uses_mdns else [_mdns(config, multicast)]
    try:
        for announcer in made_mdns:
            made(announcer)
            await announcer.open()
    except BaseException:
        for opened in (multicast, *meeting):
            opened.close()
        raise
    return [multicast, *meeting, *made_mdns]


def _mdns(config: ClusterConfig, multicast: MulticastAnnouncer) -> MdnsAnnouncer:
    own = None if config.mdns in (None, True) else config.mdns
    return MdnsAnnouncer(config, probed=multicast.port, own=own, used=lambda: multicast.used)


async def close_announcers(announcers: Iterable[Announcer]) -> None:
    """Closes them all, and waits for those that need a moment."""
    for announcer in announcers:
        announcer.close()
    for announcer in announcers:
        if hasattr(announcer, "wait_closed"):
            await announcer.wait_closed()


async def _open_rendezvous(
    config: ClusterConfig, member_id: bytes, runtime_dir: Path, made: Callable[[Announcer], None]
) -> list[Announcer]:
    if not hasattr(socket, "AF_UNIX"):
        return []
    meeting = RendezvousAnnouncer(
        runtime_dir, cluster=config.cluster, address=config.address, port=config.port,
        member_id=member_id,
    )  # fmt: skip
    made(meeting)
    try:
        await meeting.open()
    except (ConfigError, OSError) as error:
        meeting.close()
        logger.warning("members that multicast does not reach will not be met: %s", error)
        return []
    except BaseException:
        meeting.close()
        raise
    return [meeting]
