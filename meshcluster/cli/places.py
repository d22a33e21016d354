"""Where commands run: the sites that are meant by ``--ssh``, ``--sites``, ``--local``, or by words
about members of the mesh.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from .observing import observer, settle
from .options import Settings, text

if TYPE_CHECKING:
    from ..jobs.sites import Sites
    from ..sync.cluster import Cluster

SHOWN = 8
"""So many names are written out."""


def hosts(twice: str) -> Callable[..., list[str]]:
    """Checks the hosts of an option, which may be separated by commas. ``twice``: what to say of
    one that is there twice.
    """

    def check(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> list[str]:
        from ..errors import ConfigError
        from ..ssh.server import parse

        words = [word.strip() for each in given for word in text(ctx, param, each).split(",")]
        found = [word for word in words if word]
        if given and not found:
            raise click.BadParameter("which host?", ctx, param)
        for word in found:
            try:
                parse(word)
            except ConfigError as error:
                raise click.BadParameter(str(error), ctx, param) from None
            if found.count(word) > 1:
                raise click.BadParameter(f"{word!r} twice: {twice}", ctx, param)
        return found

    return check


def roles(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """Checks words about roles."""
    if given:
        from ..errors import ConfigError
        from ..jobs.selector import Selector

        try:
            for each in given:
                Selector(text(ctx, param, each))
        except ConfigError as error:
            raise click.BadParameter(str(error), ctx, param) from None
    return given


def client_is_here() -> None:
    """Checks that there is an ssh client.

    Raises:
        ClickException: there is none.
    """
    if shutil.which("ssh") is None:
        raise click.ClickException("no ssh client is found: OpenSSH's has to be in the PATH")


def ssh_keys(settings: Settings, ssh_config: str | None) -> dict[str, Any]:
    """What each site behind ssh is told: ssh counts in whole seconds."""
    keys: dict[str, Any] = {"connect_timeout": max(1.0, settings.timeout)}
    return keys if ssh_config is None else {**keys, "ssh_config": ssh_config}


def of_hosts(words: Sequence[str], keys: Mapping[str, Any]) -> Sites:
    """Sites behind ssh, called as they were given, as far as that can be a name."""
    from ..jobs.selector import is_name
    from ..jobs.sites import Sites
    from ..ssh.server import parse

    sites = Sites()
    for word in words:
        server = parse(word)
        where = {"host": server.host, "user": server.user, "port": server.port}
        name = word if is_name(word) else word.replace("[", "").replace("]", "")
        sites.add(name, {**keys, **{k: v for k, v in where.items() if v is not None}})
    return sites


def of_file(path: str, ssh_config: str | None) -> Sites:
    """The sites of a TOML file.

    Raises:
        UsageError: it cannot be read so.
    """
    from ..errors import ConfigError
    from ..jobs.sites import Sites

    try:
        sites = Sites.load(path)
        for site in sites if ssh_config is not None else ():
            if site.via == "ssh" and "ssh_config" not in site:
                sites.update(site.name, ssh_config=ssh_config)
    except (ConfigError, OSError) as error:
        raise click.UsageError(str(error)) from None
    return sites


@contextmanager
def followed(
    settings: Settings, command: str, sites: Sites, *, via: str, keys: Mapping[str, Any],
    is_somebody: Callable[[Cluster], bool],
) -> Iterator[Cluster]:  # fmt: skip
    """Members of the mesh are sites too while it is open; it is known who there is.

    Args:
        sites: they come to these.
        via: "mesh" or "ssh".
        keys: what sites behind ssh are told.
        is_somebody: whether those are there who are meant.

    Raises:
        ClusterError: see ``join``.
    """
    with observer(settings, command) as cluster:
        sites.follow(cluster.live(), via=via, config=keys if via == "ssh" else None)
        try:
            settle(cluster, settings, lambda: is_somebody(cluster))
            yield cluster
        finally:
            sites.close()


def nobody(sites: Sites, words: Sequence[str], where: str) -> str:
    """That nobody has one of these roles, and who is there instead."""
    if not len(sites):
        return f"nobody is there {where}"
    return f"nobody has {' or '.join(map(repr, words))} {where}; {there(sites)}"


def there(sites: Sites) -> str:
    """Who is there, and which roles there are."""
    from ..jobs.lettering import listed

    names = [site.name for site in sites]
    if not names:
        return "there is no site"
    known = sorted({role for site in sites for role in site.roles[1:]})
    roles = f"roles: {listed(known, SHOWN)}" if known else "no roles but their names"
    return f"there {'is' if len(names) == 1 else 'are'} {listed(names, SHOWN)} ({roles})"
