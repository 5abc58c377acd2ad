"""What the scheduler needs to know of the allocator: addresses are had for the asking, or not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeAlias

from swarmd.model.ids import TaskId
from swarmd.model.service import Service
from swarmd.model.task import Task
from swarmd.store.view import View

Attach: TypeAlias = Callable[[Task], Task]
Allocated: TypeAlias = Callable[[Service, View], bool]  # whether a service has ports and addresses


class Exhausted(Exception):
    """Somebody can't have an address; the text says why and what would help."""


class Attaching(Protocol):
    """Gives tasks their addresses."""

    def attacher(self, service: Service) -> Attach | None:
        """What gives the tasks of a service their addresses; None when they need none.

        It raises `Exhausted` when there is none left; then the task holds nothing.
        """
        ...

    def would_attach(self, service: Service, leaving: Iterable[TaskId] = ()) -> bool:
        """Whether there are addresses for one more task, once those that leave have stopped."""
        ...
