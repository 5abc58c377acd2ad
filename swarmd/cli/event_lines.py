"""Events as lines: what happened to what, and why; and which of them a person wants. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from swarmd.cli.documents import time_text
from swarmd.cli.words import short
from swarmd.model.instant import SECOND, parse_duration
from swarmd.model.states import TaskState
from swarmd.rpc.pb import types, watch

KINDS = (
    *("cluster", "node", "service", "task", "network", "secret", "config"),
    *("extension", "resource"),
)
KEYS = ("type", "event", "id", "name", "service", "node", "label")
ACTIONS = {
    watch.WATCH_ACTION_CREATE: "create",
    watch.WATCH_ACTION_UPDATE: "update",
    watch.WATCH_ACTION_REMOVE: "remove",
}
_DONE = {"create": "created", "update": "updated", "remove": "removed"}
EVERY_ACTION = sum(ACTIONS)


class Event(NamedTuple):
    """One change of one object."""

    version: int
    time_ns: int
    kind: str
    action: str
    id: str
    name: str
    labels: dict[str, str]
    service: tuple[str, str]  # name and id, of tasks and services
    node: tuple[str, str]  # host name and id, of nodes; of tasks the id alone
    what: str
    reason: str


def events(message: watch.WatchMessage) -> Iterable[Event]:
    """The events of one message."""
    time_ns = message.time.seconds * SECOND + message.time.nanos
    for event in message.events:
        kind = str(event.object.WhichOneof("Object"))
        record = getattr(event.object, kind)
        before = getattr(event.old_object, kind) if event.HasField("old_object") else None
        action = ACTIONS[event.action]
        yield Event(
            version=message.version.index,
            time_ns=time_ns,
            kind=kind,
            action=action,
            id=record.id,
            name=_name(kind, record),
            labels=dict(_labels(kind, record)),
            service=_service(kind, record),
            node=_node(kind, record),
            what=_what(kind, action, record, before),
            reason=event.reason,
        )


def line(event: Event) -> str:
    """`2030-01-31T08:00:00.000000000Z 42 task web.1 (3k9…) is running: started`."""
    name = f"{event.name} ({short(event.id)})" if event.name else short(event.id)
    reason = f": {event.reason}" if event.reason else ""
    return f"{time_text(event.time_ns)} {event.version} {event.kind} {name} {event.what}{reason}"


def document(event: Event) -> dict[str, Any]:
    """What programs are told of an event."""
    return {
        "Version": event.version,
        "Time": time_text(event.time_ns),
        "Type": event.kind,
        "Action": event.action,
        "ID": event.id,
        "Name": event.name,
        "What": event.what,
        "Reason": event.reason,
    }


def split_filters(texts: Iterable[str]) -> dict[str, list[str]]:
    """`type=task,service=web` and further ones; values of a key are alternatives.

    Raises:
        ValueError: a filter has no key, or one that events don't have.
    """
    wanted: dict[str, list[str]] = {}
    for text in texts:
        for part in text.split(","):
            key, equals, value = part.partition("=")
            if key not in KEYS or not equals:
                raise ValueError(f"{part!r} is no filter of events; use {', '.join(KEYS)}")
            wanted.setdefault(key, []).append(value)
    for kind in wanted.get("type", ()):
        if kind not in KINDS:
            raise ValueError(f"there are no events of type {kind!r}; use {', '.join(KINDS)}")
    return wanted


def passes(event: Event, wanted: dict[str, list[str]]) -> bool:
    """Whether a person asked for this event."""
    values: dict[str, tuple[str, ...]] = {
        "type": (event.kind,),
        "event": (event.action,),
        "id": (event.id,),
        "name": (event.name,),
        "service": event.service,
        "node": event.node,
        "label": tuple(f"{key}={value}" for key, value in event.labels.items())
        + tuple(event.labels),
    }
    return all(
        any(value and value in values[key] for value in alternatives)
        for key, alternatives in wanted.items()
    )


def beginning(text: str, now: int) -> tuple[str, int]:
    """Where events begin: `version` with an index, or `time` with an instant.

    Raises:
        ValueError: it is neither an index, a duration nor a time.
    """
    if text.isdecimal():
        return "version", int(text)
    return "time", point_in_time(text, now)


def point_in_time(text: str, now: int) -> int:
    """A duration before now, or a date with an optional time."""
    try:
        return now - parse_duration(text)
    except ValueError:
        pass
    try:
        return int(datetime.fromisoformat(text).timestamp() * SECOND)
    except ValueError:
        raise ValueError(
            f"{text!r} is no time; write a version, a duration such as 10m, or 2030-01-31T08:00"
        ) from None


def _name(kind: str, record: Any) -> str:
    match kind:
        case "task":
            service = record.service_annotations.name or short(record.service_id)
            return f"{service}.{record.slot or short(record.node_id)}"
        case "node":
            return str(record.description.hostname)
        case "extension" | "resource":
            return str(record.annotations.name)
        case _:
            return str(record.spec.annotations.name)


def _labels(kind: str, record: Any) -> Any:
    match kind:
        case "task":
            return record.service_annotations.labels
        case "extension" | "resource":
            return record.annotations.labels
        case _:
            return record.spec.annotations.labels


def _service(kind: str, record: Any) -> tuple[str, str]:
    match kind:
        case "task":
            return record.service_annotations.name, record.service_id
        case "service":
            return record.spec.annotations.name, record.id
        case _:
            return "", ""


def _node(kind: str, record: Any) -> tuple[str, str]:
    match kind:
        case "task":
            return "", record.node_id
        case "node":
            return record.description.hostname, record.id
        case _:
            return "", ""


def _what(kind: str, action: str, record: Any, before: Any) -> str:
    """What happened, in the words that the kind of object has for it."""
    if kind == "task" and action != "remove":
        return _task_what(action, record, before)
    if kind == "node" and action == "update" and before is not None:
        if record.status.state != before.status.state:
            return f"is {types.NodeStatus.State.Name(record.status.state).lower()}"
        if record.spec.availability != before.spec.availability:
            return "changed its availability"
    return _DONE[action]


def _task_what(action: str, record: Any, before: Any) -> str:
    state = TaskState(record.status.state).word
    if action == "create":
        where = f" on node {short(record.node_id)}" if record.node_id else ""
        return f"created, {state}{where}"
    if before is None or record.status.state != before.status.state:
        return f"is {state}" + (f" ({record.status.err})" if record.status.err else "")
    if record.desired_state != before.desired_state:
        return f"shall be {TaskState(record.desired_state).word}"
    return "updated"
