"""Lines of logs: which are asked for, and how they are shown.

Lines come in bulk, and a container may say millions of them. What was said at one time, as all that
one read of a pipe brought is, is turned into text at once.
"""

from __future__ import annotations

import sys
from datetime import datetime
from typing import NamedTuple

import click

from swarmd.cli.client import Client
from swarmd.cli.documents import time_text
from swarmd.cli.subject import find_subject
from swarmd.cli.words import short, task_label
from swarmd.model.instant import SECOND, parse_duration
from swarmd.model.log_lines import DIGITS, HEADER_BYTES, LINE, first_time, split_after
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb import logbroker

COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "bright_cyan", "bright_yellow")
NOTHING_OLD = -1
AT_ONCE_BYTES = 2048


def subscription(
    *, tail: str, since: str | None, until: str | None, follow: bool, now: int
) -> logbroker.SubscribeLogsRequest:
    """The request for these options, still without a selector.

    Raises:
        ValueError: an option is malformed.
    """
    options = logbroker.LogSubscriptionOptions(follow=follow, tail=_tail(tail), bulk=True)
    for name, text in (("since", since), ("until", until)):
        if text is not None:
            stamp = getattr(options, name)
            stamp.seconds, stamp.nanos = divmod(_instant(name, text, now), SECOND)
    return logbroker.SubscribeLogsRequest(options=options)


def _tail(text: str) -> int:
    """On the wire 0 is everything and -(n+1) the last n lines."""
    if text == "all":
        return 0
    if not text.isdecimal():
        raise ValueError(f"--tail takes a number of lines or all, not {text!r}")
    return NOTHING_OLD - int(text)


def _instant(name: str, text: str, now: int) -> int:
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
            f"--{name} takes a duration such as 10m, or a time such as 2030-01-31T08:00, "
            f"not {text!r}"
        ) from None


class LogStyle(NamedTuple):
    """What a line shows beside what was said."""

    raw: bool = False
    timestamps: bool = False
    details: bool = False
    whole_ids: bool = False
    task_ids: bool = True


class LogView:
    """Prints lines with the task and node they come from, a colour for each task.

    Names are looked up when a task is first seen, since followed services get new tasks; `client`
    may be replaced by another when its connection has broken.
    """

    def __init__(self, client: Client, style: LogStyle) -> None:
        self.client = client
        self._style = style
        self._service_id = ""
        self._names: dict[str, str] = {}
        self._width = 0
        self._unfinished: dict[bool, str] = {}  # by stream: the task whose line is not at its end

    async def select(self, request: logbroker.SubscribeLogsRequest, word: str) -> None:
        """Ask for the service or task that `word` means."""
        subject = await find_subject(self.client, word)
        self._service_id = subject.service_id
        if subject.task_id:
            request.selector.task_ids.append(subject.task_id)
        else:
            request.selector.service_ids.append(subject.service_id)
        await self._learn()

    async def show(self, answer: logbroker.SubscribeLogsMessage) -> None:
        """Print lines; those of stderr go to stderr, and so do warnings."""
        for bulk in answer.bulk:
            before = await self._before(bulk.service_id, bulk.node_id, bulk.task_id)
            self._show_lines(bulk.lines, before, bulk.task_id)
        for message in answer.messages:
            # Of an agent that knows no lines in bulk.
            context = message.context
            before = await self._before(context.service_id, context.node_id, context.task_id)
            when = message.timestamp.seconds * SECOND + message.timestamp.nanos
            letter = b"e" if message.stream == logbroker.LOG_STREAM_STDERR else b"o"
            for line in message.data.rstrip(b"\n").split(b"\n"):
                self._show_lines(b"%019d %s %s\n" % (when, letter, line), before, context.task_id)
        for notice in answer.notices:
            click.echo(f"warning: {notice}", err=True)

    def _show_lines(self, lines: bytes, before: bytes, task_id: str) -> None:
        while lines:
            said_at_once, lines = split_after(lines, first_time(lines))
            if len(said_at_once) < AT_ONCE_BYTES or not self._show_at_once(said_at_once, before):
                # Lines of many times.
                self._show_each(said_at_once + lines, before, task_id)
                return

    def _show_at_once(self, lines: bytes, before: bytes) -> bool:
        """Print lines that all begin in the same way; returns whether they do."""
        header = lines[:HEADER_BYTES]
        letter = header[-2:-1]
        if self._unfinished or not letter.islower():
            return False
        if self._style.timestamps:
            before = _stamp(int(header[:DIGITS])) + before
        text = lines[HEADER_BYTES:].replace(b"\n" + header, b"\n" + before)
        shorter = HEADER_BYTES - len(before)
        # Looking for them once more takes as long as replacing them has.
        replaced = (
            (len(lines) - HEADER_BYTES - len(text)) // shorter
            if shorter
            else lines.count(b"\n" + header)
        )
        if replaced != lines.count(b"\n") - 1:
            return False
        click.echo(before + text, nl=False, err=letter == b"e")
        return True

    def _show_each(self, lines: bytes, before: bytes, task_id: str) -> None:
        texts: list[bytes] = []
        is_error = False
        for digits, letter, said in LINE.findall(lines):
            if (letter in b"eE") != is_error:
                click.echo(b"".join(texts), nl=False, err=is_error)
                texts, is_error = [], not is_error
            unfinished = self._unfinished.pop(is_error, "")
            if unfinished and unfinished != task_id:
                texts.append(b"\n")
            if unfinished != task_id:
                texts.append(_stamp(int(digits)) + before if self._style.timestamps else before)
            texts.append(said)
            if letter.islower():
                texts.append(b"\n")
            else:
                self._unfinished[is_error] = task_id
        click.echo(b"".join(texts), nl=False, err=is_error)

    async def _before(self, service_id: str, node_id: str, task_id: str) -> bytes:
        """What every line of a task begins with, after its time."""
        details = ""
        if self._style.details:
            details = ",".join(
                f"com.docker.swarm.{name}.id={value}"
                for name, value in (("node", node_id), ("service", service_id), ("task", task_id))
            )
            details += " "
        if self._style.raw:
            return details.encode()
        if task_id not in self._names:
            try:
                await self._learn()
            except RpcError:
                return (
                    f"{task_id} | {details}".encode()
                )  # it will have its name when it speaks again
        name = self._names.setdefault(task_id, task_id)
        self._width = max(self._width, len(name))
        colour = COLOURS[list(self._names).index(task_id) % len(COLOURS)]
        text = f"{name:<{self._width}} | "
        text = click.style(text, fg=colour) if sys.stdout.isatty() else text
        return (text + details).encode()

    async def _learn(self) -> None:
        """Names of the service's tasks: `web.1.x7k2…@node`."""
        hosts = {str(listed.node.id): listed.node.hostname for listed in await self.client.nodes()}
        for task in await self.client.tasks(service_ids=[self._service_id]):
            identifier = task.id if self._style.whole_ids else short(task.id)
            identifier = f".{identifier}" if self._style.task_ids else ""
            host = hosts.get(task.node_id, task.node_id)
            self._names.setdefault(task.id, f"{task_label(task, hosts)}{identifier}@{host}")


def _stamp(instant: int) -> bytes:
    return f"{time_text(instant)} ".encode()
