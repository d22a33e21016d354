"""The realm a member belongs to: where its user's members meet on this host, and by which keys."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ..config import ClusterConfig
from ..security.keyring import MOST_KEYS, Keyring
from ..security.keys import Key
from ..security.text import is_key, parse_key
from ..wire.sealed import SEAL_BYTES
from . import host
from .group import group_dir
from .keeping import KEEP_SECONDS, Keeping
from .keys import host_key

logger = logging.getLogger("meshcluster")

OPEN_MESH = (
    "ttl=%d without secret=: whoever is on the network can join mesh %r, read and send. "
    "'meshcluster keygen' makes a secret; docs/security.md says what it changes"
)


@dataclass(frozen=True, slots=True)
class Realm:
    """``place`` gives the directory, and sees each time that it is ours; ``host_key`` is the key
    that lies there.
    """

    place: Callable[[], Path]
    host_key: bytes
    keyring: Keyring

    def keep(self, config: ClusterConfig, member_id: bytes, changed: Callable[[], None]) -> Keeping:
        """Has a member's files and the host key kept in use, from now on, in the running loop.

        Where another key lies there one day (the old one was removed, and somebody was quicker than
        we), it is understood at once. It seals once everybody has had a look; then ``changed`` is
        called.
        """
        loop = asyncio.get_running_loop()

        def found(host_key: bytes) -> None:
            key = Key.of_bytes(host_key, config.cluster)
            if not self.keyring.is_secret and len(self.keyring.keys) < MOST_KEYS:
                self.keyring.add(key)
                loop.call_later(2 * KEEP_SECONDS, use, key)

        def use(key: Key) -> None:
            self.keyring.use(key.id)
            changed()

        keeping = Keeping(self.place, self.host_key, member_id, found)
        keeping.start()
        return keeping


def realm_of(config: ClusterConfig, secrets: Sequence[bytes]) -> Realm:
    """By its secrets, if there are any; else by the host key, which every member of one user (or of
    one group) on this host has. Beyond the host members without a secret are open to all, which is
    warned of. A passphrase takes about a tenth of a second.

    Raises:
        ConfigError: the directory or its key cannot be used.
    """
    place = host.runtime_dir if config.group is None else partial(group_dir, config.group)
    key = host_key(place())
    if secrets:
        keys = [key_of(secret, config.cluster) for secret in secrets]
        return Realm(place, key, Keyring(keys, is_secret=True))
    if config.ttl > 0:
        logger.warning(OPEN_MESH, config.ttl, config.cluster)
    keys = [Key.of_bytes(key, config.cluster)]
    return Realm(place, key, Keyring(keys, required=config.ttl == 0))


def with_room_for_seals(config: ClusterConfig) -> ClusterConfig:
    """The same, but what is sealed fits a datagram as well."""
    room = config.limits.datagram_bytes - SEAL_BYTES
    return replace(config, limits=replace(config.limits, datagram_bytes=room))


def key_of(secret: bytes, cluster: str) -> Key:
    """The key of a secret as its user wrote it: a generated key, or a passphrase.

    Raises:
        ConfigError: it begins as a generated key and is none.
    """
    text = secret.decode()
    if is_key(text):
        return Key.of_bytes(parse_key(text), cluster)
    return Key.of_secret(secret, cluster)
