"""Lines of logs: which are asked for, and how one is shown."""

from __future__ import annotations

import sys
from datetime import datetime

import click

from swarmd.cli.client import Client
from swarmd.cli.documents import time_text
from swarmd.cli.subject import find_subject
from swarmd.cli.words import short, task_label
from swarmd.model.instant import SECOND, parse_duration
from swarmd.rpc.pb import logbroker

COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "bright_cyan", "bright_yellow")
NOTHING_OLD = -1


def subscription(
    *, tail: str, since: str | None, follow: bool, now: int
) -> logbroker.SubscribeLogsRequest:
    """The request for these options, still without a selector.

    Raises:
        ValueError: an option is malformed.
    """
    options = logbroker.LogSubscriptionOptions(follow=follow, tail=_tail(tail))
    if since is not None:
        seconds, nanos = divmod(_since(since, now), SECOND)
        options.since.seconds, options.since.nanos = seconds, nanos
    return logbroker.SubscribeLogsRequest(options=options)


def _tail(text: str) -> int:
    """On the wire 0 is everything and -(n+1) the last n lines."""
    if text == "all":
        return 0
    if not text.isdecimal():
        raise ValueError(f"--tail takes a number of lines or all, not {text!r}")
    return NOTHING_OLD - int(text)


def _since(text: str, now: int) -> int:
    """A duration before now, seconds since the epoch, or a date with an optional time."""
    if text.isdecimal():
        return int(text) * SECOND
    try:
        return now - parse_duration(text)
    except ValueError:
        pass
    try:
        return int(datetime.fromisoformat(text).timestamp() * SECOND)
    except ValueError:
        raise ValueError(
            f"--since takes a duration such as 10m or a time such as 2030-01-31T08:00, not {text!r}"
        ) from None


class LogView:
    """Prints lines with the task and node they come from, a colour for each task.

    Names are looked up when a task is first seen, since followed services get new tasks.
    """

    def __init__(self, client: Client, *, raw: bool, timestamps: bool, whole_ids: bool) -> None:
        self._client = client
        self._raw = raw
        self._timestamps = timestamps
        self._whole_ids = whole_ids
        self._service_id = ""
        self._names: dict[str, str] = {}
        self._width = 0

    async def select(self, request: logbroker.SubscribeLogsRequest, word: str) -> None:
        """Ask for the service or task that `word` means."""
        subject = await find_subject(self._client, word)
        self._service_id = subject.service_id
        if subject.task_id:
            request.selector.task_ids.append(subject.task_id)
        else:
            request.selector.service_ids.append(subject.service_id)
        await self._learn()

    async def show(self, message: logbroker.LogMessage) -> None:
        """Print one line; those of stderr go to stderr."""
        text = message.data.decode(errors="replace").rstrip("\n")
        if self._timestamps:
            when = message.timestamp.seconds * SECOND + message.timestamp.nanos
            text = f"{time_text(when)} {text}"
        if not self._raw:
            text = f"{await self._prefix(message.context.task_id)}{text}"
        click.echo(text, err=message.stream == logbroker.LOG_STREAM_STDERR)

    async def _prefix(self, task_id: str) -> str:
        if task_id not in self._names:
            await self._learn()
        name = self._names.setdefault(task_id, task_id)
        self._width = max(self._width, len(name))
        colour = COLOURS[list(self._names).index(task_id) % len(COLOURS)]
        text = f"{name:<{self._width}} | "
        return click.style(text, fg=colour) if sys.stdout.isatty() else text

    async def _learn(self) -> None:
        """Names of the service's tasks: `web.1.x7k2…@node`."""
        hosts = {str(listed.node.id): listed.node.hostname for listed in await self._client.nodes()}
        for task in await self._client.tasks(service_ids=[self._service_id]):
            identifier = task.id if self._whole_ids else short(task.id)
            host = hosts.get(task.node_id, task.node_id)
            self._names.setdefault(task.id, f"{task_label(task, hosts)}.{identifier}@{host}")
