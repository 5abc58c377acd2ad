"""Rules that hold between records, kept by refusing the action that would break one. Pure.

Names are unique within a kind, whatever their case; a resource needs the extension that names its
kind; a slot gets no second task that may run beside the first, whoever creates them at the same
moment. Everything else is the business of whoever proposes.
"""

from __future__ import annotations

from swarmd.model.custom import Extension, Resource
from swarmd.model.errors import Code, Rejection, invalid
from swarmd.model.network import Network
from swarmd.model.secret import Config, Secret
from swarmd.model.service import Service
from swarmd.model.states import TaskState
from swarmd.model.task import Task
from swarmd.store.changes import Delete, Kind, Object, kind_of
from swarmd.store.view import View

# Names of kinds that are built in, which no extension may take.
BUILT_IN = frozenset({*(kind.value for kind in Kind), "volume"})
LISTED_MAX = 5


def put_refusal(record: Object, view: View) -> Rejection | None:
    """Why `record` may not be stored as it is; None when it may."""
    if type(record) is Task:
        return None  # by far the most frequent, and free to be called anything
    if isinstance(record, Extension) and record.name.lower() in BUILT_IN:
        return invalid(
            f"extension name {record.name!r} is that of a built-in kind; choose another name"
        )
    if isinstance(record, Resource) and view.find_extension_by_name(record.kind) is None:
        return invalid(
            f"resource {record.name!r} is of kind {record.kind!r}, which no extension names; "
            "create that extension first"
        )
    return _name_conflict(record, view)


def create_refusal(record: Object, view: View) -> Rejection | None:
    """Why a record may not come into being, though it might be stored if it were there already."""
    if type(record) is not Task:
        return put_refusal(record, view)
    if not record.slot or not _may_run(record):
        return None
    for other in view.tasks_of_slot(record.service_id, record.slot):
        alike = _edition(record) == _edition(other)
        if alike and _may_run(other) and record.replaces != other.id:
            return Rejection(
                Code.ALREADY_EXISTS,
                f"slot {record.slot} of {record.service_name} has a task already: {other.id}",
            )
    return None


def delete_refusal(action: Delete, view: View) -> Rejection | None:
    """Why a record may not be removed; None when it may."""
    if action.kind is not Kind.EXTENSION:
        return None
    extension = view.find_extension(action.id)
    resources = view.resources_of_kind(extension.name) if extension else ()
    if extension is None or not resources:
        return None
    listed = ", ".join(f"{row.name} ({row.id})" for row in resources[:LISTED_MAX])
    more = f" and {len(resources) - LISTED_MAX} more" if len(resources) > LISTED_MAX else ""
    return invalid(
        f"extension {extension.name} is in use by the resources {listed}{more}; remove them first"
    )


def _may_run(task: Task) -> bool:
    wanted = TaskState.RUNNING <= task.desired_state <= TaskState.COMPLETE
    return wanted and not task.status.state.terminal


def _edition(task: Task) -> tuple[int, int | None]:
    """What two tasks of a slot have in common unless they may overlap: a version, or a run."""
    return (task.spec_version if task.job_iteration is None else 0, task.job_iteration)


def _name_conflict(record: Object, view: View) -> Rejection | None:
    name, holder = _named_alike(record, view)
    if holder is None or holder.id == record.id:
        return None
    kind = kind_of(record).value
    # Clients of the network calls know this conflict by its text and the code UNKNOWN.
    code = Code.UNKNOWN if isinstance(record, Network) else Code.ALREADY_EXISTS
    return Rejection(
        code,
        f"name conflicts with an existing object: {kind} {name} already exists as {holder.id}; "
        f"choose another name or {_way_out(record)}",
    )


def _named_alike(record: Object, view: View) -> tuple[str, Object | None]:
    """The record's unique name, and who has it now; no name where names need not be unique."""
    match record:
        case Service():
            return record.spec.name, view.find_service_by_name(record.spec.name)
        case Network():
            return record.spec.name, view.find_network_by_name(record.spec.name)
        case Secret():
            return record.spec.name, view.find_secret_by_name(record.spec.name)
        case Config():
            return record.spec.name, view.find_config_by_name(record.spec.name)
        case Extension():
            return record.name, view.find_extension_by_name(record.name)
        case Resource():
            return record.name, view.find_resource_by_name(record.name)
        case _:
            return "", None


def _way_out(record: Object) -> str:
    kind = kind_of(record).value
    return f"update that {kind}" if isinstance(record, Service) else f"remove that {kind}"
