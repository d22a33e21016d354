"""A private ssh server for the tests: OpenSSH's own, or one of asyncssh.

It has throwaway keys, listens on loopback, and touches nothing of the machine's own ssh. Every path
in its configuration is full: it changes its directory and runs itself anew for each connection.
"""

import getpass
import os
import shutil
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin:" + os.environ.get("PATH", ""))
CLIENT = shutil.which("ssh")
ALIASES = ("w1", "w2", "w3", "w4")
MADE_BY_US = 0o711


class Separation:
    """The folder that a server of root's insists on. Machines whose own server never ran have none;
    then the last test process that used it takes it away again.
    """

    def __init__(self, path=Path("/run/sshd")):
        import fcntl

        self._path, self._lock = path, fcntl.flock
        self._fd = -1
        while self._fd < 0:
            if not path.exists():
                path.mkdir(mode=MADE_BY_US)
            self._fd = os.open(path, os.O_RDONLY)
            self._lock(self._fd, fcntl.LOCK_SH)
            if not path.exists() or not os.path.samestat(os.fstat(self._fd), path.stat()):
                os.close(self._fd)  # another one has just taken it away
                self._fd = -1

    def leave(self):
        import fcntl

        try:
            self._lock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self._path.stat().st_mode & 0o777 == MADE_BY_US:
                self._path.rmdir()
        except OSError:  # somebody else is in it
            pass
        finally:
            os.close(self._fd)


def bound():
    """A socket on loopback, and its port."""
    each = socket.socket()
    each.bind(("127.0.0.1", 0))
    return each, each.getsockname()[1]


def make_key(path):
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True, timeout=20
    )


class Sshd:
    """A server with the aliases w1 to w4 in ``config``; ``closed`` refuses, ``dark`` swallows."""

    def __init__(self, folder: Path, kind: str):
        self.folder, self.kind = folder, kind
        self.config = folder / "config"
        probe, self.port = bound()
        probe.close()
        self._closed, closed = bound()  # what is bound and does not listen refuses
        self._dark, dark = bound()
        self._dark.listen(100)  # nobody ever takes these calls
        make_key(folder / "host")
        make_key(folder / "user")
        shutil.copy(folder / "user.pub", folder / "authorized")
        self._write_config(closed, dark)
        self._separation = None
        self.process = self._start_system() if kind == "sshd" else self._start_asyncssh()
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.stop()
            raise

    def _write_config(self, closed, dark):
        hosts = {" ".join(ALIASES): self.port, "closed": closed, "dark": dark}
        text = "".join(
            f"Host {names}\n    HostName 127.0.0.1\n    Port {port}\n"
            for names, port in hosts.items()
        )
        text += textwrap.dedent(f"""\
            Host *
                IdentityFile {self.folder}/user
                IdentitiesOnly yes
                IdentityAgent none
                UserKnownHostsFile /dev/null
                GlobalKnownHostsFile /dev/null
                StrictHostKeyChecking no
                LogLevel ERROR
                User {getpass.getuser()}
            """)
        self.config.write_text(text)

    def _start_system(self):
        if os.getuid() == 0:
            self._separation = Separation()
        settings = self.folder / "sshd_config"
        settings.write_text(
            textwrap.dedent(f"""\
            Port {self.port}
            ListenAddress 127.0.0.1
            HostKey {self.folder}/host
            PidFile {self.folder}/pid
            AuthorizedKeysFile {self.folder}/authorized
            StrictModes no
            UsePAM no
            PasswordAuthentication no
            MaxStartups 100
            MaxSessions 100
            SetEnv SHLVL=2
            """)  # the last has bash leave out ~/.bashrc, which may take its time
        )
        with open(self.folder / "log", "wb") as log:
            return subprocess.Popen(
                [SSHD, "-D", "-e", "-f", settings], stdin=subprocess.DEVNULL, stderr=log
            )

    def _start_asyncssh(self):
        server = Path(__file__).with_name("asyncssh_server.py")
        with open(self.folder / "log", "wb") as log:
            return subprocess.Popen(
                [sys.executable, server, str(self.port), self.folder],
                stdin=subprocess.PIPE,
                stderr=log,
            )

    def _wait_until_it_answers(self):
        until = time.monotonic() + 20
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as stream:
                    stream.settimeout(5)
                    if stream.recv(4) == b"SSH-":
                        return
            except OSError:
                if time.monotonic() > until or self.process.poll() is not None:
                    raise AssertionError(self.log()) from None
                time.sleep(0.01)

    def log(self):
        return (self.folder / "log").read_text()

    def sessions_of(self, pid):
        """The processes of the server that stand between a client and its command."""
        above = psutil.Process(pid).parents()
        pids = [process.pid for process in above]
        return above[: pids.index(self.process.pid)]

    def stop(self):
        """Ends it, and all that it has started."""
        try:
            left = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            left = []
        self.process.terminate()
        for process in left:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                pass
        self.process.wait(10)
        psutil.wait_procs(left, 10)
        if self.process.stdin is not None:
            self.process.stdin.close()
        self._closed.close()
        self._dark.close()
        if self._separation is not None:
            self._separation.leave()
