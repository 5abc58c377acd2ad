"""`swarmd exec`: a command beside a task, on whichever node the task runs."""

from __future__ import annotations

import click

from swarmd.cli.completion import service_names
from swarmd.cli.params import KEYS
from swarmd.cli.target import Target


@click.command("exec", context_settings={"ignore_unknown_options": True})
@click.option("-i", "--interactive", is_flag=True, help="Pass the input on.")
@click.option("-t", "--tty", is_flag=True, help="Give the command a terminal.")
@click.option("-e", "--env", multiple=True, metavar="NAME=VALUE", help="Set a variable.")
@click.option("-w", "--workdir", default="", metavar="DIR", help="Working directory [the task's].")
@click.option("-u", "--user", default="", metavar="USER[:GROUP]", help="User [the task's].")
@click.option("-d", "--detach", is_flag=True, help="Leave it running, as long as the daemon does.")
@click.option(
    "--detach-keys", type=KEYS, default="ctrl-p,ctrl-q", help="Let go by them; none: by no keys."
)
@click.argument("word", metavar="TASK|SERVICE.SLOT", shell_complete=service_names)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def exec_(
    ctx: click.Context,
    interactive: bool,
    tty: bool,
    env: tuple[str, ...],
    workdir: str,
    user: str,
    detach: bool,
    detach_keys: bytes,
    word: str,
    command: tuple[str, ...],
) -> None:
    """Run COMMAND beside a task, with the task's rights and surroundings.

    The exit code is the command's; 126 means that it could not be run. A command with a terminal is
    let go of by Ctrl-P Ctrl-Q, or the keys that are given, and goes on.
    """
    import sys

    from swarmd.cli.client import Client, run
    from swarmd.cli.terminal import Terminal, terminal_size
    from swarmd.rpc.pb import exec_ as pb

    for item in env:
        if not item.partition("=")[0] or "=" not in item:
            raise click.UsageError(f"{item!r} is no variable; write NAME=VALUE")
    if detach and (tty or interactive):
        raise click.UsageError("a command that is left alone has neither input nor terminal")
    if tty and interactive and not sys.stdin.isatty():
        raise click.UsageError("the input is no terminal; leave out -t")
    rows, columns = terminal_size() if tty else (0, 0)
    wanted = pb.ExecCommand(
        argv=command,
        env=env,
        directory=workdir,
        user=user,
        tty=tty,
        stdin=interactive,
        rows=rows,
        columns=columns,
    )

    async def work(client: Client) -> int:
        from swarmd.cli.exec_call import Manner, converse, find_task

        task_id = await find_task(client, word)
        with Terminal(raw=tty and interactive):
            start = pb.ExecStart(task_id=task_id, command=wanted)
            manner = Manner(stdin=interactive, tty=tty, detach_keys=detach_keys, leave=detach)
            return await converse(client, start, manner)

    target: Target = ctx.obj
    ctx.exit(run(target, work))
