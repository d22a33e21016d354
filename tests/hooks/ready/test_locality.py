"""Members of this machine and nobody else."""

from meshcluster.hooks.chain import validate
from meshcluster.hooks.ready import localhost_only
from meshcluster.model import Identity, Service
from meshcluster.testing import Bench, introduce

ADA = Identity(b"a" * 16, 1, "ada", "host")


def test_only_a_member_proven_to_be_here_is_accepted():
    assert validate((localhost_only,), Service(ADA, local=True))
    assert not validate((localhost_only,), Service(ADA, local=False))


def test_a_name_or_address_or_tag_proves_nothing():
    told = Service(ADA, tags=["localhost"], address="127.0.0.1", local=False)
    assert not localhost_only(told)


def test_a_node_that_has_it_takes_no_stranger_in():
    guarded, stranger = Bench(1), Bench(2)
    guarded.hooks.add("service.validate", localhost_only)
    introduce(guarded, stranger)
    assert guarded.known == []
    assert guarded.dropped == {}
