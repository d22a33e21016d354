"""Which ways to be found a member has: all that work here, and at least one."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from pathlib import Path

from ..config import ClusterConfig
from ..errors import ConfigError
from .base import Announcer
from .door import DoorAnnouncer, is_needed
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
    """Opens multicast and, where there are UNIX sockets, the rendezvous directory; ``made`` is
    called with each before that.

    At ``ttl=0`` the directory suffices: a host without a working loopback interface is warned of.

    Raises:
        ConfigError: a setting that cannot work, or nobody could ever be met.
    """
    meeting = await _open_rendezvous(config, member_id, runtime_dir, made)
    multicast = MulticastAnnouncer(config.address, config.port, config.ttl)
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
    return [multicast, *meeting, *await _open_door(config, made)]


async def _open_door(config: ClusterConfig, made: Callable[[Announcer], None]) -> list[Announcer]:
    if config.observer or not is_needed():
        return []
    door = DoorAnnouncer(config.port, config.ttl)
    made(door)
    await door.open()
    return [door]


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
