"""`swarmd attach`: a task's own streams, on whichever node it runs."""

from __future__ import annotations

import click

from swarmd.cli.completion import service_names
from swarmd.cli.params import KEYS
from swarmd.cli.target import Target


@click.command()
@click.option("--no-stdin", is_flag=True, help="Pass no input on.")
@click.option(
    "--sig-proxy/--no-sig-proxy", default=True, help="Pass signals on to the task [they are]."
)
@click.option(
    "--detach-keys", type=KEYS, default="ctrl-p,ctrl-q", help="Let go by them; none: by no keys."
)
@click.argument("word", metavar="TASK|SERVICE.SLOT", shell_complete=service_names)
@click.pass_context
def attach(
    ctx: click.Context, no_stdin: bool, sig_proxy: bool, detach_keys: bytes, word: str
) -> None:
    """See what a task prints from now on, and type into it if its input is open.

    Ctrl-C goes to the task, unless --no-sig-proxy is given. A task with a terminal is let go of by
    Ctrl-P Ctrl-Q, or the keys that are given. The exit code is the task's.
    """
    import sys

    from swarmd.cli.client import Client, run
    from swarmd.cli.terminal import Terminal, terminal_size
    from swarmd.rpc.pb import exec_ as pb

    async def work(client: Client) -> int:
        from swarmd.cli.exec_call import Manner, converse, find_task

        task_id = await find_task(client, word)
        task = await client.find_task(task_id)
        spec = task.spec.container_spec if task is not None else None
        stdin = not no_stdin and spec is not None and spec.open_stdin
        tty = spec is not None and spec.tty
        rows, columns = terminal_size() if tty else (0, 0)
        wanted = pb.ExecAttach(stdin=stdin, rows=rows, columns=columns)
        manner = Manner(stdin=stdin, tty=tty, signals=sig_proxy, detach_keys=detach_keys)
        with Terminal(raw=tty and stdin and sys.stdin.isatty()):
            return await converse(client, pb.ExecStart(task_id=task_id, attach=wanted), manner)

    target: Target = ctx.obj
    ctx.exit(run(target, work))
