"""Our own protocols by name, everybody else's by entry point."""

import pytest

from meshcluster import AsyncCluster, PluginError
from meshcluster.protocols import Context, known_schemes, load
from meshcluster.protocols.registry import BUILT_IN

HANDLER = "class Handler:\n    def __init__(self, context): ...\n"


@pytest.fixture
def offer(install):
    """Installs a package that offers a protocol."""

    def offer(package, scheme, code=HANDLER):
        install(package, "meshcluster.protocols", scheme, f"{package}:Handler", code)

    return offer


@pytest.fixture
def context(tmp_path):
    return Context("default", bytes(16), True, tmp_path)


@pytest.mark.parametrize("scheme", BUILT_IN)
def test_a_built_in_handler_says_the_scheme_it_is_loaded_by(scheme, context):
    assert load(scheme, context).scheme == scheme


def test_known_schemes_are_ours_first(offer):
    offer("aaa_package", "aaa")
    assert known_schemes()[: len(BUILT_IN)] == tuple(BUILT_IN)
    assert "aaa" in known_schemes()


def test_an_unknown_scheme_lists_the_known_ones(context, offer):
    offer("whisper_package", "whisper")
    with pytest.raises(PluginError, match=r"'smoke'.*unix, tcp, udp, zeromq, memory.*whisper"):
        load("smoke", context)


def test_a_plug_in_is_found_by_its_entry_point(context, offer):
    offer("whisper_package", "whisper")
    assert type(load("whisper", context)).__module__ == "whisper_package"


def test_a_scheme_claimed_twice_names_both(context, offer):
    offer("one_package", "echo")
    offer("other_package", "echo")
    claims = r"one_package \(one_package:Handler\) and other_package \(other_package:Handler\)"
    with pytest.raises(PluginError, match=f"protocol 'echo' is claimed by {claims}: uninstall one"):
        load("echo", context)


def test_a_package_that_claims_a_built_in_scheme_is_named(context, offer):
    offer("evil_package", "tcp")
    claims = r"meshcluster itself \(.*TcpHandler\) and evil_package \(evil_package:Handler\)"
    with pytest.raises(PluginError, match=f"'tcp' is claimed by {claims}: uninstall evil_package"):
        load("tcp", context)
    assert known_schemes().count("tcp") == 1
    assert load("memory", context).scheme == "memory"


async def test_who_offers_what_another_package_claims_does_not_join(offer, beacon_port):
    offer("evil_package", "tcp")
    with pytest.raises(PluginError, match="evil_package"):
        await AsyncCluster().join(port=beacon_port)
    async with AsyncCluster().join(port=beacon_port, protocols=["memory"]):
        pass


def test_a_plug_in_that_cannot_be_imported_is_named(context, offer):
    offer("broken_package", "broken", "import nothing_like_this\n")
    with pytest.raises(PluginError, match=r"'broken' \(broken_package:Handler\).*nothing_like"):
        load("broken", context)
    offer("failing_package", "failing", "1 / 0\n")
    with pytest.raises(PluginError, match=r"'failing'.*ZeroDivisionError: division by zero"):
        load("failing", context)
