"""Secrets are changed while everybody stays, and who still uses which key can be asked."""

import asyncio
from contextlib import AsyncExitStack

import pytest

import meshcluster
from meshcluster import AsyncCluster, ConfigError, NotJoined
from meshcluster.security.text import new_key
from tests.waiting import eventually

OLD, NEW = new_key(), new_key()


@pytest.fixture
async def join(beacon_port):
    async with AsyncExitStack() as stack:

        async def join(name, secret=OLD):
            joining = AsyncCluster().join(name=name, port=beacon_port, secret=secret)
            return await stack.enter_async_context(joining)

        yield join


def names(users):
    return {key: [service.name for service in services] for key, services in users.items()}


async def test_a_secret_is_changed_in_three_steps_and_nobody_leaves(join):
    one, two = members = await join("one"), await join("two")
    heard, lost = [], []
    two.hook("event")(lambda message: heard.append(message.data))
    for each in members:
        each.hook("service.lost")(lost.append)
        await each.wait_for_services()
    (old,) = one.keyring
    (new,) = {each.keyring.add(NEW) for each in members}
    assert list(one.keyring) == [old, new]
    await one.send(1, resolve="two")
    for each in members:
        each.keyring.use(NEW)
        await one.send(2, resolve="two")
    await eventually(lambda: names(one.keyring.users) == {new: ["two"], old: []})
    await eventually(lambda: names(two.keyring.users) == {new: ["one"], old: []})
    for each in members:
        each.keyring.remove(old)
        await one.send(3, resolve="two")
    await eventually(lambda: heard == [1, 2, 2, 3, 3])
    assert list(one.keyring) == list(two.keyring) == [new]
    assert lost == []
    late = await join("late", NEW)
    assert len(await late.wait_for_services(2)) == 2


async def test_a_keyring_reads_as_a_sequence_and_shows_no_secret(join):
    one = await join("one", [OLD, NEW])
    first, second = one.keyring
    assert one.keyring[0] == first
    assert one.keyring[:] == [first, second]
    assert len(one.keyring) == 2
    assert second in one.keyring
    assert repr(one.keyring) == f"<keyring {first}, {second}>"


async def test_all_of_them_are_replaced_at_once(join):
    one = await join("one", [OLD, NEW])
    first, second = one.keyring
    one.keyring.replace([NEW, OLD])
    assert list(one.keyring) == [second, first]
    one.keyring.replace(NEW)
    assert list(one.keyring) == [second]
    with pytest.raises(ConfigError, match="never empty"):
        one.keyring.replace([])


async def test_what_cannot_be_done_is_said(join):
    one = await join("one")
    (old,) = one.keyring
    with pytest.raises(ConfigError, match="is not in the ring"):
        one.keyring.use(NEW)
    with pytest.raises(ConfigError, match="is in use"):
        one.keyring.remove(old)
    with pytest.raises(ConfigError, match="12"):
        one.keyring.add("short")
    with pytest.raises(ConfigError, match="one secret at a time"):
        one.keyring.add([NEW, OLD])
    for _ in range(3):
        one.keyring.add(new_key())
    with pytest.raises(ConfigError, match="4 keys are the most"):
        one.keyring.add(NEW)
    assert one.keyring[0] == old


async def test_a_member_without_a_secret_has_none_to_change(join):
    one = await join("one", ())
    assert len(one.keyring) == 1  # the host key
    for change in (one.keyring.add, one.keyring.replace):
        with pytest.raises(ConfigError, match="joined without a secret"):
            change(NEW)


async def test_who_has_not_joined_has_no_keyring():
    with pytest.raises(NotJoined):
        list(AsyncCluster().keyring)


async def test_a_file_that_is_edited_is_followed(join, tmp_path, monkeypatch):
    monkeypatch.setattr("meshcluster.runtime.following.LOOK_SECONDS", 0.02)
    file = tmp_path / "secret"
    file.touch(mode=0o600)
    file.write_text(OLD)
    one, two = await join("one", file), await join("two", file)
    await one.wait_for_services()
    (old,) = one.keyring
    for text in (f"{OLD}\n{NEW}\n", f"{NEW}\n{OLD}\n", f"{NEW}\n"):
        file.write_text(text)
        await eventually(
            lambda text=text: all(len(x.keyring) == len(text.split()) for x in (one, two))
        )
        await eventually(lambda: one.keyring[0] == two.keyring[0])
    assert old not in one.keyring
    heard = asyncio.Queue()
    two.hook("event")(lambda message: heard.put_nowait(message.data))
    await one.send("still here", resolve="two")
    assert await asyncio.wait_for(heard.get(), 20) == "still here"


def test_the_blocking_face_does_the_same(beacon_port):
    with (
        meshcluster.join(name="one", port=beacon_port, secret=OLD) as one,
        meshcluster.join(name="two", port=beacon_port, secret=[NEW, OLD]) as two,
    ):
        one.keyring.add(NEW)
        one.wait_for_services()
        two.wait_for_services()
        (old, new) = one.keyring
        assert names(two.keyring.users)[old] == ["one"]
        one.keyring.use(new)
        assert list(one.keyring) == list(two.keyring) == [new, old]
        with pytest.raises(ConfigError):
            one.keyring.remove(new)
