"""Beyond the host without a secret: it works, and says once what that means."""

import logging

import meshcluster
from meshcluster.security.text import text_of


def warnings_of(caplog, **options):
    caplog.clear()
    with (
        caplog.at_level(logging.WARNING, "meshcluster"),
        meshcluster.join(name="one", mdns=False, **options) as one,
        meshcluster.join(name="two", mdns=False, **options) as two,
    ):
        (seen,) = one.wait_for_services(timeout=20)
        assert seen.authenticated
        assert two.query("?", timeout=20) is not None
        one.heartbeat()
    return [r.message for r in caplog.records if "keygen" in r.message]


def test_an_open_mesh_warns_once_a_start_and_others_do_not(beacon_port, caplog):
    warned = warnings_of(caplog, ttl=1, port=beacon_port)
    assert len(warned) == 2  # one for each of the two
    assert "ttl=1 without secret=" in warned[0]
    assert warnings_of(caplog, ttl=0, port=beacon_port) == []
    secret = text_of(bytes(range(32)))
    assert warnings_of(caplog, ttl=1, port=beacon_port, secret=secret) == []
