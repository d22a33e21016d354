"""The file of jobs: imported as a module is, and what is wrong with it is said in its own terms."""

import sys

import click
import pytest

from meshcluster.cli.jobfile import jobs_of


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes a file; modules that are imported from there are forgotten at the end."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)

    def write(text, name="tasks_of_tests.py"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    yield write
    for name in set(sys.modules) - before:
        if name.endswith("_of_tests") or str(tmp_path) in name:
            del sys.modules[name]


@pytest.mark.parametrize("kind", ["Jobs", "AsyncJobs"])
def test_it_is_found_by_any_name(written, kind) -> None:
    path = written(f"import meshcluster\nthese = meshcluster.{kind}()\nthese.add('a')\n")
    assert [job.name for job in jobs_of(path)] == ["a"]


def test_of_several_the_one_called_jobs_is_meant(written) -> None:
    path = written("from meshcluster import Jobs\nother = Jobs()\njobs = Jobs()\njobs.add('a')")
    assert "a" in jobs_of(path)


def test_one_that_has_two_names_is_one(written) -> None:
    path = written("from meshcluster import Jobs\na = b = Jobs()\na.add('a')")
    assert "a" in jobs_of(path)


def test_of_several_without_that_name_none_is_meant(written) -> None:
    path = written("from meshcluster import Jobs\na = Jobs()\nb = Jobs()")
    with pytest.raises(click.UsageError, match="has several: a, b; one must be called 'jobs'"):
        jobs_of(path)


def test_a_file_without_any_says_what_it_lacks(written) -> None:
    with pytest.raises(click.UsageError, match=r"it defines no object like jobs = Jobs\(\)"):
        jobs_of(written("import meshcluster"))


def test_a_file_of_another_kind_is_none(written) -> None:
    with pytest.raises(click.UsageError, match=r"must end with \.py"):
        jobs_of(written("", "tasks.txt"))


def test_modules_beside_it_are_found_and_it_is_no_program(written) -> None:
    written("from meshcluster import Jobs\nshared = Jobs()", "beside_of_tests.py")
    path = written(
        "from beside_of_tests import shared\n"
        "shared.add(__name__)\n"
        "if __name__ == '__main__':\n    raise SystemExit('run')\n"
    )
    assert "tasks_of_tests" in jobs_of(path)


def test_a_name_that_another_module_has_does_no_harm(written) -> None:
    path = written("from meshcluster import Jobs\njobs = Jobs()", "json.py")
    before = sys.modules["json"]
    jobs_of(path)
    assert sys.modules["json"] is before


def test_what_it_raises_is_shown_with_its_own_lines_alone(written) -> None:
    written("def number(text):\n    return int(text)\n", "beside_of_tests.py")
    path = written("from beside_of_tests import number\nN = number('x')\n")
    with pytest.raises(click.ClickException) as caught:
        jobs_of(path)
    told = caught.value.format_message()
    assert told.startswith(f"{path} cannot be imported:\n")
    assert 'tasks_of_tests.py", line 2, in <module>' in told
    assert 'beside_of_tests.py", line 2, in number' in told
    assert told.endswith("ValueError: invalid literal for int() with base 10: 'x'")
    assert "importlib" not in told
    assert "jobfile" not in told
    assert "tasks_of_tests" not in sys.modules


@pytest.mark.parametrize(("text", "end"), [
    ("def f(:\n", "SyntaxError: invalid syntax"),
    ("raise SystemExit(3)", "SystemExit: 3"),
    ("from meshcluster import Jobs\nJobs(schedul=1)", "did you mean 'schedule'?"),
])  # fmt: skip
def test_whatever_it_raises_is_told(written, text, end) -> None:
    with pytest.raises(click.ClickException) as caught:
        jobs_of(written(text))
    assert caught.value.format_message().endswith(end)
    assert "meshcluster/jobs" not in caught.value.format_message()
