"""UNIX sockets: for this user only, never robbed while alive, swept away when dead."""

import asyncio
import os
import socket
import stat
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some

from meshcluster import ConfigError, Endpoint
from meshcluster.protocols import Context

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no UNIX sockets")
if sys.platform != "win32":
    from meshcluster.protocols.unix import UnixHandler, socket_path


@pytest.fixture
async def handler(runtime_dir):
    """Makes handlers; all are closed at the end."""
    made = []

    def handler(number=1, *, directory=runtime_dir, options=()):
        member_id = number.to_bytes(8, "big") + bytes(8)
        made.append(UnixHandler(Context("default", member_id, True, directory, dict(options))))
        return made[-1]

    yield handler
    for each in made:
        await each.close()
    await asyncio.sleep(0)


def unwanted(link):
    return None


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def leave_dead_socket(folder, name="0123456789abcdef"):
    """What a killed member leaves: its socket, and a lock file that nobody holds."""
    folder.mkdir(mode=0o700, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(folder / f"{name}.sock"))
    (folder / f"{name}.lock").touch(mode=0o600)
    return folder / f"{name}.sock"


async def test_only_its_user_can_reach_the_socket(handler, runtime_dir):
    props = await handler().listen(unwanted)
    path = runtime_dir / props["name"]
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)


async def test_it_advertises_a_name_not_a_path(handler):
    props = await handler().listen(unwanted)
    assert props.keys() == {"name"}
    assert not Path(props["name"]).is_absolute()


async def test_closing_removes_socket_and_lock(handler, runtime_dir):
    one = handler()
    props = await one.listen(unwanted)
    await one.close()
    assert list((runtime_dir / props["name"]).parent.iterdir()) == []


async def test_the_next_start_removes_what_the_dead_left(handler, runtime_dir):
    one = handler(1)
    props = await one.listen(unwanted)
    dead = leave_dead_socket((runtime_dir / props["name"]).parent)
    await handler(2).listen(unwanted)
    assert not dead.exists()
    assert not dead.with_suffix(".lock").exists()
    assert (runtime_dir / props["name"]).exists()


async def test_a_live_socket_is_never_robbed(handler):
    first, robber = handler(), handler()
    opened = asyncio.Event()
    props = await first.listen(lambda link: opened.set())
    with pytest.raises(ConfigError, match="belongs to a live process"):
        await robber.listen(unwanted)
    await robber.close()
    await robber.dial("", Endpoint("unix", props), unwanted)
    await asyncio.wait_for(opened.wait(), 10)


@pytest.mark.parametrize(
    "name", ["../other.sock", "/tmp/x.sock", "", 7, "01234567/0123456789abcdef.sock/..", "a/b.sock"]
)
async def test_a_malformed_name_is_not_dialled(handler, name):
    with pytest.raises(ConnectionError, match="malformed"):
        await handler().dial("", Endpoint("unix", {"name": name}), unwanted)


pieces = some.sampled_from(["..", ".", "/", "\0", "\n", "0", "f", "0123456789abcdef", ".sock", "~"])
names = some.one_of(
    some.text(max_size=40),
    some.lists(pieces, max_size=8).map("".join),
    some.from_regex(r"[0-9a-f]{8}/[0-9a-f]{16}\.sock"),  # with anything before and after
    some.from_regex(r"\A[0-9a-f]{8}/[0-9a-f]{16}\.sock\Z"),
    some.integers(),
    some.none(),
)


@settings(max_examples=500)
@given(names)
@example("0123456\uff17/0123456789abcdef.sock")  # a digit, but not one of ours
@example("01234567/0123456789abcdef.sock\n")
def test_any_name_is_refused_or_two_steps_below_the_root(name):
    root = Path("/run/mesh")
    try:
        path = socket_path(root, name)
    except ConnectionError:
        return
    assert path.parent.parent == root
    assert path.suffix == ".sock"
    assert str(path) == os.path.normpath(path)
    assert not set(path.parts) & {"..", "."}


async def test_a_name_where_nobody_listens_refuses(handler):
    name = "01234567/0123456789abcdef.sock"
    with pytest.raises(ConnectionRefusedError):
        await handler().dial("", Endpoint("unix", {"name": name}), unwanted)


async def test_a_directory_too_deep_for_a_socket_is_named(handler, tmp_path):
    deep = tmp_path / ("d" * 100)
    deep.mkdir(mode=0o700)
    with pytest.raises(ConfigError, match=r"MESHCLUSTER_RUNTIME_DIR.*103 bytes.*shorter"):
        await handler(directory=deep).listen(unwanted)


def test_it_has_no_options(handler):
    with pytest.raises(ConfigError, match="no options"):
        handler(options={"path": "/tmp/x"})
