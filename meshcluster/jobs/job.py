"""``Job``: a name, and what is done on which sites."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from ..errors import ConfigError
from .selector import Selector, flatten, is_name
from .site import Site
from .sites import Sites

Function = Callable[[Any], Any]


class Part(NamedTuple):
    """Functions that were declared together, and the roles they are for."""

    roles: Any
    selector: Selector
    functions: tuple[Function, ...]


class Job:
    """A job: its parts add up, each with its own roles.

    Attributes:
        name: of the job.
        parts: in the order of their declaration.
    """

    def __init__(self, name: str) -> None:
        if not is_name(name):
            raise ConfigError(f"job {name!r:.80}: a name has letters, digits and any of -_.:@/+=")
        self.name = name
        self.parts: list[Part] = []

    def __repr__(self) -> str:
        return f"<Job {self.name} on {self.roles}>"

    def add(self, roles: Any, functions: Any) -> None:
        """Adds a part.

        Raises:
            ConfigError: one of ``functions`` is none.
        """
        texts = list(flatten("roles", roles))
        found = tuple(flatten("actions", functions))
        for function in found:
            if not callable(function):
                raise ConfigError(f"job {self.name!r}: {function!r:.80} is no function")
        self.parts.append(Part(texts, Selector(texts), found))

    @property
    def roles(self) -> str:
        """Whom it is for, in words."""
        words = dict.fromkeys(str(word) for part in self.parts for word in part.roles)
        return ", ".join(words)

    @property
    def about(self) -> str:
        """The first line of the docstring of the first of its functions that has one."""
        for part in self.parts:
            for function in part.functions:
                while isinstance(function, partial):
                    function = function.func
                if text := (function.__doc__ or "").strip():
                    return text.splitlines()[0]
        return ""

    def sites(self, sites: Sites, where: Any) -> list[str]:
        """The names of the sites it matches now, in order, each once."""
        found: dict[str, None] = {}
        for part in self.parts:
            found.update(dict.fromkeys(sites.list(part.roles, where)))
        return [*found]

    def functions(self, site: Site) -> Sequence[Function]:
        """What it does on a site."""
        return [
            function for part in self.parts if part.selector.matches(site.roles)
            for function in part.functions
        ]  # fmt: skip
