"""Every example that a reader may copy is run: in README.md, in docs/ and in examples/.

A block ```` ```python ```` is a program by itself. ```` ```python file=NAME ```` is a file that the
page's ```` ```console SHELL ```` blocks run: these are read in the page's order, each in the shell
that it names. `$ python NAME` starts a program, `^C` interrupts it, every other line must be
printed (`...` stands for anything). What runs at the end of the page is interrupted and must end
well.
"""

import ast
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 20
FENCE = re.compile(
    r"^```(?P<kind>python|console)(?P<words>[^\n]*)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL
)

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("own_mesh")]


def pages():
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def fences(page):
    """(kind, words, text, line) of each fenced block that can be run, in order."""
    content = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(content):
        line = content.count("\n", 0, match.start()) + 1
        yield match["kind"], match["words"].split(), match["text"], line


def file_of(words):
    return next((word.removeprefix("file=") for word in words if word.startswith("file=")), None)


def blocks():
    """The programs; `python no-run` keeps one from being run."""
    for page in pages():
        for kind, words, text, line in fences(page):
            if kind == "python" and "no-run" not in words and file_of(words) is None:
                yield pytest.param(text, id=f"{page.relative_to(ROOT)}:{line}")


def stories():
    """The pages that have programs for shells."""
    for page in pages():
        if any(kind == "console" or file_of(words) for kind, words, *_ in fences(page)):
            yield pytest.param(page, id=str(page.relative_to(ROOT)))


def scripts():
    for path in sorted((ROOT / "examples").glob("*.py")):
        yield pytest.param(path, id=path.name)


def runs_forever(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(ast.unparse(node) == "RUN_FOREVER = True" for node in tree.body)


def run(path, folder):
    """Runs a script as a reader would; `own_mesh` keeps it away from other members."""
    return subprocess.run(
        [sys.executable, path],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )


@pytest.mark.parametrize("code", list(blocks()))
def test_block_runs(code, tmp_path):
    script = tmp_path / "block.py"
    script.write_text(code, encoding="utf-8")
    done = run(script, tmp_path)
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout, done.stdout


@pytest.mark.parametrize("page", list(stories()))
def test_shells_show_what_the_page_says(page, shell, tmp_path):
    shells, commands = {}, []
    for kind, words, text, line in fences(page):
        if kind == "python":
            if name := file_of(words):
                (tmp_path / name).write_text(text, encoding="utf-8")
            continue
        assert len(words) == 1, f"{page.name}:{line} names no shell"
        for said in text.splitlines():
            if said.startswith("$ python "):
                commands.append(said.split()[2:])
                if words[0] in shells:
                    shells[words[0]].end()
                shells[words[0]] = shell(*commands[-1], folder=tmp_path)
            elif said == "^C":
                interrupted = shells.pop(words[0])
                interrupted.signal(signal.SIGINT)
                interrupted.end()
            else:
                shells[words[0]].wait_for(said)
    for each in shells.values():
        if each.running:
            each.signal(signal.SIGINT)
        each.end()
    files = {path.name for path in tmp_path.iterdir() if path.suffix == ".py"}
    assert files == {command[0] for command in commands}


@pytest.mark.parametrize("path", list(scripts()))
def test_script_runs(path, tmp_path):
    if runs_forever(path):
        compile(path.read_text(encoding="utf-8"), str(path), "exec")
        return
    done = run(path, tmp_path)
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout, done.stdout


def test_each_example_has_a_test_of_what_it_prints():
    tests = ROOT / "tests" / "examples"
    assert [
        path.name
        for path in sorted((ROOT / "examples").glob("*.py"))
        if not (tests / f"test_{path.name}").is_file()
    ] == []


def test_each_page_is_linked_from_the_index():
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    others = {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert sorted(name for name in others if f"({name})" not in index) == []


def test_links_lead_somewhere():
    """Pages and files of this project."""
    broken = []
    for page in [*pages(), ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\(([^)#\s]*)(?:#[^)\s]*)?\)", page.read_text("utf-8")):
            if target and "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert [link for link in broken if not link.endswith("command.md")] == []
