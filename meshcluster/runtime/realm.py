"""The realm a member belongs to: where its user's members meet on this host, and by which keys."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ..config import ClusterConfig
from ..errors import NotJoined
from ..security.keyring import MOST_KEYS, Keyring
from ..security.keys import Key
from ..security.text import is_key, parse_key
from ..wire.sealed import SEAL_BYTES
from . import host
from .following import Following
from .group import group_dir
from .keeping import KEEP_SECONDS, Keeping
from .keys import host_key
from .secrets import Secret, files_in

logger = logging.getLogger("meshcluster")

OPEN_MESH = (
    "ttl=%d without secret=: whoever is on the network can join mesh %r, read and send. "
    "'meshcluster keygen' makes a secret; docs/security.md says what it changes"
)


@dataclass(frozen=True, slots=True)
class Realm:
    """``place`` gives the directory, and sees each time that it is ours; ``host_key`` is the key
    that lies there, ``secrets`` what our user said, and ``source`` where that may change.
    """

    place: Callable[[], Path]
    host_key: bytes
    keyring: Keyring
    secrets: tuple[bytes, ...] = ()
    source: Secret = None


class Upkeep:
    """What a member of a realm sees to while it runs: that its files are not cleaned away, and what
    the files of its secrets say now. ``changed`` is called when its keys are others.

    Where another host key lies there one day (ours was removed, and somebody was quicker than we),
    it is understood at once, and seals once everybody has had a look.
    """

    def __init__(
        self, realm: Realm, config: ClusterConfig, member_id: bytes, changed: Callable[[], None]
    ) -> None:
        self._keyring = realm.keyring
        self._cluster = config.cluster
        self._changed = changed
        self._keeping = Keeping(realm.place, realm.host_key, member_id, self._other_host_key)
        self._keeping.start()
        self._following: Following | None = None
        if realm.source is not None:
            self._following = Following(realm.source, realm.secrets, self._other_secrets)
            self._following.start()

    def close(self) -> None:
        """Ends it. Idempotent."""
        self._keeping.close()
        if self._following is not None:
            self._following.close()

    def _other_host_key(self, host_key: bytes) -> None:
        key = Key.of_bytes(host_key, self._cluster)
        if not self._keyring.is_secret and len(self._keyring.keys) < MOST_KEYS:
            self._keyring.add(key)
            asyncio.get_running_loop().call_later(2 * KEEP_SECONDS, self._use, key)

    def _use(self, key: Key) -> None:
        with suppress(NotJoined):
            self._keyring.use(key.id)
            self._changed()

    def _other_secrets(self, secrets: Sequence[bytes]) -> None:
        self._keyring.replace([key_of(each, self._cluster) for each in secrets])
        self._changed()


def realm_of(config: ClusterConfig, source: Secret, secrets: tuple[bytes, ...]) -> Realm:
    """By its ``secrets`` (from ``source``), if there are any; else by the host key, which every
    member of one user (or of one group) on this host has. Beyond the host members without a secret
    are open to all, which is warned of. A passphrase takes about a tenth of a second.

    Raises:
        ConfigError: the directory or its key cannot be used.
    """
    place = host.runtime_dir if config.group is None else partial(group_dir, config.group)
    key = host_key(place())
    if secrets:
        keys = [key_of(secret, config.cluster) for secret in secrets]
        return Realm(place, key, Keyring(keys, is_secret=True), secrets, files_in(source))
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
