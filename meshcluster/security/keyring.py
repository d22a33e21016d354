"""The keys of a member: the first one seals, each of them opens.

So a secret is changed while everybody stays: the new key is added everywhere, then used, then the
old one removed. Read by any thread; each change puts a new tuple in the place of the old one.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import ConfigError
from .keys import Key

MOST_KEYS = 4
"""More would only make a leaked one harder to get rid of."""


class Keyring:
    """``required``: nothing is taken or sent that is not sealed; otherwise what comes from
    members without a key is taken as well, as what it is: nobody's word. ``is_secret``: the keys
    come of a secret of our user's, so who has another one has made a mistake; every user of a host
    has a host key of their own.
    """

    def __init__(
        self, keys: Iterable[Key] = (), *, required: bool = True, is_secret: bool = False
    ) -> None:
        self.keys = tuple(keys)
        self.required = required and bool(self.keys)
        self.is_secret = is_secret

    @property
    def first(self) -> Key | None:
        """The key that seals."""
        keys = self.keys
        return keys[0] if keys else None

    def find(self, key_id: bytes) -> Key | None:
        """The key with this id; None: it is not ours."""
        for key in self.keys:
            if key.id == key_id:
                return key
        return None

    def add(self, key: Key) -> None:
        """Opens with this key as well.

        Raises:
            ConfigError: four are the most.
        """
        if self.find(key.id) is not None:
            return
        if len(self.keys) >= MOST_KEYS:
            raise ConfigError(f"{MOST_KEYS} keys are the most: remove one that nobody uses")
        self.keys += (key,)

    def use(self, key_id: bytes) -> None:
        """Seals with this key from now on.

        Raises:
            ConfigError: it is not in the ring.
        """
        key = self._found(key_id)
        self.keys = (key, *(each for each in self.keys if each is not key))

    def remove(self, key_id: bytes) -> None:
        """Opens with this key no more.

        Raises:
            ConfigError: it is not in the ring, or it is the one that seals.
        """
        key = self._found(key_id)
        if key is self.first:
            raise ConfigError(f"key {key_id.hex()} is in use: use another one first")
        self.keys = tuple(each for each in self.keys if each is not key)

    def _found(self, key_id: bytes) -> Key:
        key = self.find(key_id)
        if key is None:
            there = ", ".join(each.id.hex() for each in self.keys) or "none"
            raise ConfigError(f"key {key_id.hex()} is not in the ring; there are: {there}")
        return key
