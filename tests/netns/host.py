"""A host: a network namespace with a runtime directory of its own."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .firewall import Firewall
from .ground import Ground
from .process import Process

if TYPE_CHECKING:
    from .lan import Lan

JOINED = Path(__file__).with_name("joined.py")
COMMAND_SECONDS = 40
MULTICAST = ("ip daddr 224.0.0.0/4 drop", "ip6 daddr ff00::/8 udp dport 1-65535 drop")


class Host:
    """Its processes end and its namespace is removed with ``close``."""

    def __init__(self, ground: Ground, runtime_dir: Path, *loopback: str) -> None:
        self.ground = ground
        self.name = ground.name()
        self.runtime_dir = runtime_dir / self.name
        self.lans: list[Lan] = []
        """In the order of its interfaces: eth0, eth1, ..."""
        self._processes: list[Process] = []
        self._stack = contextlib.ExitStack()
        ground.run("ip", "netns", "add", self.name)
        self._stack.callback(ground.run, "ip", "netns", "del", self.name)
        self.firewall = Firewall(self.run, "inet", ("input", "output"))
        # Duplicate address detection would keep a link-local address from us for two seconds.
        self.sysctl("ipv6/conf/default/accept_dad", 0)
        for state in loopback or ["up"]:
            self.ip(f"link set lo {state}")

    def sysctl(self, key: str, value: int) -> None:
        """Sets one below net, such as ``ipv4/ip_forward``."""
        self.run("sh", "-c", f"echo {value} > /proc/sys/net/{key}")

    # --- running -----------------------------------------------------------------------------

    def inside(self, *command: str) -> list[str]:
        """The words that run a command on this host."""
        return [*self.ground.enter, "ip", "netns", "exec", self.name, *command]

    @property
    def environment(self) -> dict[str, str]:
        """Of processes on this host."""
        return {**os.environ, "MESHCLUSTER_RUNTIME_DIR": str(self.runtime_dir)}

    def run(self, *command: str, text: str | None = None) -> str:
        """Runs a command to its end, which must be good."""
        return self.ground.run("ip", "netns", "exec", self.name, *command, text=text)

    def ip(self, *lines: str) -> None:
        """Runs commands of ``ip``, without that word."""
        self.ground.run("ip", "-n", self.name, "-batch", "-", text="\n".join(lines) + "\n")

    def start(self, *command: str) -> Process:
        """Starts a program as ``Process`` wants it; ended with this host."""
        process = Process(self.inside(*command), self.environment)
        self._processes.append(process)
        self._stack.callback(process.end)
        return process

    def script(self, code: str, *arguments: str) -> Process:
        """The same, for Python code; waits until it is ready."""
        process = self.start(sys.executable, "-c", code, *arguments)
        process.ready()
        return process

    def join(self, name: str, *, wait: bool = True, **options: Any) -> Process:
        """A member in a process, which answers expressions (``joined.py``); options are ``join``'s.

        Without ``wait`` it is still starting: ``ready()`` waits for it, and so does ``ask``.
        """
        process = self.start(sys.executable, "-P", str(JOINED), name, json.dumps(options))
        if wait:
            process.ready()
        return process

    def meshcluster(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs our command to its end, in a pipe."""
        return self.python("-m", "meshcluster", *arguments)

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs Python to its end, whatever its exit code."""
        return subprocess.run(
            self.inside(sys.executable, *arguments), env=self.environment, check=False,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=COMMAND_SECONDS,
        )  # fmt: skip

    # --- network -----------------------------------------------------------------------------

    @property
    def address(self) -> str:
        """Its IPv4 address in its first network."""
        return self.lans[0].address_of(self)

    @property
    def mac(self) -> str:
        """Its address in Ethernet in its first network."""
        return json.loads(self.run("ip", "-j", "link", "show", "dev", "eth0"))[0]["address"]

    @property
    def link_local(self) -> str:
        """Its IPv6 address in its first network, with the interface as we write it."""
        shown = self.run("ip", "-j", "-6", "addr", "show", "dev", "eth0", "scope", "link")
        return json.loads(shown)[0]["addr_info"][0]["local"] + "%eth0"

    def attach(self, lan: Any, number: int, *lines: str) -> str:
        """Sets its next interface up, which is there already or made by these lines; its name."""
        interface = f"eth{len(self.lans)}"
        if lines:
            self.ip(*lines)
        if not lan.ipv6:
            self.sysctl(f"ipv6/conf/{interface}/disable_ipv6", 1)
        setting = [f"link set {interface} up"]
        if lan.ipv4:
            setting.append(f"addr add {lan.subnet}.{number}/16 dev {interface}")
            if not self.lans:
                setting.append(f"route add 224.0.0.0/4 dev {interface}")
        self.ip(*setting)
        self.lans.append(lan)
        return interface

    def readdress(self, lan: "Lan", number: int) -> None:
        """Another IPv4 address in a network, as after a new lease."""
        interface = f"eth{self.lans.index(lan)}"
        old, new = lan.address_of(self), f"{lan.subnet}.{number}"
        lan.numbers[self] = number
        lines = [f"addr del {old}/16 dev {interface}", f"addr add {new}/16 dev {interface}"]
        if lan is self.lans[0]:
            lines.append(f"route replace 224.0.0.0/4 dev {interface}")
        self.ip(*lines)

    def drop(self, chain: str, *rules: str) -> None:
        """Rules of its packet filter for ``input`` or ``output``, without the word drop."""
        self.firewall.add(chain, *(f"{rule} drop" for rule in rules))

    def drop_multicast(self, chain: str = "input", interface: str = "") -> None:
        """Multicast datagrams are dropped, everywhere or at one interface."""
        side = "iifname" if chain == "input" else "oifname"
        where = f"{side} {interface} " if interface else ""
        self.firewall.add(chain, *(where + rule for rule in MULTICAST))

    def lose(self, percent: int) -> None:
        """So many of the packets that come from elsewhere are lost."""
        self.drop("input", f'iifname != "lo" numgen random mod 100 < {percent}')

    def heal(self) -> None:
        """Its packet filter lets everything through again."""
        self.firewall.clear()

    def slow(self, rate: str = "1mbit") -> None:
        """Limits the rate of its first interface."""
        words = f"qdisc replace dev eth0 root tbf rate {rate} burst 16kbit latency 50ms".split()
        self.ground.run("tc", "-n", self.name, *words)

    def release(self) -> None:
        """Lets its processes begin to end."""
        for process in self._processes:
            process.release()

    def close(self) -> None:
        """Ends its processes and removes it."""
        self._stack.close()
