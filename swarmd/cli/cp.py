"""`swarmd cp`: files from a task or into one, on whichever node it runs."""

from __future__ import annotations

import click

from swarmd.cli.target import Target

STREAM = "-"


@click.command()
@click.option("-a", "--archive", is_flag=True, help="Keep owners and all of the mode.")
@click.option("-L", "--follow-link", is_flag=True, help="Copy what a link at SOURCE points at.")
@click.argument("source", metavar="SOURCE")
@click.argument("destination", metavar="DESTINATION")
@click.pass_obj
def cp(target: Target, /, source: str, destination: str, archive: bool, follow_link: bool) -> None:
    """Copy files between this machine and a task, one of them written TASK:PATH.

    A directory comes with all that is below it, SOURCE/. its contents alone. What is copied belongs
    to root in the task, or to you here, unless --archive is given. As the other side, - is a tar
    archive on standard input or output.
    """
    from swarmd.cli.client import Client, run
    from swarmd.cli.copying import fetch, hand_over
    from swarmd.cli.exec_call import find_task
    from swarmd.rpc.pb import exec_ as pb

    there, here = _in_task(source), _in_task(destination)
    if (there is None) == (here is None):
        raise click.UsageError("one of SOURCE and DESTINATION is in a task, written TASK:PATH")

    async def work(client: Client) -> None:
        word, path = there or here or ("", "")
        wanted = pb.ExecCopy(path=path, into=there is None, keep_owner=archive, follow=follow_link)
        start = pb.ExecStart(task_id=await find_task(client, word), copy=wanted)
        if there is None:
            await hand_over(client, start, source, follow=follow_link)
        else:
            await fetch(client, start, destination, keep_owner=archive)

    run(target, work)


def _in_task(word: str) -> tuple[str, str] | None:
    """Task and path, if that is what the word means; `./a:b` is a file of this machine."""
    task, colon, path = word.partition(":")
    if not colon or not task or "/" in task or task == STREAM:
        return None
    if not path:
        raise click.UsageError(f"{word!r} names no path in the task")
    return task, path
