"""Every example that a reader may copy is run: in README.md, in docs/ and in examples/.

A block ```` ```python ```` is a program by itself. ```` ```python file=NAME ```` is a file that the
page's ```` ```console SHELL ```` blocks run: these are read in the page's order, each in the shell
that it names. `$ COMMAND` starts a command once the shell's last one has ended well, `$ echo $?`
waits for that end and looks at its exit code, `^C` interrupts it. Every other line must be printed
(`...` stands for anything). At the end of the page, which has a mesh of its own, all must end by
itself or have been interrupted. Every other block has its reason in `NOT_RUN`.
"""

import ast
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 20
INTERRUPTED = 130
FENCE = re.compile(
    r"^(?P<mark>```|~~~)(?P<kind>[^\s`]*)(?P<words>[^\n]*)\n(?P<text>.*?)^(?P=mark)$",
    re.MULTILINE | re.DOTALL,
)
INDENTED = re.compile(r"(?:\A|(?<=\n\n))(?: {4}|\t)[^\n]*")
RUN = {"python", "console", "toml"}
NOT_RUN = {
    "README.md: python3 -m venv": "the first two steps of .ci/run, which reads them there",
    "docs/quickstart.md: python3 -m venv": "installs from the network, as .ci/run does",
    "docs/membership-figures.md: python -m benchmarks membership": "takes hours; "
    "tests/benchmarks runs a small one",
    "docs/fuzzing.md: python -m tests.fuzz": "takes an hour; tests/fuzz runs a twentieth in CI",
}
"""By page and the first words of a block."""

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("own_mesh")]


def pages():
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def fences(page):
    """(kind, words, text, line) of each fenced block, in order."""
    content = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(content):
        line = content.count("\n", 0, match.start()) + 1
        yield match["kind"], match["words"].split(), match["text"], line


def file_of(words):
    return next((word.removeprefix("file=") for word in words if word.startswith("file=")), None)


def blocks():
    """The programs."""
    for page in pages():
        for kind, words, text, line in fences(page):
            if kind == "python" and file_of(words) is None:
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


class Story:
    """A page's shells, by name, and what was begun in them."""

    def __init__(self, shell, folder):
        self.commands = []
        self._shells, self._interrupted = {}, set()
        self._shell, self._folder = shell, folder

    def play(self, name, text):
        """One block."""
        lines = iter(text.splitlines())
        for said in lines:
            if said == "$ echo $?":
                self._end(name, int(next(lines)))
            elif said.startswith("$ "):
                self._end(name)
                self.commands.append(said.removeprefix("$ "))
                self._shells[name] = self._shell(
                    "-c", self.commands[-1], program="bash", folder=self._folder
                )
            elif said == "^C":
                self._shells[name].signal(signal.SIGINT)
                self._interrupted.add(name)
            else:
                self._shells[name].wait_for(said)

    def finish(self):
        for name in list(self._shells):
            self._end(name)

    def _end(self, name, *codes):
        interrupted = name in self._interrupted
        self._interrupted.discard(name)
        if name in self._shells:
            self._shells.pop(name).end(*codes or (0, INTERRUPTED)[: 1 + interrupted])


@pytest.mark.parametrize("page", list(stories()))
def test_shells_show_what_the_page_says(page, shell, tmp_path):
    story = Story(shell, tmp_path)
    for kind, words, text, line in fences(page):
        if kind == "python" and (name := file_of(words)):
            (tmp_path / name).write_text(text, encoding="utf-8")
        elif kind == "console":
            assert len(words) == 1, f"{page.name}:{line} names no shell"
            story.play(words[0], text)
    story.finish()
    files = {path.name for path in tmp_path.iterdir() if path.suffix == ".py"}
    run = {
        name
        for each in story.commands
        for name in re.findall(r"^(?:python|meshcluster jobs) (\S+)", each)
    }
    assert files == run


@pytest.mark.parametrize("page", [page for page in pages() if "```toml" in page.read_text("utf-8")])
def test_an_entry_point_leads_to_the_pages_protocol(page, tmp_path):
    """A package as pip would leave it: the page's entry point, and its program as the module."""
    found = list(fences(page))
    (text,) = [text for kind, _, text, _ in found if kind == "toml"]
    points = tomllib.loads(text)["project"]["entry-points"]["meshcluster.protocols"]
    ((scheme, target),) = points.items()
    module, _, name = target.partition(":")
    (code,) = [text for kind, _, text, _ in found if kind == "python" and f"class {name}" in text]
    (tmp_path / f"{module}.py").write_text(code.partition("\nregistry.")[0], encoding="utf-8")
    info = tmp_path / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[meshcluster.protocols]\n{scheme} = {target}\n")
    program = tmp_path / "program.py"
    program.write_text(
        f"import meshcluster\nwith meshcluster.join(protocols=[{scheme!r}]) as one:\n"
        f"    with meshcluster.join(protocols=[{scheme!r}]) as two:\n"
        "        print(one.wait_for_services()[0].protocol)\n"
    )
    done = run(program, tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{scheme}\n")


def unrun_blocks():
    """(page and first line) of each block of code that nothing above runs."""
    for page in pages():
        name = page.relative_to(ROOT).as_posix()
        for kind, words, text, _ in fences(page):
            if kind not in RUN or (words and kind == "python" and file_of(words) is None):
                yield f"{name}: {text.lstrip()}".splitlines()[0]
        for match in INDENTED.finditer(FENCE.sub("", page.read_text(encoding="utf-8"))):
            yield f"{name}: {match[0].lstrip()}"


def test_each_block_is_run_or_has_a_reason_why_not():
    unrun = list(unrun_blocks())
    assert [block for block in unrun if not block.startswith(tuple(NOT_RUN))] == []
    assert [known for known in NOT_RUN if not any(b.startswith(known) for b in unrun)] == []


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
