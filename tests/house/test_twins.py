"""The blocking and the async face have the same methods with the same parameters."""

import inspect
import re

import pytest

import meshcluster

PAIRS = [("AsyncCluster", "Cluster"), ("AsyncMailbox", "Mailbox"), ("AsyncQuery", "Query")]


def public_members(cls):
    """Methods and properties by name; special methods differ by nature (`__aiter__`)."""
    return {
        name: member
        for name, member in inspect.getmembers(cls)
        if not name.startswith("_") and (callable(member) or isinstance(member, property))
    }


def plain(annotation):
    """An annotation without module names, quotes and the word Async."""
    if annotation is inspect.Signature.empty:
        return ""
    text = inspect.formatannotation(annotation).strip("'\"")
    return re.sub(r"\b(?:\w+\.)+(\w)", r"\1", text).replace("Async", "")


def parameters(method):
    found = inspect.signature(method).parameters.values()
    return [(p.name, p.kind, p.default, plain(p.annotation)) for p in found]


def is_async(method):
    return inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method)


@pytest.mark.parametrize("pair", PAIRS, ids=" ".join)
def test_same_names(pair):
    one, other = (set(public_members(getattr(meshcluster, name))) for name in pair)
    assert one == other


@pytest.mark.parametrize("pair", PAIRS, ids=" ".join)
def test_same_parameters(pair):
    ones, others = (public_members(getattr(meshcluster, name)) for name in pair)
    for name in sorted(ones.keys() & others.keys()):
        one, other = ones[name], others[name]
        assert isinstance(one, property) == isinstance(other, property), name
        if isinstance(one, property):
            continue
        assert parameters(one) == parameters(other), name
        if name == "join":
            continue  # on the async face what it returns is awaited, or entered
        if not is_async(one) and not is_async(other):
            returned = [plain(inspect.signature(m).return_annotation) for m in (one, other)]
            assert returned[0] == returned[1], name


def test_the_first_door_explains_its_arguments():
    """`help(meshcluster.join)` is what a newcomer reads."""
    full = inspect.getdoc(meshcluster.AsyncCluster.join).partition("Args:")[2]
    assert inspect.getdoc(meshcluster.join).partition("Args:")[2] == full
