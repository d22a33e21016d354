"""TCP: on loopback only at ttl=0, on a port of one's choice, refused where nobody listens."""

import asyncio
import socket

import psutil
import pytest

from meshcluster import ConfigError, Endpoint
from meshcluster.protocols import Context
from meshcluster.protocols.tcp import TcpHandler


@pytest.fixture
async def listen(tmp_path):
    """Makes handlers that listen; all are closed at the end."""
    handlers = []

    async def listen(*, host_only=True, accept=lambda link: None, **options):
        handler = TcpHandler(Context("default", bytes(16), host_only, tmp_path, options))
        handlers.append(handler)
        return handler, await handler.listen(accept)

    yield listen
    for handler in handlers:
        await handler.close()
    await asyncio.sleep(0)


@pytest.fixture
def busy_port():
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def bound_addresses(port):
    connections = psutil.Process().net_connections("tcp")
    return {c.laddr.ip for c in connections if c.laddr.port == port and c.status == "LISTEN"}


async def test_it_advertises_its_port_and_nothing_else(listen):
    _, props = await listen()
    assert bound_addresses(props["port"])
    assert props.keys() == {"port"}


async def test_at_ttl_0_it_binds_loopback_only(listen):
    _, props = await listen(host_only=True)
    assert bound_addresses(props["port"]) == {"127.0.0.1"}


async def test_at_ttl_0_it_binds_loopback_whatever_host_says(listen):
    _, props = await listen(host_only=True, host="0.0.0.0")
    assert bound_addresses(props["port"]) == {"127.0.0.1"}


async def test_beyond_this_host_it_binds_every_address(listen):
    _, props = await listen(host_only=False)
    assert bound_addresses(props["port"]) == {"0.0.0.0", "::"}


async def test_host_chooses_the_address_to_bind(listen):
    _, props = await listen(host_only=False, host="127.0.0.1")
    assert bound_addresses(props["port"]) == {"127.0.0.1"}


async def test_port_chooses_the_port(listen, busy_port):
    first, props = await listen()
    await first.close()
    assert (await listen(port=props["port"]))[1] == props


async def test_a_fixed_port_that_is_busy_is_named(listen, busy_port):
    with pytest.raises(ConfigError, match=rf"'tcp'.*'port': {busy_port}.*in use"):
        await listen(port=busy_port)


async def test_an_option_it_does_not_have_is_named(listen):
    with pytest.raises(ConfigError, match=r"no option speed.*port, host"):
        await listen(speed=11)


@pytest.mark.parametrize("port", [70000, -1, "4000", True, None])
async def test_a_port_that_is_none_is_refused(listen, port):
    with pytest.raises(ConfigError, match=rf"'port': {port!r}.*0 to 65535"):
        await listen(port=port)


@pytest.mark.parametrize("host_only", [True, False])
async def test_a_host_that_is_no_text_is_refused(listen, host_only):
    with pytest.raises(ConfigError, match=r"'host': 5.*an IP address"):
        await listen(host_only=host_only, host=5)


async def test_an_address_that_is_not_ours_is_named_with_what_the_system_said(listen):
    with pytest.raises(ConfigError, match=r"192\.0\.2\.1.*: Cannot assign") as caught:
        await listen(host_only=False, host="192.0.2.1")
    assert "port" not in str(caught.value).partition("Cannot assign")[2]


@pytest.mark.parametrize("port", ["http", 0, 70000, -1, "", None])
async def test_a_member_that_says_a_port_that_is_none_cannot_be_dialled(listen, port):
    handler, _ = await listen()
    props = {} if port is None else {"port": port}
    with pytest.raises(ConnectionError, match="malformed port"):
        await handler.dial("127.0.0.1", Endpoint("tcp", props), lambda link: None)


async def test_a_port_where_nobody_listens_refuses(listen):
    handler, props = await listen()
    await handler.close()
    with pytest.raises(ConnectionRefusedError):
        await handler.dial("127.0.0.1", Endpoint("tcp", props), lambda link: None)


async def test_closing_twice_is_no_error(listen):
    handler, _ = await listen()
    await handler.close()
    await handler.close()


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
async def test_one_port_is_dialled_by_ipv4_and_ipv6(listen):
    accepted = asyncio.Queue()

    def accept(link):
        accepted.put_nowait(link.remote)

    handler, props = await listen(host_only=False)
    for address in ("127.0.0.1", "::1"):
        await handler.dial(address, Endpoint("tcp", dict(props)), accept)
        assert await asyncio.wait_for(accepted.get(), 5) == address


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
async def test_by_ipv6_a_refusal_is_one_as_well(listen):
    handler, props = await listen(host_only=True)  # which is on 127.0.0.1 alone
    with pytest.raises(ConnectionRefusedError):
        await handler.dial("::1", Endpoint("tcp", dict(props)), lambda link: None)


async def test_who_accepts_does_not_wait_for_more_to_send(listen):
    """asyncio sees to it by itself, but only for sockets that name their protocol, which accepted
    ones do not: a small frame after another one waited 40 ms for an acknowledgement.
    """
    opened = asyncio.Queue()
    _, props = await listen(accept=opened.put_nowait)
    with socket.create_connection(("127.0.0.1", props["port"])):
        transport = (await opened.get())._transport
        connected = transport.get_extra_info("socket")
        assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
