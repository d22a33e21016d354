"""What a site is asked before a transfer, and how a script of ours fails there."""

import asyncio
import os

import pytest

from meshcluster.errors import SiteUnreachable, TransferFailed
from meshcluster.jobs.origin import origin
from meshcluster.jobs.shell import AsyncShell
from meshcluster.jobs.there import Ear, There
from meshcluster.jobs.ways import Local, way_to

from .trees import client, tools


def there(**config):
    shell = AsyncShell(**config)
    return There(shell, way_to(shell.site))


def run(there, command):
    said = bytearray()
    asyncio.run(there.run("doing it", command, said.extend))
    return bytes(said)


def test_output_is_taken_as_it_is_however_much(tmp_path):
    (tmp_path / "data").write_bytes(data := os.urandom(1 << 18))
    assert run(there(), f"cat {tmp_path}/data") == data


def test_a_failure_says_where_what_and_the_last_of_its_errors():
    with pytest.raises(TransferFailed, match=r"^local: doing it: four; five; six$"):
        run(there(), "printf 'three\\nfour\\nfive\\n\\nsix\\n' >&2; exit 2")
    with pytest.raises(TransferFailed, match="without a word"):
        run(there(), "exit 2")
    with pytest.raises(TransferFailed, match=r"^local: doing it: \\x1b\[2J$"):
        run(there(), "printf '\\033[2J\\n' >&2; exit 2")


def test_a_host_that_cannot_be_reached(tmp_path):
    ssh = client(tmp_path, tmp_path / "home")
    with pytest.raises(SiteUnreachable, match=r"^closed is unreachable: .*refused"):
        run(there(host="closed", ssh=ssh), "true")


def test_of_errors_the_end_is_kept():
    async def hear():
        ear = Ear(len)
        for number in range(2000):
            await ear.wrote("stderr", b"line %d\n" % number)
        return ear

    ear = asyncio.run(hear())
    assert ear.why == "line 1997; line 1998; line 1999"
    assert len(ear.errors) <= 4096


def test_the_facts(tmp_path):
    home = tmp_path / "ho me"
    ssh = client(tmp_path, home, tools(tmp_path / "bin"))
    (home / "full").mkdir()
    (home / "full" / ".hidden").touch()
    (home / "empty").mkdir()
    (home / "-n").touch()
    (home / "link").symlink_to("full")
    (home / "dangling").symlink_to("none")
    names = ["~/full", "./full/", "./empty", "./-n", "./-n/", "./none", "./link", "./link/",
             "./dangling", "~"]  # fmt: skip
    site = there(host="w1", ssh=ssh)
    facts = asyncio.run(site.facts([*map(origin, names)], ["~", "./link", "./none", str(home)]))
    assert facts.kinds == ("full", "full", "empty", "file", "missing", "missing", "file", "full",
                           "file", "full")  # fmt: skip
    assert (facts.rsync, facts.homes, facts.start) == (False, (str(home),) * 2, str(home))
    assert facts.targets == (str(home), f"{home}/full", "", str(home))


def test_an_rsync_is_seen(tmp_path):
    bin = tools(tmp_path / "bin")
    (bin / "rsync").write_text("#!/bin/sh\n")
    (bin / "rsync").chmod(0o755)
    site = there(host="w1", ssh=client(tmp_path, tmp_path / "home", bin))
    assert asyncio.run(site.facts((), ())).rsync


def test_any_way_will_do():
    async def reach():
        site = there()
        from meshcluster.jobs.process import Script

        return await site.reached(Local(), Script("exit 7"), Ear(len))

    assert asyncio.run(reach()).returncode == 7
