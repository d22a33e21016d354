"""Workers in any language, as docs/ssh.md tells their authors: here POSIX sh, and values as JSON.

What a worker answers to each value is in ``$ANSWER``.
"""

import asyncio
import json
import shlex

import pytest

import meshcluster

pytestmark = pytest.mark.process

SECONDS = 30
WORKER = r"""
export LC_ALL=C
say() { printf '%s %d %d\n%s' "$1" "$2" "${#3}" "$3"; }
say meshcluster-worker 1 '{"serializer": "json", "pings": false}'
while read -r kind number length; do
    body=$(dd bs=1 count="$length" 2>/dev/null)
    case $kind in
        call) eval "$ANSWER" ;;
        bye) exit ;;
    esac
done
"""


class Json:
    name = "json"

    def dumps(self, value):
        return json.dumps(value).encode()

    def loads(self, data):
        return json.loads(data)


@pytest.fixture
def dispatcher():
    """``dispatcher(ANSWER, SERIALIZER)``; it is closed at the test's end."""
    made = []

    def make(answer, serializer):
        command = f"ANSWER={shlex.quote(answer)}\n{WORKER}"
        made.append(meshcluster.Dispatcher([{"command": command}], serializer=serializer))
        return made[-1]

    yield make
    for each in made:
        each.close(drain=False)


def raising(*told):
    """An answer."""
    return f'say raised "$number" {shlex.quote(json.dumps(*told))}'


def test_values_travel_as_it_has_them(dispatcher):
    workers = dispatcher('say done "$number" "[$body, 2]"', Json())
    assert workers({"a": 1}).result(SECONDS) == [{"a": 1}, 2]


def test_one_of_pythons_own_exceptions_is_that(dispatcher):
    workers = dispatcher(raising(["ValueError", "bad luck", "line 3", ["bad luck"], None]), Json())
    with pytest.raises(ValueError, match=r"^bad luck$") as caught:
        workers(1).result(SECONDS)
    assert "line 3" in str(caught.value.__cause__)


def test_any_other_is_told_by_its_name(dispatcher):
    workers = dispatcher(raising(["Unlucky", "bad luck", "line 3", None, None]), Json())
    with pytest.raises(meshcluster.TaskRaised, match=r"^Unlucky: bad luck$") as caught:
        workers(1).result(SECONDS)
    assert (caught.value.kind, caught.value.traceback) == ("Unlucky", "line 3")


def test_one_that_no_loop_can_raise_can_be_awaited(dispatcher):
    workers = dispatcher(raising(["StopIteration", "", "", [], None]), Json())

    async def wait():
        return await asyncio.wait_for(workers(1), SECONDS)

    with pytest.raises(meshcluster.TaskRaised, match="StopIteration"):
        asyncio.run(wait())


@pytest.mark.parametrize("told", ["text", "fives", 7, [1, 2], None, [1, 2, 3, 4, 5]])
def test_what_is_raised_and_means_nothing_is_a_decode_error(dispatcher, told):
    workers = dispatcher(raising(told), Json())
    with pytest.raises(meshcluster.DecodeError, match="cannot be understood"):
        workers(1).result(SECONDS)


@pytest.mark.parametrize("error", [ValueError, KeyError, TypeError, RecursionError])
def test_whatever_loads_raises_is_a_decode_error_and_the_worker_goes_on(dispatcher, error):
    class Broken(Json):
        def loads(self, data):
            value = super().loads(data)
            if value == "bad":
                raise error("it cannot be read")
            return value

    workers = dispatcher('say done "$number" "$body"', Broken())
    with pytest.raises(meshcluster.DecodeError, match="it cannot be read"):
        workers("bad").result(SECONDS)
    assert workers("good").result(SECONDS) == "good"


def test_a_worker_of_another_one_is_refused(dispatcher):
    workers = dispatcher('say done "$number" "$body"', meshcluster.Serializer())
    with pytest.raises(meshcluster.NoWorkers, match="speaks 'json', not 'meshcluster-1'"):
        workers(1).result(SECONDS)
