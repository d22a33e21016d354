"""An ssh server in plain Python: runs what it is asked to, by the shell. PORT FOLDER"""

import asyncio
import sys

import asyncssh


async def handle(process):
    child = await asyncio.create_subprocess_shell(
        process.command or "exit 0",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    await process.redirect(stdin=child.stdin, stdout=child.stdout, stderr=child.stderr)
    status = await child.wait()
    if status < 0:
        process.exit_with_signal("KILL")
    else:
        process.exit(status)


async def main(port, folder):
    await asyncssh.listen(
        "127.0.0.1",
        int(port),
        server_host_keys=[f"{folder}/host"],
        authorized_client_keys=f"{folder}/authorized",
        process_factory=handle,
        encoding=None,
    )
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main(*sys.argv[1:]))
