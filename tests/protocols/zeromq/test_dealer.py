"""Links we dial: one connection each, and the system's own word when there is none."""

import errno
import os
import socket

import pytest

from meshcluster.protocols.zeromq.dealer import dial
from meshcluster.protocols.zeromq.sockets import Sockets, url_of

from .conftest import soon


def unwanted(link):
    return None


@pytest.mark.parametrize(
    ("where", "url"),
    [
        (("127.0.0.1", 5), "tcp://127.0.0.1:5"),
        (("fe80::1%eth0", 5), "tcp://[fe80::1%eth0]:5"),
        ("/run/a.sock", "ipc:///run/a.sock"),
    ],
)
def test_addresses_as_libzmq_calls_them(where, url):
    assert url_of(where) == url


async def test_nobody_there_is_a_refusal(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = server.getsockname()
    for nowhere in (where, str(tmp_path / "none.sock")):
        with pytest.raises(ConnectionRefusedError):
            await soon(dial(Sockets(1000), nowhere, unwanted))


async def test_other_trouble_is_named_and_is_no_refusal():
    with pytest.raises(OSError, match=os.strerror(errno.ENETUNREACH)):
        await soon(dial(Sockets(1000), ("224.0.0.1", 5), unwanted))


async def test_a_link_that_its_member_does_not_want_leaves_nothing(listen, make):
    accepting = await listen(1)
    await make(2).dial("127.0.0.1", accepting.by_tcp, unwanted)


async def test_what_came_before_the_other_end_died_is_delivered(connect):
    dialled, accepted = await connect()
    accepted.link.send([b"%d" % n for n in range(20)])
    accepted.link.send([b"last"])
    assert await soon(dialled.frames.get()) == b"0"
    accepted.link.abort()
    await soon(dialled.lost.wait())
    assert [dialled.frames.get_nowait() for _ in range(19)] == [b"%d" % n for n in range(1, 20)]
