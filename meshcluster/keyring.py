"""``cluster.keyring``: the keys that a member seals and opens with, and how they are changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

from .errors import ConfigError
from .model import Service
from .runtime.driver import Driver
from .runtime.realm import key_of
from .runtime.secrets import secrets_of
from .security.keyring import Keyring
from .security.keys import Key

Touch = Callable[[Callable[[Driver, float], None]], Any]


class ClusterKeyring(Sequence[str]):
    """The ids of our keys (8 hexadecimal digits each, no secret); the first one seals, each opens.

    A secret is changed while everybody stays, in three steps, each done with every member before
    the next: ``add`` the new one, ``use`` it, ``remove`` the old one. No message is lost by it.
    """

    def __init__(self, read: Callable[[], Driver], touch: Touch) -> None:
        self._read = read
        self._touch = touch

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        return self._ids()[place]

    def __len__(self) -> int:
        return len(self._ids())

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids())

    def __repr__(self) -> str:
        return f"<keyring {', '.join(self._ids())}>"

    def add(self, secret: str | bytes | Path) -> str:
        """Opens what is sealed with this secret as well; returns its key's id. A passphrase takes a
        tenth of a second.

        Raises:
            ConfigError: it cannot be a secret, or there are four keys already.
        """
        key = self._key(secret)
        self._change(lambda keyring: keyring.add(key))
        return key.id.hex()

    def use(self, key: str | bytes | Path) -> None:
        """Seals with this key from now on: its id, or its secret.

        Raises:
            ConfigError: it is not in the keyring: ``add`` it first, with every member.
        """
        key_id = self._id_of(key)
        self._change(lambda keyring: keyring.use(key_id))

    def remove(self, key: str | bytes | Path) -> None:
        """Opens with this key no more: its id, or its secret. Links that were opened by it are
        opened anew.

        Raises:
            ConfigError: it is not in the keyring, or it is the one that seals.
        """
        key_id = self._id_of(key)
        self._change(lambda keyring: keyring.remove(key_id))

    def replace(self, secrets: str | bytes | Path | Sequence[str | bytes | Path]) -> None:
        """Has these secrets from now on, and no others: the first one seals.

        Raises:
            ConfigError: one cannot be a secret, or there are none or too many.
        """
        cluster = self._read().config.cluster
        keys = [key_of(secret, cluster) for secret in secrets_of(secrets, {})]
        if not keys:
            raise ConfigError("a keyring is never empty: leave, and join without a secret")
        self._change(lambda keyring: keyring.replace(keys))

    @property
    def users(self) -> dict[str, tuple[Service, ...]]:
        """Who sealed with which key what was heard of them last; each of our keys is there, and
        nobody uses one that has no members.
        """
        found: dict[str, list[Service]] = {}

        def look(driver: Driver, now: float) -> None:
            found.update({key.id.hex(): [] for key in driver.node.keyring.keys})
            for peer in driver.node.peers:
                if peer.service is not None and peer.key_id.hex() in found:
                    found[peer.key_id.hex()].append(peer.service)

        self._touch(look)
        return {key_id: tuple(services) for key_id, services in found.items()}

    def _ids(self) -> list[str]:
        return [key.id.hex() for key in self._read().node.keyring.keys]

    def _key(self, secret: str | bytes | Path) -> Key:
        found = secrets_of(secret, {})
        if len(found) != 1:
            raise ConfigError(f"one secret at a time, not {len(found)}")
        return key_of(found[0], self._read().config.cluster)

    def _id_of(self, key: str | bytes | Path) -> bytes:
        if isinstance(key, str) and key in self._ids():
            return bytes.fromhex(key)
        return self._key(key).id

    def _change(self, change: Callable[[Keyring], None]) -> None:
        def changed(driver: Driver, now: float) -> None:
            keyring = driver.node.keyring
            if not keyring.is_secret:
                raise ConfigError("this member joined without a secret: join with secret=")
            change(keyring)
            driver.node.keys_changed(now)

        self._touch(changed)
