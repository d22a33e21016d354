"""One tree of exceptions, drawn in the docstring of ``meshcluster.errors``."""

import inspect
import re

import pytest

from meshcluster import errors
from meshcluster.errors import (
    ClusterError,
    ConfigError,
    DispatcherClosed,
    DispatchError,
    NoResponder,
    NoRoute,
    NoWorkers,
    QueryTimeout,
    RemoteError,
    ServiceLost,
    TaskRaised,
    TaskTimeout,
    WorkerLost,
)
from meshcluster.model import Identity, Service

BRANCH = re.compile(r"^ {4}(?P<lines>[│├└─ ]*)(?P<name>\w+)(?: \((?P<builtin>\w+)\))?(?: {2,}|$)")
ADA = Service(Identity(b"a" * 16, 1, "ada", "host"))
BOB = Service(Identity(b"b" * 16, 1, "bob", "host"))


def drawn_tree():
    """Each class of the drawing with the names of its bases."""
    path, tree = [], {}
    for line in errors.__doc__.splitlines():
        if match := BRANCH.match(line):
            path[len(match["lines"]) // 3 :] = [match["name"]]
            bases = [path[-2] if len(path) > 1 else "Exception", match["builtin"]]
            tree[match["name"]] = [base for base in bases if base]
    return tree


def real_tree():
    classes = inspect.getmembers(errors, inspect.isclass)
    return {
        name: [base.__name__ for base in cls.__bases__]
        for name, cls in classes
        if issubclass(cls, BaseException)
    }


def test_the_drawing_shows_the_classes_as_they_are():
    assert drawn_tree() == real_tree()


def test_every_error_says_what_it_is_for():
    classes = [getattr(errors, name) for name in real_tree()]
    assert all(cls.__doc__ for cls in classes)


def test_a_wrong_setting_is_a_value_error():
    with pytest.raises(ValueError, match="ttl=999"):
        raise ConfigError("ttl=999: 0 to 255")


def test_what_the_network_did_is_an_os_error_and_reads_as_its_text():
    error = NoRoute("no way to bob", [("unix", "refused"), ("tcp", "no answer")])
    assert isinstance(error, OSError)
    assert str(error) == "no way to bob"


def test_no_route_says_why_each_endpoint_failed_in_the_order_tried():
    error = NoRoute("no way to bob", [("unix", "refused"), ("tcp", "no answer")])
    assert error.attempts == (("unix", "refused"), ("tcp", "no answer"))


def test_a_timed_out_query_keeps_what_arrived():
    failure = ServiceLost(BOB, "left")
    assert not failure.unhandled
    results, failures, missing = {ADA: 1}, {BOB: failure}, [ADA]
    error = QueryTimeout("too late", results, failures, missing)
    results.clear(), failures.clear(), missing.clear()
    assert isinstance(error, TimeoutError)
    assert str(error) == "too late"
    assert (error.results, error.errors, error.missing) == ({ADA: 1}, {BOB: failure}, (ADA,))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RemoteError(ADA, "KeyError", "'x'"), "ada raised KeyError: 'x'"),
        (NoResponder(ADA), "ada has no query hook or mailbox that answers"),
        (ServiceLost(ADA, "left"), "ada left"),
    ],
)
def test_what_became_of_a_question_names_the_service(error, text):
    assert isinstance(error, ClusterError)
    assert str(error) == text
    assert error.service is ADA


def test_a_remote_error_tells_type_and_text_apart():
    error = RemoteError(ADA, "KeyError", "'x'")
    assert (error.kind, error.text) == ("KeyError", "'x'")


@pytest.mark.parametrize("kind", [NoWorkers, WorkerLost, TaskTimeout])
def test_a_task_that_was_not_done_keeps_its_attempts(kind):
    attempts = ["one", "two"]
    error = kind("not done", attempts)
    attempts.clear()
    assert isinstance(error, DispatchError)
    assert (str(error), error.attempts) == ("not done", ("one", "two"))
    assert kind("not begun").attempts == ()


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [(NoWorkers, LookupError), (TaskTimeout, TimeoutError), (DispatcherClosed, RuntimeError)],
)
def test_a_dispatchers_errors_are_caught_as_pythons_own_too(kind, builtin):
    with pytest.raises(builtin, match="why"):
        raise kind("why")


def test_what_a_task_raised_is_told_in_words():
    error = TaskRaised("module.Kind", "the text", "the traceback")
    assert isinstance(error, DispatchError)
    assert str(error) == "module.Kind: the text"
    assert (error.kind, error.text, error.traceback) == (
        "module.Kind",
        "the text",
        "the traceback",
    )
