"""Functions and objects of any kind, for who asked for it; each refusal is one of one kind."""

import threading

import pytest

from meshcluster.ssh.far.pickling import Pickle
from meshcluster.ssh.far.serializer import Unserializable

pytest.importorskip("cloudpickle")


def test_functions_that_have_no_name_travel():
    pickle, base = Pickle(), 5
    assert pickle.loads(pickle.dumps(lambda number: number + base))(2) == 7


def test_one_object_stays_one():
    pickle, shared = Pickle(), [1]
    first, other = pickle.loads(pickle.dumps([shared, shared]))
    assert first is other


def test_it_is_told_from_the_serializer_by_its_name():
    assert Pickle().name == "pickle"


def test_what_cannot_be_pickled_is_refused():
    with pytest.raises(Unserializable, match="cannot be pickled"):
        Pickle().dumps(threading.Lock())


def test_what_refuses_in_its_own_way_is_refused():
    class Own:
        def __reduce__(self):
            raise KeyError("mine")

    with pytest.raises(Unserializable, match="cannot be pickled: 'mine'"):
        Pickle().dumps(Own())


@pytest.mark.parametrize("data", [b"", b"garbage", b"\x80\x05cnowhere\nnothing\n."])
def test_bytes_that_are_no_pickle_are_refused(data):
    with pytest.raises(Unserializable, match="cannot be unpickled"):
        Pickle().loads(data)
