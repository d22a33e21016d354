"""It answers on this host with its word; test_hello_three.py has all three shells."""

import pytest

import meshcluster

pytestmark = pytest.mark.process


def test_it_gives_its_word(shell):
    shell("examples/hello_two.py")
    with meshcluster.join() as cluster:
        (service,) = cluster.wait_for_services(resolve="service_two")
        assert service.query().wait() == {service: "World!"}
