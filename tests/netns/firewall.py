"""Rules of one namespace's packet filter, replaced together."""

from collections.abc import Callable, Sequence


class Firewall:
    """Chains named by their hook: ``input`` and ``output`` of a host, ``forward`` of a bridge."""

    def __init__(self, run: Callable[..., str], family: str, chains: Sequence[str]) -> None:
        self._run = run
        self._family = family
        self._rules: dict[str, list[str]] = {chain: [] for chain in chains}

    def add(self, chain: str, *rules: str) -> None:
        """Adds rules in nft's words, such as ``udp dport 5353 drop``."""
        self._rules[chain] += rules
        self._load()

    def clear(self) -> None:
        """Lets everything through."""
        for rules in self._rules.values():
            rules.clear()
        self._load()

    def _load(self) -> None:
        name = f"table {self._family} chaos"
        lines = [name, f"delete {name}", name + " {"]
        for chain, rules in self._rules.items():
            lines += [f"chain {chain} {{", f"type filter hook {chain} priority 0", *rules, "}"]
        self._run("nft", "-f", "-", text="\n".join([*lines, "}\n"]))
