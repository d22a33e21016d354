"""``Sites``: who there is, by role."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

from ..errors import ConfigError
from ..live import Live
from ..model import Service
from .following import Following, Via
from .nearest import nearest
from .selector import Selector, is_name, names_of
from .site import Site, checked, copied

Words = Any
"""A text, or texts in nested lists."""
Names = list[str]
Merge = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any] | None]
_LOG = logging.getLogger("meshcluster.jobs")
_LIVE = 1 << 62
"""When members of the mesh have joined their roles: after all others."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A site as it is kept. Its dicts are never changed: a new entry takes its place.

    ``roles``: when it joined each, as a number that counts on.
    """

    roles: Mapping[str, int]
    config: Mapping[str, Any]
    service: Service | None = None
    live: Live | None = None


class Sites:
    """Sites and their roles. A site is at once in a role of its own name; sites and roles share
    their names. It may be used from any thread, and by several ``Jobs`` at once.

    Names have letters, digits and any of ``-_.:@/+=``; anything else raises ``ConfigError``.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._static: dict[str, _Entry] = {}
        self._shared: Counter[str] = Counter()
        """In how many sites' roles each is that is not the site's own name."""
        self._defaults: dict[tuple[str, str], Any] = {}
        self._following: dict[Following, Callable[[], None]] = {}
        self._watchers: dict[object, Callable[[], object]] = {}
        self._joins = 0

    def __repr__(self) -> str:
        return f"<Sites {len(self)}>"

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Sites:
        """The sites of a TOML file: see ``meshcluster.jobs.inventory``.

        Raises:
            ConfigError: something in it cannot work; the text names file, table and key.
            OSError: it cannot be read.
        """
        from .inventory import load

        return load(path)

    # --- they are changed ---------------------------------------------------------------------

    def add(
        self, names: Words, roles: Words = (), config: Mapping[str, Any] | None = None, *,
        merge: Merge | None = None, **more: Any,
    ) -> None:  # fmt: skip
        """Adds sites: all of them get all of the roles, and a copy of config each.

        Of a site that there is already, keys of config replace those of the same name, whole, and
        roles are added. All is done, or nothing where this raises.

        Args:
            names, roles: texts, or texts in nested lists. Roles may be left out before config.
            config: what ``Site.config`` then has. Copied deep, but for objects that say
                ``shared = True`` of themselves, which stay the same.
            merge: called with copies of the config of a site that there is already and of the new
                one; it changes the first, or returns another dict.
            more: further keys of config.

        Raises:
            ConfigError: a name or a key cannot work; the text says which and what would.
        """
        if isinstance(roles, Mapping) and config is None:
            roles, config = (), roles
        sites, joined = names_of("names", names), names_of("roles", roles)
        self._add(sites, joined, config, merge, more)

    def update(
        self, selected: Words, roles: Words = (), config: Mapping[str, Any] | None = None, *,
        merge: Merge | None = None, **more: Any,
    ) -> Names:  # fmt: skip
        """``add`` to whatever ``list(selected)`` is now; who comes into these roles later gets
        nothing (``defaults`` does that). No site is made. Members of the mesh, which were not
        added, are left as they are. Returns the names of the sites that were updated.

        Raises:
            ConfigError: see ``add`` and ``list``.
        """
        if isinstance(roles, Mapping) and config is None:
            roles, config = (), roles
        joined = names_of("roles", roles)
        return self._add(tuple(self.list(selected)), joined, config, merge, more, new=False)

    def _add(
        self, sites: tuple[str, ...], roles: tuple[str, ...], config: Any, merge: Merge | None,
        more: Mapping[str, Any], *, new: bool = True,
    ) -> Names:  # fmt: skip
        """``new``: sites are made too. Returns those that are now as they should be."""
        shown = f"site {sites[0]!r}" if len(sites) == 1 else f"sites {', '.join(sites)[:80]}"
        given = checked(shown, config, more)
        with self._lock:
            sites = tuple(name for name in sites if new or name in self._static)
            made = {name: self._made(name, roles, given, merge) for name in sites}
            before = self._collisions((*sites, *roles))
            for name, entry in made.items():
                self._put(name, entry)
            for name in sorted(self._collisions((*sites, *roles)) - before):
                _LOG.warning("%s is the name of a site, and a role of others", name)
        self._tell()
        return [*sites]

    def _made(
        self, name: str, roles: tuple[str, ...], given: dict[str, Any], merge: Merge | None
    ) -> _Entry:
        """A site as it will be."""
        shown = f"site {name!r}"
        old, config = self._static.get(name), copied(shown, given)
        if old is not None and merge is not None:
            before = copied(shown, dict(old.config))
            merged = merge(before, config)
            config = checked(shown, before if merged is None else merged, {})
        elif old is not None:
            config = {**old.config, **config}
        has = dict(old.roles) if old is not None else {}
        for role in (name, *roles):
            if role not in has:
                self._joins += 1
                has[role] = self._joins
        return _Entry(has, config)

    def _put(self, name: str, entry: _Entry | None) -> None:
        old = self._static.pop(name, None) if entry is None else self._static.get(name)
        if old is not None:
            self._shared.subtract(role for role in old.roles if role != name)
        if entry is not None:
            self._static[name] = entry
            for following in self._following:
                following.there_is(name)
            self._shared.update(role for role in entry.roles if role != name)
        if old is not None:
            for role in old.roles:
                if not self._shared[role]:
                    del self._shared[role]

    def _collisions(self, names: Collection[str]) -> set[str]:
        """Those of the names that a site has, and a role of others."""
        return {name for name in names if name in self._static and self._shared[name]}

    def remove(self, names: Words) -> None:
        """Takes sites away. Whoever runs a job there is told that it has left.

        Raises:
            ConfigError: there is no such site, or it is a member of the mesh, which comes and goes
                by itself; nothing was removed.
        """
        with self._lock:
            for name in (sites := self._known(names)):
                self._put(name, None)
        if sites:
            self._tell()

    def discard_roles(self, names: Words, roles: Words) -> None:
        """Takes roles from sites; those that they have not are none to them.

        Raises:
            ConfigError: there is no such site; or the role is its own name. Nothing was changed.
        """
        gone = set(names_of("roles", roles))
        with self._lock:
            sites = self._known(names)
            if own := sorted(gone.intersection(sites)):
                raise ConfigError(f"roles={own[0]!r}: every site is in the role of its own name")
            for name in sites:
                entry = self._static[name]
                left = {role: when for role, when in entry.roles.items() if role not in gone}
                self._put(name, replace(entry, roles=left))
        self._tell()

    def _known(self, names: Words) -> tuple[str, ...]:
        sites = names_of("names", names)
        for name in sites:
            if name not in self._static:
                raise ConfigError(f"there is no site {name!r} that was added"
                                  f"{nearest(name, self._static)}")  # fmt: skip
        return sites

    def defaults(
        self, roles: Words, config: Mapping[str, Any] | None = None, **more: Any
    ) -> None:  # fmt: skip
        """What sites with one of these roles have where their own config says nothing: also those
        that come into the role later, and only as long as they are in it. Of two defaults for one
        key the one that was set last counts.

        Raises:
            ConfigError: a role's name or a key cannot work.
        """
        named = names_of("roles", roles)
        given = checked(f"defaults of {', '.join(named)[:80]}", config, more)
        with self._lock:
            for role in named:
                for key, value in given.items():
                    self._defaults.pop((role, key), None)
                    self._defaults[role, key] = value
        self._tell()

    # --- members of the mesh ------------------------------------------------------------------

    def follow(
        self, live: Live, *, via: Via = "mesh", roles: Words = (),
        config: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Has members of the mesh as sites, as long as they are there. Each is called by its name
        (what names may not have becomes ``_``), and where another is called so by its name and the
        first 8 digits of its id; its roles are that name, its tags (those that can be names) and
        ``roles``. One that is followed twice is one site, as the first says, with the roles of
        both. Tags are the members' own word: whoever may join may take a role by them.

        Args:
            live: what ``cluster.live("compute")`` returns.
            via: how they are reached: "mesh"; "ssh", plain ssh to the member's address; or a
                function that gets the ``Service`` and returns keys of config (a host among them
                means ssh), or None: that one is left out. One for which it raises is left out too,
                and that is logged. It is called whenever sites are looked up.
            roles: more roles for each of them.
            config: for each of them.

        Raises:
            ConfigError: one of these cannot work.
        """
        following = Following(live, via=via, roles=names_of("roles", roles), config=config)

        def lost(service: Service) -> None:
            with self._lock:
                following.lost(service)

        end = live.watch(self._tell, lost=lost)
        with self._lock:
            self._following[following] = end
        self._tell()

    def close(self) -> None:
        """Follows the mesh no longer: its members are no sites any more. May be called twice."""
        with self._lock:
            ends = [*self._following.values()]
            self._following.clear()
        for end in ends:
            end()
        if ends:
            self._tell()

    def __enter__(self) -> Sites:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # --- they are looked up -------------------------------------------------------------------

    def list(self, roles: Words | None = None, where: Words | None = None) -> Names:
        """The names of the sites with one of these roles: see ``meshcluster.jobs.selector``.

        Each once, in the order of the words: those of a role in the order in which they joined it,
        those of an expression in the order of the sites. A role that nobody has means nobody.

        Args:
            roles: None: all sites.
            where: only those that these words mean too.

        Raises:
            ConfigError: the words cannot be understood.
        """
        among = None if where is None else Selector(where)
        wanted = None if roles is None else Selector(roles)
        entries = {
            name: entry for name, entry in self._entries().items()
            if among is None or among.matches(entry.roles)
        }  # fmt: skip
        if wanted is None:
            return [*entries]
        found: dict[str, None] = {}
        for term in wanted.terms:
            names = [name for name, entry in entries.items() if term.test(entry.roles)]
            if (role := term.role) is not None:
                names.sort(key=lambda name: entries[name].roles[role])
            found.update(dict.fromkeys(names))
        return [*found]

    def get(self, name: str) -> Site | None:
        """A copy of a site, with the defaults of its roles; None where there is none of this name.
        A role is no site.
        """
        entry = self._entries(name).get(name)
        return None if entry is None else self._site(name, entry)

    def __iter__(self) -> Iterator[Site]:
        return iter([self._site(name, entry) for name, entry in self._entries().items()])

    def __len__(self) -> int:
        return len(self._entries())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._entries(name)

    def roles(self) -> dict[str, Names]:
        """The names of the sites in each role, as ``list`` has them."""
        entries = self._entries()
        found: dict[str, Names] = {}
        for name, entry in entries.items():
            for role in entry.roles:
                found.setdefault(role, []).append(name)
        for role, names in found.items():
            names.sort(key=lambda name: entries[name].roles[role])
        return found

    def fate(self, name: str) -> str:
        """What became of a site: "" as long as it is there; "lost": it was a member of the mesh and
        did not take its leave, or we have left the mesh ourselves; "left": it took its leave, has
        lost the words that were followed, or was removed; or there never was one.
        """
        if name in self:
            return ""
        with self._lock:
            lost = any(following.has_lost(name) for following in self._following)
        return "lost" if lost else "left"

    def watch(self, changed: Callable[[], object]) -> Callable[[], None]:
        """Has ``changed`` called whenever sites may be others, on whatever thread that happens.
        What it raises is logged. What is returned ends it.
        """
        key = object()
        with self._lock:
            self._watchers[key] = changed

        def end() -> None:
            with self._lock:
                self._watchers.pop(key, None)

        return end

    def _tell(self) -> None:
        with self._lock:
            watchers = [*self._watchers.values()]
        for changed in watchers:
            try:
                changed()
            except Exception:
                _LOG.exception("who watches the sites raised")

    def _entries(self, only: str | None = None) -> dict[str, _Entry]:
        """All sites now; ``only``: members of another name need not be among them."""
        with self._lock:
            if only is not None and (entry := self._static.get(only)) is not None:
                return {only: entry}  # a member has another name then
            entries = dict(self._static)
            members = self._members()
        for service, (name, following, roles) in members.items():
            if only in (None, name) and (config := following.way(service)) is not None:
                entries[name] = _Entry(roles, config, service, following.live)
        return entries

    def _members(self) -> dict[Service, tuple[str, Following, dict[str, int]]]:
        """Each member that is followed: its name, by whom it was first, its roles."""
        found: dict[Service, tuple[str, Following, dict[str, int]]] = {}
        taken = set(self._static)
        for following in self._following:
            members = following.members()
            names = following.names([each for each in members if each not in found], taken)
            taken.update(names.values())
            for service, name in names.items():
                found[service] = name, following, {name: _LIVE}
            for service in members:
                if service in found:
                    tags = filter(is_name, service.tags)
                    roles = dict.fromkeys((*tags, *following.roles), _LIVE)
                    found[service][2].update(roles)
        return found

    def _site(self, name: str, entry: _Entry) -> Site:
        with self._lock:
            defaults = {
                key: value for (role, key), value in self._defaults.items() if role in entry.roles
            }
        config = copied(f"site {name!r}", {**defaults, **entry.config})
        config["name"] = name
        return Site(name, tuple(entry.roles), config, entry.service, entry.live)
