"""What an argument means that may name a service or one task."""

from __future__ import annotations

from typing import NamedTuple

from swarmd.cli.client import Client
from swarmd.cli.errors import CliError
from swarmd.cli.lookup import find, find_service
from swarmd.cli.words import task_label
from swarmd.model.states import TaskState
from swarmd.model.task import Task


class Subject(NamedTuple):
    """A service, or a task and its service; `task_id` is empty for a whole service."""

    service_id: str
    task_id: str


async def find_subject(client: Client, word: str) -> Subject:
    """The service or task that a person means by `word`.

    `web.3` is the task that is wanted in that slot now; earlier ones are found by their id.

    Raises:
        CliError: nothing is meant, or several things are.
    """
    try:
        return Subject(find_service(await client.services(), word).id, "")
    except CliError as no_service:
        names = {str(listed.node.id): listed.node.hostname for listed in await client.nodes()}
        tasks = await client.tasks()
        wanted = [task for task in tasks if task.desired_state <= TaskState.RUNNING]
        for candidates in (wanted, tasks):
            task = _find_task(candidates, word, names)
            if task is not None:
                return Subject(task.service_id, task.id)
        raise no_service from None


async def find_one_task(client: Client, word: str) -> Task:
    """The task that a person means, running or not.

    Raises:
        CliError: nothing is meant, several things are, or a service.
    """
    subject = await find_subject(client, word)
    if not subject.task_id:
        raise CliError(f"{word} is a service", hint=f"`swarmd service ps {word}` lists its tasks")
    task = await client.find_task(subject.task_id)
    if task is None:
        raise CliError(f"task {word} is gone")
    return task


def _find_task(tasks: list[Task], word: str, node_names: dict[str, str]) -> Task | None:
    if not any(task.id.startswith(word) or task_label(task, node_names) == word for task in tasks):
        return None
    return find("task", tasks, word, lambda task: task_label(task, node_names))
