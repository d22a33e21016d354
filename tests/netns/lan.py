"""A local network: hosts on a bridge, and what happens to cables and switches."""

from collections.abc import Iterable, Iterator

from .capture import PROGRAM, Capture
from .firewall import Firewall
from .host import Host

MULTICAST = "meta pkttype { multicast, broadcast }"


class Lan:
    """A bridge in a namespace of its own. Hosts are ``10.77.0.1``, ``10.77.0.2`` and so on in the
    first network, ``10.78...`` in the second; with ``ipv6`` each has a link-local address too.
    """

    def __init__(self, switch: Host, place: int, *, ipv4: bool = True, ipv6: bool = True) -> None:
        self.switch = switch
        self.subnet = f"10.{77 + place}.0"
        self.ipv4 = ipv4
        self.ipv6 = ipv6
        self.numbers: dict[Host, int] = {}
        self._ports: dict[Host, str] = {}
        self._firewall = Firewall(switch.run, "bridge", ("forward",))
        switch.sysctl("ipv6/conf/default/disable_ipv6", 1)  # the switch itself says nothing
        switch.ip("link add br0 type bridge mcast_snooping 0", "link set br0 up")

    def connect(self, host: Host) -> Host:
        """Puts a cable between a host's next interface and the switch."""
        number = len(self.numbers) + 1
        port, interface = f"v{number}", f"eth{len(host.lans)}"
        self.switch.ip(
            f"link add {port} type veth peer name {interface} netns {host.name}",
            f"link set {port} master br0 up",
        )
        self.numbers[host] = number
        self._ports[host] = port
        host.attach(self, number)
        return host

    @property
    def hosts(self) -> list[Host]:
        """In the order of their cables."""
        return list(self.numbers)

    def __iter__(self) -> Iterator[Host]:
        return iter(self.hosts)

    def address_of(self, host: Host) -> str:
        """A host's IPv4 address here."""
        return f"{self.subnet}.{self.numbers[host]}"

    # --- what happens ------------------------------------------------------------------------

    def unplug(self, *hosts: Host) -> None:
        """Cable out: the host sees no carrier."""
        self.switch.ip(*(f"link set {self._ports[host]} down" for host in hosts))

    def plug(self, *hosts: Host) -> None:
        """Cable in."""
        self.switch.ip(*(f"link set {self._ports[host]} up" for host in hosts))

    def cut(self, sources: Iterable[Host], targets: Iterable[Host]) -> None:
        """Nothing goes from these to those; the other way it does."""
        self._firewall.add(
            "forward", f"iifname {self._set(sources)} oifname {self._set(targets)} drop"
        )

    def partition(self, some: Iterable[Host], others: Iterable[Host]) -> None:
        """Nothing goes between these and those."""
        some, others = list(some), list(others)
        self.cut(some, others)
        self.cut(others, some)

    def drop(self, *rules: str) -> None:
        """Frames that the switch drops, in nft's words, such as ``udp dport 5353``."""
        self._firewall.add("forward", *(f"{rule} drop" for rule in rules))

    def drop_multicast(self) -> None:
        """As a bad access point: unicast works, and multicast does not but for finding addresses
        (ARP, IPv6 neighbours).
        """
        self.drop(f"ether type ip {MULTICAST}", f"ether type ip6 {MULTICAST} meta l4proto udp")

    def heal(self) -> None:
        """The switch lets everything through again."""
        self._firewall.clear()

    def isolate(self, *hosts: Host) -> None:
        """As an access point that isolates its clients: these do not see each other."""
        for host in hosts or self.hosts:
            self._port(host, "isolated on")

    def deafen(self, host: Host) -> None:
        """A host gets no multicast."""
        self._port(host, "mcast_flood off")

    def _port(self, host: Host, setting: str) -> None:
        words = f"link set dev {self._ports[host]} {setting}".split()
        self.switch.ground.run("bridge", "-n", self.switch.name, *words)

    def capture(self) -> Capture:
        """Begins to note what the hosts send."""
        return Capture(self.switch.script(PROGRAM), self._ports)

    def _set(self, hosts: Iterable[Host]) -> str:
        return "{ " + ", ".join(f'"{self._ports[host]}"' for host in hosts) + " }"
