"""``cluster.hook`` as users write it: a decorator, checked at once and in the editor."""

import subprocess
import sys

import pytest

from meshcluster import AsyncCluster, Cluster
from meshcluster.errors import ConfigError
from meshcluster.hooks import HookRegistry
from meshcluster.hooks.placing import HookPlacing


class Placed(HookPlacing):
    """The least that has hooks: a registry and nothing that runs them."""

    def __init__(self):
        self.registry = HookRegistry(allow_async=True)
        self._place = self.registry.add
        self._displace = self.registry.remove


@pytest.fixture
def cluster():
    return Placed()


def test_hook_is_a_decorator_that_keeps_the_function(cluster):
    @cluster.hook("event")
    def heard(message): ...

    assert heard.__name__ == "heard"
    assert cluster.registry.chain("event") == (heard,)


def test_one_function_may_stand_at_several_points(cluster):
    @cluster.hook("service.lost")
    @cluster.hook("service.discovered")
    def seen(service): ...

    assert cluster.unhook(seen) == 2
    assert cluster.unhook(seen) == 0


def test_filters_and_order_reach_the_registry(cluster):
    cluster.hook("query", channel=7, protocol="tcp", order=-1)(print)
    (hook,) = cluster.registry.hooks("query")
    assert (hook.channel, hook.protocol, hook.order) == (7, "tcp", -1)


def test_a_wrong_point_is_refused_with_the_names_of_the_right_ones(cluster):
    with pytest.raises(ConfigError, match=r"service\.discovered"):
        cluster.hook("discovered")(print)


def test_the_point_is_not_forgotten(cluster):
    with pytest.raises(ConfigError, match=r'write @cluster\.hook\("event"\)'):

        @cluster.hook
        def heard(message): ...


def test_a_filter_that_does_not_apply_is_refused(cluster):
    with pytest.raises(ConfigError, match=r"service\.lost"):
        cluster.hook("service.lost", channel=1)(print)


@pytest.mark.parametrize("face", [AsyncCluster, Cluster])
def test_both_faces_take_hooks_before_they_join(face):
    cluster = face()

    @cluster.hook("send")
    def checked(message): ...

    with pytest.raises(ConfigError):

        @cluster.hook("receive")
        async def never(message): ...

    assert cluster.unhook(checked) == 1


def test_only_the_async_face_takes_async_observers():
    async def seen(service): ...

    AsyncCluster().hook("service.discovered")(seen)
    with pytest.raises(ConfigError, match="AsyncCluster"):
        Cluster().hook("service.discovered")(seen)


RIGHT = """
from meshcluster import AsyncCluster, Message, Service

cluster = AsyncCluster()

@cluster.hook("receive", channel=7, protocol="tcp", order=-1)
def received(message: Message) -> Message | None: ...

@cluster.hook("service.validate")
def known(service: Service) -> bool: ...

@cluster.hook("service.lost")
async def lost(service: Service) -> None: ...

@cluster.hook("query")
async def answer(message: Message) -> int: ...
"""

WRONG = """
@cluster.hook("service.lots")
def misspelled(service: Service) -> None: ...

@cluster.hook("receive")
def takes_a_service(service: Service) -> None: ...

@cluster.hook("send")
def gives_a_text(message: Message) -> str: ...

@cluster.hook("send")
async def awaited(message: Message) -> None: ...

@cluster.hook("service.lost", channel=7)
def filtered(service: Service) -> None: ...

@cluster.hook("service.validate")
def gives_a_number(service: Service) -> int: ...
"""


def marked_by_mypy(page):
    """The numbers of the lines that hold an error."""
    command = [sys.executable, "-m", "mypy", "--strict", "--disable-error-code=empty-body"]
    command += ["--cache-dir", page.parent / "cache", page]
    run = subprocess.run(command, capture_output=True, text=True, timeout=55)
    assert run.returncode == 1, run.stdout + run.stderr
    errors = [line for line in run.stdout.splitlines() if ": error: " in line]
    return {int(line.removeprefix(f"{page}:").split(":")[0]) for line in errors}


@pytest.mark.process
@pytest.mark.slow
def test_the_editor_shows_what_would_be_refused(tmp_path):
    page = tmp_path / "page.py"
    page.write_text(RIGHT + WRONG)
    first_wrong = len(RIGHT.splitlines()) + 1
    decorators = {
        number
        for number, line in enumerate(page.read_text().splitlines(), 1)
        if line.startswith("@") and number >= first_wrong
    }
    assert marked_by_mypy(page) == decorators
