"""What runs of jobs promise, seen from outside: by the word of the far side, once, to the end."""

import os
import signal
import sys

import pytest

import meshcluster
from tests.waiting import until

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals and sh"),
]

SECONDS = 20.0
SCHEDULES = pytest.mark.parametrize(
    "schedule", ["site-sequential", "sequential", "atomic", "parallel"]
)
REFUSED = ["sh", "-c", "exit 255"]
"""An ssh client that has reached nobody."""
SILENT = ["sh", "-c", "exit 0"]
"""One that says it went well, and nobody else says so."""
CUT = ["sh", "-c", 'for last; do :; done; sh -c "$last" 2>&1 >/dev/null | head -c 27 >&2', "ssh"]
"""One that is cut off when the command has begun, and says it went well."""
PROGRAM = """
import meshcluster
jobs = meshcluster.Jobs()
jobs.sites.add(["one", "two"], "app")

@jobs.job(roles="app")
def nap(action):
    action.shell.run("echo $$ > $PWD/$NAME; exec sleep 600", env={"NAME": action.site.name})

jobs.run("nap")
"""


@pytest.mark.parametrize(
    ("client", "status"), [(REFUSED, "unreachable"), (SILENT, "lost"), (CUT, "lost")]
)
def test_nothing_is_ok_without_a_word_from_the_far_side(client, status):
    jobs = meshcluster.Jobs()
    jobs.sites.add("far", host="box1", ssh=client)
    jobs.add("touch", "far", lambda action: action.shell.run("true"))
    result = jobs.run("touch")
    assert not result
    assert result.of("touch", "far").status == status


@SCHEDULES
def test_a_job_begins_once_on_a_site_and_a_retry_has_what_is_not_ok(schedule, tmp_path):
    jobs = meshcluster.Jobs(schedule=schedule)
    jobs.sites.add(["one", "two", "three"], ["app", "web"])

    @jobs.job(roles="app, web")
    async def note(action):
        await action.shell.run(f"echo {action.site.name} >> {tmp_path}/begun")
        if action.site.name == "two":
            await action.shell.run("exit 1")

    first = jobs.run("note")
    assert sorted((tmp_path / "begun").read_text().split()) == ["one", "three", "two"]
    again = jobs.run(retry=first)
    assert [each.site for each in again.outcomes] == ["two"]
    assert len((tmp_path / "begun").read_text().split()) == 4


@SCHEDULES
def test_a_failure_is_not_forgotten_when_later_jobs_go_well(schedule):
    jobs = meshcluster.Jobs(schedule=schedule)
    jobs.sites.add(["one", "two"], "app")
    jobs.add("first", "one", lambda action: action.shell.run("kill -9 $$"))
    jobs.add("second", "app", lambda action: action.shell.run("true"))
    result = jobs.run(["first", "second"])
    assert [(each.job, each.site) for each in result.failed] == [("first", "one")]
    assert len(result.having("ok")) == 2
    assert not result.ok


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGKILL])
def test_what_a_run_has_begun_ends_with_it(shell, tmp_path, signal_number):
    begun = [tmp_path / "one", tmp_path / "two"]
    running = shell("-c", PROGRAM, folder=tmp_path)
    until(lambda: all(path.is_file() and path.read_text().endswith("\n") for path in begun))
    groups = {os.getpgid(int(path.read_text())) for path in begun}
    running.signal(signal_number)
    until(lambda: not any(map(lives, groups)))


def lives(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
