"""The secrets and configs of a node, in memory only.

They come with the assignments, before the tasks that need them, and are forgotten with them;
nothing is written to disk. A node that has just started has none until its session opens: a task
that would start waits, and those that run have theirs already.
"""

from __future__ import annotations

from collections.abc import Iterable

from swarmd.agent.core.launch import Unfit
from swarmd.agent.core.task_files import Missing, TaskFile, task_files
from swarmd.agent.executors.base import TaskFailure, TemporaryFailure
from swarmd.model.registry_login import NOBODY, Credentials, credentials_of, login_id_for
from swarmd.model.secret import Config, Secret
from swarmd.model.spec import ContainerSpec
from swarmd.model.template import TemplateContext


class NodeFiles:
    """What the managers have given this node for its tasks."""

    def __init__(self) -> None:
        self._secrets: dict[str, Secret] = {}
        self._configs: dict[str, Config] = {}
        self._complete = False  # a complete set has come since the start

    def assign(
        self,
        *,
        complete: bool,
        given: Iterable[Secret | Config] = (),
        removed: Iterable[str] = (),
    ) -> None:
        """Take files, then forget those of the ids in `removed`; a complete set replaces all."""
        if complete:
            self._secrets.clear()
            self._configs.clear()
            self._complete = True
        for record in given:
            if isinstance(record, Secret):
                self._secrets[record.id] = record
            else:
                self._configs[record.id] = record
        for file_id in removed:
            self._secrets.pop(file_id, None)
            self._configs.pop(file_id, None)

    def files_of(
        self, spec: ContainerSpec, context: TemplateContext, *, configs_directory: str = "/"
    ) -> tuple[TaskFile, ...]:
        """The files of a task by its expanded spec.

        Args:
            configs_directory: from where the targets of configs are meant that aren't absolute.

        Raises:
            TaskFailure: it can't have them, ever.
            TemporaryFailure: they have not come yet.
        """
        try:
            return task_files(
                spec,
                context,
                secrets=self._secrets,
                configs=self._configs,
                configs_directory=configs_directory,
            )
        except Missing as error:
            if not self._complete:
                raise TemporaryFailure(f"waits for {error} to come from a manager") from None
            raise TaskFailure(
                f"{error} does not exist any more; create it again, or update the service to do "
                "without"
            ) from None
        except Unfit as error:
            raise TaskFailure(str(error)) from None

    def login_for(self, image: str) -> Credentials:
        """As whom the swarm pulls an image.

        Raises:
            TemporaryFailure: what the managers know of that has not come yet.
        """
        secret = self._secrets.get(login_id_for(image) or "")
        if secret is not None and secret.internal:
            return credentials_of(secret)
        if not self._complete:
            raise TemporaryFailure("waits for the credentials of its registry from a manager")
        return NOBODY

    def __len__(self) -> int:
        return len(self._secrets) + len(self._configs)
