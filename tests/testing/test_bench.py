"""The bench: one node, driven by hand."""

from meshcluster.node.links import State
from meshcluster.testing import Bench, connect, introduce


def test_introduced_benches_know_each_other_and_can_be_connected() -> None:
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    near, far = connect(one, other)
    assert (one.known, other.known) == (["n2"], ["n1"])
    assert near.state is far.state is State.OPEN
    assert one.dropped == {}
