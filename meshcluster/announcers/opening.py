"""Which ways to be found a member has: all that work here, and at least one."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

from ..config import ClusterConfig
from ..errors import ConfigError, PluginError
from ..model import LOOPBACK
from ..plugins import Plugins
from . import registry
from .base import Announcer, Context
from .door import DoorAnnouncer, is_needed
from .guarded import GuardedAnnouncer
from .mdns import MdnsAnnouncer
from .multicast import MulticastAnnouncer, has_no_network
from .neighbours import Neighbours
from .rendezvous import RendezvousAnnouncer

logger = logging.getLogger("meshcluster.announcers")


Made = Callable[[Announcer], None]


def _unwatched(announcer: Announcer) -> None:
    pass


async def open_announcers(
    config: ClusterConfig, *, member_id: bytes, runtime_dir: Path, made: Made = _unwatched
) -> list[Announcer]:
    """Opens multicast, where there are UNIX sockets the rendezvous directory, mDNS if it is wanted,
    and those of other packages that are named; ``made`` is called with each before that.

    At ``ttl=0`` the directory suffices: a host without a working loopback interface is warned of.

    Raises:
        ConfigError: a setting that cannot work, or nobody could ever be met.
        PluginError: a name in ``announcers`` that is not known here, or is claimed twice.
    """
    named = _find_named(config)
    opened: list[Announcer] = []
    try:
        opened += await _open_rendezvous(config, member_id, runtime_dir, made)
        multicast = await _open_multicast(config, made, alone=not opened)
        if multicast is not None:
            opened.insert(0, multicast)
            if config.uses_mdns:
                mdns = _mdns(config, multicast)
                made(mdns)
                await mdns.open()
                opened.append(mdns)
            opened += await _open_door(config, runtime_dir, made)
        context = _context_of(config, multicast, member_id, runtime_dir)
        for name in config.announcers:
            opened += await _open_named(name, context(name), named, made)
    except BaseException:
        for announcer in opened:
            announcer.close()
        raise
    return opened


async def _open_multicast(
    config: ClusterConfig, made: Made, *, alone: bool
) -> MulticastAnnouncer | None:
    """Opens it; None where the network does not let it, and there are others."""
    multicast = MulticastAnnouncer(
        config.address, config.port, config.ttl, chosen=config.interfaces
    )
    made(multicast)
    try:
        await multicast.open()
    except ConfigError as error:
        if alone or config.ttl > 0 or not has_no_network(error):
            raise
        logger.warning("no beacons: %s. Members of this user on this host still meet", error)
        return None
    return multicast


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


async def _open_door(config: ClusterConfig, runtime_dir: Path, made: Made) -> list[Announcer]:
    if config.observer or not is_needed():
        return []
    neighbours = Neighbours(
        runtime_dir, cluster=config.cluster, address=config.address, port=config.port
    )
    door = DoorAnnouncer(config.port, config.ttl, neighbours)
    made(door)
    await door.open()
    return [door]


async def _open_rendezvous(
    config: ClusterConfig, member_id: bytes, runtime_dir: Path, made: Made
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


# --- of other packages -----------------------------------------------------------------------


def _find_named(config: ClusterConfig) -> Plugins | None:
    """What is installed, if any of it is named; refuses names that nothing can come of."""
    if not config.announcers:
        return None
    plugins = registry.installed()
    for name in config.announcers:
        if name not in plugins.names:
            there = ", ".join(plugins.others) or "none"
            raise PluginError(f"no announcer {name!r} here: there are {there} beside ours")
        plugins.target(name)  # refuses what is claimed twice
        if name in registry.BUILT_IN:
            raise ConfigError(f"announcers={name!r}: ours are always used; name others")
    return plugins


def _context_of(
    config: ClusterConfig, multicast: MulticastAnnouncer | None, member_id: bytes, runtime_dir: Path
) -> Callable[[str], Context]:
    """What announcers of other packages are made with, by name."""

    def addresses() -> tuple[str, ...]:
        if multicast is None or config.ttl == 0:
            return () if multicast is None else (LOOPBACK,)
        used = [each for each in multicast.used if not each.is_loopback]
        found = [a for each in used for a in (*each.v4, *each.v6) if not a.scope_id]
        return tuple(each.ip for each in sorted(found, key=lambda each: each.is_v6))

    return lambda name: Context(
        cluster=config.cluster, group=f"{config.address}:{config.port}", member_id=member_id,
        ttl=config.ttl, port=0 if multicast is None else multicast.port, runtime_dir=runtime_dir,
        addresses=addresses, options=config.announcer_options.get(name, {}),
    )  # fmt: skip


async def _open_named(
    name: str, context: Context, plugins: Plugins | None, made: Made
) -> list[Announcer]:
    """Opens one; where it is broken, that is said and the others are used."""
    announcer = GuardedAnnouncer(name, lambda: registry.load(name, context, plugins=plugins))
    made(announcer)
    try:
        await announcer.open()
    except PluginError as error:
        announcer.close()
        await announcer.wait_closed()
        logger.warning("%s; the other ways to be found are not affected", error, exc_info=error)
        return []
    except BaseException:
        announcer.close()
        raise
    return [announcer]
