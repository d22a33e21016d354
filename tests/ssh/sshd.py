"""A private ssh server for the tests: OpenSSH's own where it is installed, else asyncssh's.

It has throwaway keys, listens on loopback, and touches nothing of the machine's own ssh. Every path
in its configuration is full: it changes its directory and runs itself anew for each connection.
"""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin:" + os.environ.get("PATH", ""))
CLIENT = shutil.which("ssh")
ALIASES = ("w1", "w2", "w3", "w4")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_key(path):
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True, timeout=20
    )


class Sshd:
    """A server with the aliases w1 to w4 in ``config``; ``closed`` refuses, ``dark`` swallows."""

    def __init__(self, folder: Path, kind: str):
        self.folder, self.kind = folder, kind
        self.port = free_port()
        self.config = folder / "config"
        make_key(folder / "host")
        make_key(folder / "user")
        shutil.copy(folder / "user.pub", folder / "authorized")
        self._write_config()
        self.process = self._start_system() if kind == "sshd" else self._start_asyncssh()
        self._wait_until_it_answers()

    def _write_config(self):
        common = f"""
            IdentityFile {self.folder}/user
            IdentitiesOnly yes
            IdentityAgent none
            UserKnownHostsFile /dev/null
            StrictHostKeyChecking no
            LogLevel ERROR
            User {getpass.getuser()}
        """
        closed = free_port()
        self.config.write_text(
            textwrap.dedent(f"""
            Host {" ".join(ALIASES)}
                HostName 127.0.0.1
                Port {self.port}
            Host closed
                HostName 127.0.0.1
                Port {closed}
            Host dark
                HostName 192.0.2.1
            Host *
            """)
            + common
        )

    def _start_system(self):
        separation = Path("/run/sshd")
        if os.getuid() == 0 and not separation.exists():
            separation.mkdir(mode=0o755)
        settings = self.folder / "sshd_config"
        settings.write_text(
            textwrap.dedent(f"""
            Port {self.port}
            ListenAddress 127.0.0.1
            HostKey {self.folder}/host
            PidFile {self.folder}/pid
            AuthorizedKeysFile {self.folder}/authorized
            StrictModes no
            UsePAM no
            PasswordAuthentication no
            MaxSessions 100
            """)
        )
        log = open(self.folder / "log", "wb")
        try:
            return subprocess.Popen(
                [SSHD, "-D", "-e", "-f", settings], stdin=subprocess.DEVNULL, stderr=log
            )
        finally:
            log.close()

    def _start_asyncssh(self):
        server = Path(__file__).with_name("asyncssh_server.py")
        return subprocess.Popen(
            [sys.executable, server, str(self.port), self.folder], stdin=subprocess.PIPE
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

    def log(self):
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    def sessions(self):
        """The processes that serve one connection each."""
        import psutil

        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self):
        """Ends it, and all that it has started."""
        import psutil

        left = self.sessions()
        self.process.send_signal(signal.SIGTERM)
        for process in left:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                pass
        self.process.wait(10)
        if self.process.stdin is not None:
            self.process.stdin.close()
