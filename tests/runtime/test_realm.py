"""By which keys a member speaks, and how its files change them while it runs."""

import asyncio

import pytest

from meshcluster.config import ClusterConfig
from meshcluster.errors import ConfigError
from meshcluster.runtime import realm as module
from meshcluster.runtime.keys import host_key
from meshcluster.runtime.realm import Upkeep, key_of, realm_of, with_room_for_seals
from meshcluster.runtime.secrets import secrets_of
from meshcluster.security.keys import Key
from meshcluster.security.text import new_key, parse_key
from meshcluster.wire.sealed import SEAL_BYTES

SECRET, OTHER = "a secret of our own", "another one of our own"


def realm(secret=(), **config):
    return realm_of(ClusterConfig(**config), secret, secrets_of(secret, {}))


def test_on_one_host_the_host_key_is_required(runtime_dir, caplog):
    found = realm()
    assert found.keyring.required
    assert not found.keyring.is_secret
    assert found.keyring.keys == (Key.of_bytes(host_key(found.place()), "default"),)
    assert found.source is None
    assert caplog.records == []


def test_beyond_the_host_without_a_secret_all_are_taken_which_is_warned_of(caplog):
    found = realm(ttl=1, cluster="lab")
    assert not found.keyring.required
    assert found.keyring.keys == realm(cluster="lab").keyring.keys
    (warning,) = [each.getMessage() for each in caplog.records]
    assert "ttl=1 without secret=" in warning
    assert "'lab'" in warning
    assert "keygen" in warning


@pytest.mark.parametrize("ttl", [0, 1, 32])
def test_with_a_secret_nothing_else_is_understood(ttl, caplog):
    found = realm([SECRET, OTHER], ttl=ttl)
    assert found.keyring.required
    assert found.keyring.is_secret
    keys = [key_of(each.encode(), "default") for each in (SECRET, OTHER)]
    assert found.keyring.keys == tuple(keys)
    assert caplog.records == []
    assert SECRET not in repr(found.keyring.keys)


def test_a_generated_key_is_used_as_it_is_and_a_passphrase_is_stretched():
    key = new_key()
    assert key_of(key.encode(), "default") == Key.of_bytes(parse_key(key), "default")
    assert key_of(SECRET.encode(), "default") == Key.of_secret(SECRET.encode(), "default")
    assert key_of(SECRET.encode(), "default").id != key_of(SECRET.encode(), "other").id


def test_a_key_with_a_slip_is_an_error():
    key = new_key()
    with pytest.raises(ConfigError):
        key_of((key[:-1] + ("a" if key[-1] != "a" else "b")).encode(), "default")


def test_what_is_sealed_fits_a_datagram():
    config = ClusterConfig()
    room = with_room_for_seals(config).limits.datagram_bytes
    assert room + SEAL_BYTES == config.limits.datagram_bytes


# --- while it runs ------------------------------------------------------------------------------


@pytest.fixture
def keep():
    """`keep(realm)` keeps one; all are closed at the end. It counts the changes."""
    kept = []

    def keep(realm):
        changes = []
        upkeep = Upkeep(realm, ClusterConfig(), bytes(16), lambda: changes.append(1))
        kept.append(upkeep)
        upkeep.changes = changes
        return upkeep

    yield keep
    for each in kept:
        each.close()
        each.close()


async def test_a_secrets_file_that_is_edited_changes_the_keys(tmp_path, keep):
    file = tmp_path / "secret"
    file.touch(mode=0o600)
    file.write_text(SECRET)
    found = realm(file)
    assert found.source == file
    upkeep = keep(found)
    file.write_text(f"{OTHER}\n{SECRET}\n")
    for _ in range(2):  # an editor may have been at work at one
        upkeep._following.look()
    keys = [key_of(each.encode(), "default") for each in (OTHER, SECRET)]
    assert found.keyring.keys == tuple(keys)
    assert len(upkeep.changes) == 1


async def test_a_secret_that_was_said_is_not_looked_for_again(keep):
    assert keep(realm(SECRET))._following is None


async def test_another_host_key_is_understood_at_once_and_used_when_all_have_looked(
    runtime_dir, keep, monkeypatch
):
    monkeypatch.setattr(module, "KEEP_SECONDS", 0.01)
    found = realm()
    (old,) = found.keyring.keys
    upkeep = keep(found)
    (runtime_dir / "host-key").unlink()
    new = Key.of_bytes(host_key(runtime_dir), "default")
    upkeep._keeping.look()
    assert found.keyring.keys == (old, new)
    async with asyncio.timeout(10):
        while not upkeep.changes:  # noqa: ASYNC110 - a timer does it
            await asyncio.sleep(0.005)
    assert found.keyring.keys == (new, old)


async def test_who_has_a_secret_does_not_mind_the_host_key(runtime_dir, keep):
    found = realm(SECRET)
    before = found.keyring.keys
    upkeep = keep(found)
    (runtime_dir / "host-key").unlink()
    host_key(runtime_dir)
    upkeep._keeping.look()
    assert found.keyring.keys == before
