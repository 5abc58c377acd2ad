"""What a log entry asks for and what applying it did.

An *action* is a proposed write. A *transaction* groups actions that stand or fall together; an
*entry* groups the transactions of one engine pass and of the requests that rode along. A *change*
is a committed fact, handed to everyone who watches.
"""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

from msgspec import Struct

from swarmd.model.cluster import Cluster
from swarmd.model.custom import Extension, Resource
from swarmd.model.errors import Rejection
from swarmd.model.ids import NodeId, TaskId
from swarmd.model.instant import Instant
from swarmd.model.network import Network
from swarmd.model.node import Node
from swarmd.model.secret import Config, Secret
from swarmd.model.service import Service
from swarmd.model.states import TaskState
from swarmd.model.task import Task, TaskStatus

Object: TypeAlias = (
    Cluster | Node | Service | Task | Network | Secret | Config | Extension | Resource
)


class Kind(Enum):
    CLUSTER = "cluster"
    NODE = "node"
    SERVICE = "service"
    TASK = "task"
    NETWORK = "network"
    SECRET = "secret"
    CONFIG = "config"
    EXTENSION = "extension"
    RESOURCE = "resource"


KIND_OF: dict[type, Kind] = {
    Cluster: Kind.CLUSTER,
    Node: Kind.NODE,
    Service: Kind.SERVICE,
    Task: Kind.TASK,
    Network: Kind.NETWORK,
    Secret: Kind.SECRET,
    Config: Kind.CONFIG,
    Extension: Kind.EXTENSION,
    Resource: Kind.RESOURCE,
}


def kind_of(record: Object) -> Kind:
    return KIND_OF[type(record)]


class Create(Struct, frozen=True, tag="create", gc=False):
    """Add a record; refused when its id, or its unique name, is taken."""

    record: Object
    reason: str = ""


class Update(Struct, frozen=True, tag="update", gc=False):
    """Replace the record that has version `base`; refused when it has moved on."""

    record: Object
    base: int
    reason: str = ""


class Delete(Struct, frozen=True, tag="delete", gc=False):
    """Remove a record; `base` as in `Update`, None for any version."""

    kind: Kind
    id: str
    base: int | None = None
    reason: str = ""


class SetTaskStatus(Struct, frozen=True, tag="status", gc=False):
    """Record an observed status; ignored when the task is gone or has been seen further along."""

    id: TaskId
    status: TaskStatus


class SetDesiredState(Struct, frozen=True, tag="desired", gc=False):
    """Raise a task's desired state; ignored when the task is gone or already asked for more."""

    id: TaskId
    state: TaskState
    reason: str = ""


Action: TypeAlias = Create | Update | Delete | SetTaskStatus | SetDesiredState


class Transaction(Struct, frozen=True, gc=False):
    """Actions applied together.

    With `atomic`, one refused action refuses them all and the first refusal is the answer. Without,
    refused actions are dropped one by one, for engines that plan again anyway.
    """

    actions: tuple[Action, ...]
    atomic: bool = True


class Entry(Struct, frozen=True, gc=False):
    """One command of the replicated log. Time and proposer were fixed by the leader."""

    now: Instant
    proposer: NodeId
    transactions: tuple[Transaction, ...]


class Change(Struct, frozen=True, gc=False):
    """One record before and after; a creation has no `old`, a deletion no `new`."""

    kind: Kind
    id: str
    old: Object | None
    new: Object | None
    reason: str = ""


class Committed(Struct, frozen=True):
    """All changes of one log entry, in order; `index` is the version of the records it wrote.

    With `restored` they are what a snapshot made different, whatever entries led to it.
    """

    index: int
    now: Instant
    changes: tuple[Change, ...]
    restored: bool = False


class Applied(Struct, frozen=True):
    """The answer to one entry: per transaction None, or why it was refused."""

    index: int
    refusals: tuple[Rejection | None, ...]
