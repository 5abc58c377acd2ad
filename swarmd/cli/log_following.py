"""Following logs across breaks: another leader, a manager that is restarted.

What has been shown is remembered node by node, and the next leader is told, so that every node goes
on where it was. Nodes that had said nothing are asked as at the beginning.
"""

from __future__ import annotations

import asyncio

import click

from swarmd.cli.client import Client, connected
from swarmd.cli.log_lines import NOTHING_OLD, LogView
from swarmd.cli.target import Target
from swarmd.model.errors import Code
from swarmd.model.instant import SECOND, Instant
from swarmd.model.log_progress import Progress
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb import logbroker as pb
from swarmd.rpc.pb.swarmd.v1.logs_pb2 import LogReached

RETRY_S = 0.5
_PASSING = (Code.ABORTED, Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.RESOURCE_EXHAUSTED)


class Shown:
    """What has been shown of a request's lines.

    Args:
        begun: when it was made; what is older was not asked for by whoever wants nothing old.
    """

    def __init__(self, request: pb.SubscribeLogsRequest, begun: Instant) -> None:
        self._request = request
        self._begun = begun
        self._nodes: dict[str, Progress] = {}
        self.answers = 0

    def note(self, answer: pb.SubscribeLogsMessage) -> None:
        """All of an answer has been shown."""
        self.answers += 1
        for bulk in answer.bulk:
            self._of(bulk.node_id).fresh(bulk.task_id, bulk.lines)
        for message in answer.messages:
            time = message.timestamp.seconds * SECOND + message.timestamp.nanos
            context = message.context
            self._of(context.node_id).fresh(context.task_id, b"%019d \n" % time)

    def rest(self) -> pb.SubscribeLogsRequest:
        """The request for what has not been shown yet."""
        request = pb.SubscribeLogsRequest()
        request.CopyFrom(self._request)
        options = request.options
        if options.tail == NOTHING_OLD:
            options.tail = 0
            options.since.seconds, options.since.nanos = divmod(self._begun, SECOND)
        options.reached.extend(
            LogReached(node_id=node_id, task_id=task_id, time=reached.time, lines=reached.lines)
            for node_id, progress in self._nodes.items()
            for task_id, reached in progress.reached().items()
        )
        return request

    def _of(self, node_id: str) -> Progress:
        return self._nodes.setdefault(node_id, Progress())


async def follow(target: Target, request: pb.SubscribeLogsRequest, view: LogView) -> None:
    """Show lines until cancelled, going on by itself after every break.

    Raises:
        CliError: what was selected is gone, or this node is no manager any more.
    """
    shown = Shown(request, Instant(target.clock.now()))
    problem = ""
    while True:
        if problem and not target.listening():
            await asyncio.sleep(RETRY_S)
            continue
        answers = shown.answers
        async with connected(target) as client:
            try:
                await _show(client, request, view, shown)
                return
            except RpcError as error:
                if error.code not in _PASSING:
                    raise
                if error.message != problem or shown.answers != answers:
                    click.echo(f"warning: {error.message.rstrip('.')}; trying again", err=True)
                problem = error.message
        request = shown.rest()
        await asyncio.sleep(RETRY_S)


async def _show(
    client: Client, request: pb.SubscribeLogsRequest, view: LogView, shown: Shown
) -> None:
    view.client = client
    async for answer in client.logs(request):
        await view.show(answer)
        shown.note(answer)
