"""Where secrets come from, what is refused, and that no error tells one."""

import os
import subprocess
import sys
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as some

from meshcluster import ConfigError
from meshcluster.runtime.secrets import secrets_of
from meshcluster.security.text import new_key

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
as_root = pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="needs root to be another user"
)
GOOD, OTHER = "correct horse battery", "another long secret"
KEY = new_key()


@pytest.fixture
def secret_file(tmp_path):
    def write(content, mode=0o600):
        path = tmp_path / "secret"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)
        return path

    return write


@pytest.mark.parametrize(
    ("secret", "found"),
    [
        (None, ()),
        ((), ()),
        ([], ()),
        (GOOD, (GOOD.encode(),)),
        (GOOD.encode(), (GOOD.encode(),)),
        (KEY, (KEY.encode(),)),
        (KEY[:4] + KEY[4:].upper(), (KEY.encode(),)),
        ([OTHER, GOOD.encode(), KEY], (OTHER.encode(), GOOD.encode(), KEY.encode())),
        ("zwölf Zeichen hat dies", ("zwölf Zeichen hat dies".encode(),)),
        ("zwo\u0308lf Zeichen hat dies", ("zwölf Zeichen hat dies".encode(),)),
    ],
)
def test_what_may_be_given(secret, found):
    assert secrets_of(secret, {}) == found


def test_the_environment_is_asked_when_nothing_is_given(secret_file):
    path = secret_file(OTHER)
    assert secrets_of(None, {"MESHCLUSTER_SECRET": GOOD}) == (GOOD.encode(),)
    assert secrets_of(None, {"MESHCLUSTER_SECRET_FILE": str(path)}) == (OTHER.encode(),)
    assert secrets_of(OTHER, {"MESHCLUSTER_SECRET": GOOD}) == (OTHER.encode(),)
    assert secrets_of((), {"MESHCLUSTER_SECRET": GOOD}) == ()


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        ({"MESHCLUSTER_SECRET": ""}, "MESHCLUSTER_SECRET: it is empty"),
        ({"MESHCLUSTER_SECRET_FILE": ""}, "MESHCLUSTER_SECRET_FILE is empty: unset it"),
        ({"MESHCLUSTER_SECRET": GOOD, "MESHCLUSTER_SECRET_FILE": "x"}, "both set: unset one"),
        ({"MESHCLUSTER_SECRET_FILE": "/nowhere/x"}, "keygen /nowhere/x' makes it"),
    ],
)
def test_an_environment_that_means_nothing_is_an_error_not_no_secret(environment, text):
    with pytest.raises(ConfigError, match=text):
        secrets_of(None, environment)


def test_a_file_has_a_secret_a_line(secret_file):
    path = secret_file(f"# of the shop, 2026\n\n  {KEY}  \r\n{GOOD}\n#{OTHER}\n")
    assert secrets_of(path, {}) == (KEY.encode(), GOOD.encode())
    assert secrets_of([OTHER, path], {}) == (OTHER.encode(), KEY.encode(), GOOD.encode())


@posix_only
def test_a_file_may_be_reached_by_a_link(secret_file, tmp_path):
    (tmp_path / "link").symlink_to(secret_file(GOOD))
    assert secrets_of(tmp_path / "link", {}) == (GOOD.encode(),)


@posix_only
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o602, 0o610, 0o666])
def test_a_file_that_others_can_use_is_refused(secret_file, mode):
    path = secret_file(GOOD, mode)
    with pytest.raises(ConfigError, match=rf"mode {mode:04o}\): chmod 600 {path}"):
        secrets_of(path, {})


@posix_only
@as_root
def test_a_file_of_somebody_else_is_refused(secret_file):
    path = secret_file(GOOD)
    os.chown(path, 12345, -1)
    with pytest.raises(ConfigError, match="belongs to user 12345: it must be yours or root's"):
        secrets_of(path, {})


AS_ANOTHER = """
import os, sys
from pathlib import Path
from meshcluster.errors import ConfigError
from meshcluster.runtime.secrets import secrets_of
os.setgroups([54321]); os.setresgid(12345, 12345, 12345); os.setresuid(12345, 12345, 12345)
try:
    print(len(secrets_of(Path(sys.argv[1]), {})))
except ConfigError as error:
    print(error)
"""


@posix_only
@as_root
@pytest.mark.process
@pytest.mark.parametrize(
    ("mode", "said"),
    [(0o640, "1"), (0o440, "1"), (0o644, "can be used by others"), (0o660, "used by others"),
     (0o600, "Permission denied")],
)  # fmt: skip
def test_root_may_hand_a_secret_to_a_group(runtime_dir, mode, said):
    runtime_dir.chmod(0o755)
    path = runtime_dir / "secret"
    path.write_text(GOOD)
    os.chown(path, 0, 54321)
    path.chmod(mode)
    done = subprocess.run(
        [sys.executable, "-c", AS_ANOTHER, str(path)], capture_output=True, text=True, timeout=30
    )
    assert said in done.stdout, done.stderr


def test_what_is_no_file_of_secrets_is_refused(secret_file, tmp_path):
    with pytest.raises(ConfigError, match="no secret in it"):
        secrets_of(secret_file("# nothing\n"), {})
    with pytest.raises(ConfigError, match="larger than 65536 bytes"):
        secrets_of(secret_file("#" * 65537), {})
    with pytest.raises(ConfigError, match=r"secret: bytes are .* UTF-8"):
        secrets_of(secret_file(b"\xff" * 20), {})
    with pytest.raises(ConfigError, match="secret, line 2: 5 characters"):
        secrets_of(secret_file(f"{GOOD}\nshort\n"), {})
    with pytest.raises(ConfigError, match=r"not a regular file|Permission"):
        secrets_of(tmp_path, {})


@posix_only
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(ConfigError, match="not a regular file"):
        secrets_of(tmp_path / "pipe", {})


BAD = [
    "",
    "elevenchars",
    " begins with white space",
    "ends with a line end\n",
    "a tab\tis not printable",
    "lone surrogate \udcff here",
    "x" * 1025,
    KEY[:-1],
    KEY + "\n",
    KEY[:-1] + ("a" if KEY[-1] != "a" else "b"),
    b"\xff\xfe bytes that are no text",
]


@pytest.mark.parametrize("secret", BAD)
def test_what_cannot_be_a_secret_is_refused_and_not_told(secret):
    for each in (secret, [GOOD, secret]):
        with pytest.raises(ConfigError, match="secret") as refused:
            secrets_of(each, {})
        told = "".join(traceback.format_exception(refused.value))
        context = refused.value.__context__
        assert context is None
        assert not secret or repr(secret)[2:-2] not in told
        assert GOOD not in told
    if isinstance(secret, str) and secret == "elevenchars":
        assert "at least 12 are needed; 'meshcluster keygen' makes a good one" in told


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        (7, "not int"),
        ({GOOD: 1}, "not dict"),
        ([GOOD, 7], "item 2: .* not int"),
        ([[GOOD]], "item 1: .* not list"),
        ([f"{GOOD} {number}" for number in range(5)], "5 secrets, 4 at most"),
        ([GOOD, GOOD], "twice"),
        ([KEY, "mc1_" + KEY[4:].upper()], "twice"),
    ],
)
def test_what_is_no_secret_at_all_is_refused(secret, text):
    with pytest.raises(ConfigError, match=text) as refused:
        secrets_of(secret, {})
    assert GOOD not in str(refused.value)


@given(some.one_of(some.text(max_size=40), some.binary(max_size=40)))
def test_anything_is_a_secret_or_refused(secret):
    try:
        found = secrets_of(secret, {})
    except ConfigError:
        return
    assert len(found) == 1
    assert secrets_of(found[0], {}) == found


def test_a_path_is_not_taken_for_a_passphrase(secret_file):
    with pytest.raises(ConfigError, match=r"looks like the path of a file: give a pathlib\.Path"):
        secrets_of(str(secret_file(GOOD)), {})
