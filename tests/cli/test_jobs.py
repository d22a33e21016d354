"""``meshcluster jobs``: what a file of jobs has, what it would do, what it does, and once more."""

import json
import sys

import pytest

import meshcluster
from meshcluster import allow_commands
from meshcluster.cli import main as cli

PROGRAM = '''
import pathlib
from meshcluster import Jobs

jobs = Jobs()
jobs.sites.add(["a", "b"], "app")
jobs.sites.add("c", "db")
HERE = pathlib.Path(__file__).parent

@jobs.job(roles="app | db")
def update(action):
    """Bring the newest version.

    And more of it.
    """
    with (HERE / "done").open("a") as file:
        file.write(f"{action.job}/{action.site.name} ")
    action.shell.run(f"test -e {HERE}/fine || test {action.site.name} != b")

@jobs.job(roles="app")
async def restart(action):
    """Restart it."""
    with (HERE / "done").open("a") as file:
        file.write(f"{action.job}/{action.site.name} ")
    action.report(f"shared: {action.shared}")

jobs.add("nothing", "nobody")
'''


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Three jobs; ``update`` fails at b until there is a file called fine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = tmp_path / "deploy_of_tests.py"
    path.write_text(PROGRAM)
    yield path.name
    for name in [name for name in sys.modules if "deploy_of_tests" in name]:
        del sys.modules[name]


def run(capsys, *arguments):
    code = cli.run(["jobs", *arguments])
    return (code, *capsys.readouterr())


def done(tmp_path):
    """What was done, in any order; it is forgotten then."""
    path = tmp_path / "done"
    words = sorted(path.read_text().split()) if path.exists() else []
    path.unlink(missing_ok=True)
    return words


# --- what there is -----------------------------------------------------------------------------


def test_without_a_job_it_lists_them(capsys, file, tmp_path) -> None:
    assert run(capsys, file) == (0, (
        "update\tapp | db\t3\tBring the newest version.\n"
        "restart\tapp\t2\tRestart it.\n"
        "nothing\tnobody\t0\t\n"
    ), "")  # fmt: skip
    assert done(tmp_path) == []


def test_the_list_counts_the_sites_that_are_meant(capsys, file) -> None:
    code, out, _ = run(capsys, file, "-r", "db", "--json")
    assert code == 0
    assert json.loads(out)[0] == {
        "job": "update", "roles": "app | db", "sites": ["c"], "about": "Bring the newest version.",
    }  # fmt: skip


def test_the_plan_says_who_would_do_what_and_does_nothing(capsys, file, tmp_path) -> None:
    code, out, err = run(capsys, file, "--plan", "update", "restart", "--max-parallel", "2")
    assert (code, err, done(tmp_path)) == (0, "", [])
    assert out.splitlines()[:3] == [
        "site-sequential: 2 jobs on 3 sites, 5 pairs in 1 stage", "  at most 2 at a time",
        "1. update: 3 sites",
    ]  # fmt: skip
    code, out, _ = run(capsys, file, "--plan", "--json", "restart")
    assert json.loads(out)["jobs"][0]["sites"][0] == {"site": "a", "actions": 1}
    assert run(capsys, file, "--plan", "nothing")[0] == 4


@pytest.mark.parametrize(("arguments", "right"), [
    (["updat"], "there is no job 'updat'; did you mean 'update'?"),
    (["update", "--plan", "x"], "there is no job 'x'"),
    (["update", "--batches", "0"], "batches=0"),
    (["update", "--schedule", "x"], "'site-sequential'"),
    (["update", "--set", "x"], "'x' is not KEY=VALUE"),
    (["update", "--via-ssh"], "--via-ssh says nothing without --mesh"),
    (["update", "--retry-failed"], "--retry-failed: the jobs of the last run, without JOB"),
    (["--plan", "--retry-failed"], "--retry-failed: the jobs of the last run, without --plan"),
    (["update", "-r", "app &"], "a role is missing here"),
    (["update", "--sites", "x.toml"], "'x.toml' does not exist"),
])  # fmt: skip
def test_wrong_usage_says_what_would_be_right_and_does_nothing(
    capsys, file, tmp_path, arguments, right
) -> None:
    code, out, err = run(capsys, file, *arguments)
    assert (code, out, done(tmp_path)) == (2, "", [])
    assert right in err


def test_a_file_that_is_not_there_is_a_wrong_usage(capsys) -> None:
    code, _, err = run(capsys, "nowhere.py")
    assert code == 2
    assert "'nowhere.py' does not exist" in err


# --- what it does ------------------------------------------------------------------------------


def test_it_runs_jobs_and_says_what_became_of_them(capsys, file, tmp_path) -> None:
    code, out, err = run(capsys, file, "update", "restart", "--break-on-error", "--set", "v=2")
    assert (code, out) == (1, "a restart > shared: {'v': '2'}\n")
    assert done(tmp_path) == ["restart/a", "update/a", "update/b", "update/c"]
    assert "failed: update on b: 'test -e" in err
    assert "b ok=0 failed=1 lost=0 unreachable=0 skipped=1\n" in err
    assert "update, restart: 3 of 5 ok on 3 sites" in err


def test_all_ok_is_exit_code_0(capsys, file, tmp_path) -> None:
    assert run(capsys, file, "update", "-r", "a", "-r", "db", "--no-recap") == (0, "", "")
    assert done(tmp_path) == ["update/a", "update/c"]


def test_that_no_site_matches_is_exit_code_4(capsys, file) -> None:
    code, _, err = run(capsys, file, "nothing")
    assert code == 4
    assert "warning: nothing matches no site" in err
    assert err.endswith(
        "meshcluster: no job matches any site; there are a, b, c (roles: app, db)\n"
    )
    code, _, err = run(capsys, file, "nothing", "--require-sites", "1")
    assert code == 4
    assert err.startswith("meshcluster: ")


def test_sites_of_files_are_there_too(capsys, file, tmp_path) -> None:
    (tmp_path / "more.toml").write_text('[sites.d]\nroles = "db"\n[sites.e]\n')
    assert run(capsys, file, "update", "-r", "db", "--sites", "more.toml")[0] == 0
    assert done(tmp_path) == ["update/c", "update/d"]


def test_members_are_sites_by_their_tags(capsys, file, tmp_path, own_mesh) -> None:
    with meshcluster.join(["db"], name="m") as member:
        allow_commands(member)
        assert run(capsys, file, "update", "--mesh", "-r", "db & !c")[0] == 0
    assert done(tmp_path) == ["update/m"]


def test_as_json_it_has_no_recap(capsys, file) -> None:
    code, out, err = run(capsys, file, "restart", "--json")
    assert (code, err) == (0, "")
    assert [json.loads(line)["what"] for line in out.splitlines()].count("ended") == 2
    assert json.loads(out.splitlines()[-1])["jobs"] == ["restart"]


def test_what_functions_print_is_no_json(capsys, file, tmp_path) -> None:
    with (tmp_path / file).open("a") as more:
        more.write("\nprint('imported')\njobs.add('greet', 'c', lambda action: print('hello'))\n")
    _, out, err = run(capsys, file, "greet", "--json")
    assert [json.loads(line)["what"] for line in out.splitlines()] == ["ended", "result"]
    assert err == "imported\nhello\n"
    assert run(capsys, file, "greet", "--no-recap") == (0, "imported\nhello\n", "")


def test_all_is_said_to_who_wants_it(capsys, file) -> None:
    _, _, err = run(capsys, file, "update", "-v", "-r", "c")
    assert "c # $ test -e" in err
    assert "c # exit status 0" in err
    assert "c = ok, " in err


# --- once more ---------------------------------------------------------------------------------


def test_what_was_not_ok_is_tried_again_and_nothing_else(capsys, file, tmp_path) -> None:
    options = ("--break-on-error", "--set", "v=2", "--schedule", "sequential")
    assert run(capsys, file, "update", "restart", *options)[0] == 1
    assert done(tmp_path) == ["update/a", "update/b", "update/c"]
    assert run(capsys, file, "--retry-failed")[0] == 1
    assert done(tmp_path) == ["update/b"]
    (tmp_path / "fine").touch()
    code, out, _ = run(capsys, file, "--retry-failed")
    assert (code, done(tmp_path)) == (0, ["restart/a", "restart/b", "update/b"])
    assert sorted(out.splitlines()) == [
        "a restart > shared: {'v': '2'}", "b restart > shared: {'v': '2'}",
    ]  # fmt: skip
    assert run(capsys, file, "--retry-failed")[0] == 4


def test_what_is_given_anew_counts(capsys, file, tmp_path) -> None:
    assert run(capsys, file, "update", "restart", "--break-on-error", "--set", "v=2")[0] == 1
    (tmp_path / "fine").touch()
    code, out, _ = run(capsys, file, "--retry-failed", "--set", "v=3", "--max-fail", "0")
    assert (code, out) == (0, "b restart > shared: {'v': '3'}\n")


def test_another_site_that_is_ok_is_no_reason_to_forget_who_failed(capsys, file, tmp_path) -> None:
    assert run(capsys, file, "update")[0] == 1
    assert run(capsys, file, "update", "-r", "c")[0] == 0
    done(tmp_path)
    (tmp_path / "fine").touch()
    assert run(capsys, file, "--retry-failed")[0] == 0
    assert done(tmp_path) == ["update/b"]


def test_a_retry_of_some_roles_leaves_the_rest_to_the_next(capsys, file, tmp_path) -> None:
    options = ("--max-fail", "0", "--schedule", "atomic")
    assert run(capsys, file, "update", "restart", *options)[0] == 1
    assert done(tmp_path) == ["update/a", "update/b"]
    code, _, err = run(capsys, file, "--retry-failed", "-r", "c")
    assert (code, done(tmp_path)) == (0, ["update/c"])
    assert "left out, not among roles=['c']: update on b; restart on a, b" in err
    assert err.endswith("meshcluster: 3 more are left for --retry-failed\n")
    assert run(capsys, file, "--retry-failed", "-r", "c")[0] == 4
    (tmp_path / "fine").touch()
    code, _, err = run(capsys, file, "--retry-failed")
    assert (code, done(tmp_path)) == (0, ["restart/a", "restart/b", "update/b"])
    assert "left" not in err
    assert run(capsys, file, "--retry-failed")[0] == 4


def test_a_retry_that_leaves_out_what_nobody_asked_it_to_is_not_all_there_was(
    capsys, file, tmp_path
) -> None:
    assert run(capsys, file, "update", "restart", "-r", "b | app", "--max-fail", "0",
               "--schedule", "atomic")[0] == 1  # fmt: skip
    (tmp_path / "fine").touch()
    program = PROGRAM.replace('(["a", "b"], "app")', '("b", "app"); jobs.sites.add("a", "db")')
    (tmp_path / file).write_text(program.replace('roles="app")', 'roles="app | db")'))
    del sys.modules[next(name for name in sys.modules if "deploy_of_tests" in name)]
    code, _, err = run(capsys, file, "--retry-failed")
    assert "left out, not among roles=['b | app']: restart on a" in err
    assert code == 3


def test_where_nothing_is_kept_there_is_nothing_to_retry(capsys, file) -> None:
    assert run(capsys, file, "--retry-failed") == (4, "", (
        f"meshcluster: nothing to retry: no run of {file} is kept that was not all ok\n"
    ))  # fmt: skip


def test_what_was_kept_of_jobs_that_are_gone_is_a_wrong_usage(capsys, file, tmp_path) -> None:
    assert run(capsys, file, "update")[0] == 1
    (tmp_path / file).write_text("from meshcluster import Jobs\njobs = Jobs()\njobs.add('other')")
    code, _, err = run(capsys, file, "--retry-failed")
    assert code == 2
    assert "there is no job 'update'; there are: other" in err


def test_a_password_for_sudo_is_in_a_file(capsys, file, tmp_path) -> None:
    (tmp_path / file).write_text("""
from meshcluster import Jobs
jobs = Jobs()
jobs.sites.add("here")
@jobs.job(roles="here")
def show(action):
    jobs.passwords.prompt()  # asks nobody: it is known
    action.report(repr(jobs.passwords))
""")
    path = tmp_path / "password"
    path.write_text("secret\n")
    path.chmod(0o600)
    code, out, _ = run(capsys, file, "show", "--sudo-password-file", str(path))
    assert (code, out) == (0, "here > <Passwords set>\n")
    assert "secret" not in out
