"""The protocols that a member offers: those that nobody asked for may be missing."""

import logging

import pytest

from meshcluster.config import ClusterConfig
from meshcluster.errors import ConfigError
from meshcluster.protocols import Context
from meshcluster.runtime.endpoints import open_endpoints


def context_in(folder):
    def context(scheme, options=()):
        return Context(
            cluster="default", member_id=bytes(16), host_only=True, runtime_dir=folder,
            options=dict(options), message_bytes=1 << 20, ask=None,
        )  # fmt: skip

    return context


async def opened(folder, config, *, networked=True, refuse=()):
    """The schemes that came to be offered, with what was told of each; all are closed again."""
    handlers = {}

    def context(scheme):
        options = {"port": "none"} if scheme in refuse else {}
        return context_in(folder)(scheme, options)

    try:
        endpoints = await open_endpoints(
            config, handlers, context, lambda scheme, link: None, networked=networked
        )
        assert [each.scheme for each in endpoints] == list(handlers)
        return [each.scheme for each in endpoints]
    finally:
        for handler in handlers.values():
            await handler.close()


async def test_by_default_all_of_ours_are_offered_best_first(runtime_dir):
    schemes = await opened(runtime_dir, ClusterConfig(cluster="default", name="x"))
    assert schemes == ["unix", "tcp", "zeromq", "udp"]


async def test_those_asked_for_are_offered_in_that_order(runtime_dir):
    config = ClusterConfig(cluster="default", name="x", protocols=("tcp", "unix"))
    assert await opened(runtime_dir, config) == ["tcp", "unix"]


async def test_one_that_was_asked_for_and_does_not_work_is_an_error(runtime_dir):
    config = ClusterConfig(cluster="default", name="x", protocols=("unix", "tcp"))
    with pytest.raises(ConfigError, match="port"):
        await opened(runtime_dir, config, refuse=("tcp",))


async def test_without_a_network_what_needs_one_is_left_out_without_a_word(runtime_dir, caplog):
    config = ClusterConfig(cluster="default", name="x")
    with caplog.at_level(logging.WARNING, "meshcluster"):
        schemes = await opened(runtime_dir, config, networked=False, refuse=("tcp", "zeromq"))
    assert schemes == ["unix", "udp"]
    assert not caplog.records
