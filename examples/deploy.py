"""Deploys a web site to two machines, and takes it back where that fails.

    here: python examples/deploy.py                    (directories of this machine)
    there: python examples/deploy.py box1 me@box2      (in "deployed" of the home directory)
    by the command: meshcluster jobs examples/deploy.py    (says which jobs there are); to run them
        with --schedule sequential: prepare update snapshot deploy snapshot, which wait for prepare

What is to be deployed is made here once. Then the two go through their jobs side by side, neither
waits for the other. A deploy that fails does not fail the run: the snapshot behind it sees how it
went, and puts back what was there before. With DEPLOY_ROOT=DIRECTORY everything here happens there;
a file "closed" in the directory of a site has its deploy fail.
"""

import asyncio
import atexit
import os
import shlex
import shutil
import sys
import tempfile

import meshcluster

ROOT = os.environ.get("DEPLOY_ROOT") or tempfile.mkdtemp(prefix="deploy-")
if not os.environ.get("DEPLOY_ROOT"):
    atexit.register(shutil.rmtree, ROOT, ignore_errors=True)

SCRIPTS = {
    "deploy.sh": "rm -rf live/* && test ! -e closed && cp www/* live/",
    "backup.sh": 'mkdir -p live && rm -rf "$1" && cp -r live "$1"',
    "rollback.sh": "rm -rf live && cp -r before live",
}

jobs = meshcluster.Jobs()
sites = jobs.sites
sites.add("local", cwd=f"{ROOT}/local")
sites.add("busy", ["app", "primary"], cwd=f"{ROOT}/busy")
sites.add("standby", "app", cwd=f"{ROOT}/standby")


def send(to: str, title: str) -> None:
    print(f"to {to}: {title}", flush=True)  # a mail, in earnest


sites.defaults("app", admin="admin@example.com", send=send)


@jobs.job(roles="local")
async def prepare(action: meshcluster.AsyncAction) -> None:
    """Makes what is to be deployed; in earnest it is checked out."""
    await action.shell.run(f"mkdir -p {shlex.quote(action.site['cwd'])}", cwd=".")
    await action.shell.run(["mkdir -p scripts www", "echo 'Hello, World!' > www/index.html"])
    for name, text in SCRIPTS.items():
        await action.shell.run(f"cat > scripts/{name}", stdin=text + "\n")


@jobs.job(roles="app")
async def update(action: meshcluster.AsyncAction) -> None:
    """Brings it there, both directories at once."""
    await action.shell.run(f"mkdir -p {shlex.quote(action.site['cwd'])}", cwd=".")
    await asyncio.gather(bring(action, "scripts"), bring(action, "www"))


async def bring(action: meshcluster.AsyncAction, name: str) -> None:
    await action.shell.upload(f"{sites.get('local')['cwd']}/{name}/", name, mirror=True)
    action.report(f"{name} is there")


@jobs.job(roles="app")
def snapshot(action: meshcluster.Action) -> None:
    """Keeps what is live; puts it back where a deploy has failed."""
    deployed = action.shared.get(action.site.name)  # None: that is still to come
    if deployed is None:
        action.shell.run("sh scripts/backup.sh before")
    elif deployed:
        action.shell.run("sh scripts/backup.sh after")
    else:
        action.shell.run("sh scripts/rollback.sh")
        action.report("put back what was there before")


@jobs.job(roles="app")
async def deploy(action: meshcluster.AsyncAction) -> None:
    """Says how it went, and does not fail: the next job looks at that."""
    done = await action.shell.run("sh scripts/deploy.sh", check=False)
    action.shared[action.site.name] = done.ok
    if not done:
        action.site["send"](action.site["admin"], f"deploy failed on {action.site.name}")


def show(event: meshcluster.LineWritten) -> None:
    if isinstance(event, meshcluster.LineWritten) and event.stream != "log":
        print(f"{event.pair.site}: {event.text}", flush=True)


def main(hosts: list[str]) -> int:
    for name, host in zip(("busy", "standby"), hosts, strict=False):
        sites.add(name, host=host, cwd=f"deployed/{name}")  # another place for what there is
    batch = jobs.batch(watch=show, break_on_error=True)
    if batch.run("prepare"):
        batch.run(["update", "snapshot", "deploy", "snapshot"])
    for result in batch.results:
        print(result.recap())
    return 0 if all(batch.results) and all(batch.shared.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
