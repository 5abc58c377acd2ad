"""Records as `inspect` shows them: the JSON shape that Docker's users know. Pure.

Records encode themselves in the names of the Docker API. What differs is added here: versions are
objects, times are text, states are words, and empty times are left out.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from swarmd.cli.mode_words import cron_document
from swarmd.cli.standing import Listed
from swarmd.model.cluster import Cluster
from swarmd.model.instant import SECOND
from swarmd.model.secret import Config, Secret
from swarmd.model.service import Service
from swarmd.model.task import Task

Document = dict[str, Any]


def time_text(instant_ns: int) -> str:
    """RFC 3339 with nanoseconds, in UTC."""
    seconds, nanos = divmod(instant_ns, SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanos:09d}Z"


def service_document(service: Service, now: int) -> Document:
    """A service; `now` is for what is yet to come, such as the next runs of a schedule."""
    document = _head(service)
    document["Spec"] = msgspec.to_builtins(service.spec)
    if service.previous_spec is not None:
        document["PreviousSpec"] = msgspec.to_builtins(service.previous_spec)
    document["SpecVersion"] = {"Index": service.spec_version}
    if service.endpoint is not None:
        document["Endpoint"] = msgspec.to_builtins(service.endpoint)
    if service.update_status is not None:
        status = service.update_status
        document["UpdateStatus"] = {
            "State": status.state.value,
            **_times(StartedAt=status.started_at, CompletedAt=status.completed_at),
            "Message": status.message,
        }
    if service.job_status is not None:
        document["JobStatus"] = {
            "JobIteration": {"Index": service.job_status.job_iteration},
            **_times(LastExecution=service.job_status.last_execution),
        }
    if service.spec.mode.cron is not None:
        document["CronStatus"] = cron_document(service, now)
    return document


def task_document(task: Task) -> Document:
    document = _head(task)
    status: Document = msgspec.to_builtins(task.status)
    status["State"] = task.status.state.word
    status.pop("AppliedAt", None)
    status.update(_times(Timestamp=task.status.timestamp, AppliedAt=task.status.applied_at))
    document |= {
        "Name": task.name,
        "ServiceID": task.service_id,
        "Slot": task.slot,
        "NodeID": task.node_id,
        "Spec": msgspec.to_builtins(task.spec),
        "SpecVersion": {"Index": task.spec_version},
        "DesiredState": task.desired_state.word,
        "Status": status,
    }
    return document


def node_document(listed: Listed) -> Document:
    node, standing = listed
    document = _head(node)
    document |= {
        "Spec": {
            "Name": node.spec.name,
            "Labels": dict(node.spec.labels),
            "Role": node.spec.role.value,
            "Availability": node.spec.availability.value,
        },
        "Role": node.role.value,
        "Description": msgspec.to_builtins(node.description) if node.description else {},
        "Status": {
            "State": node.status.state.value,
            "Message": node.status.message,
            "Addr": node.status.addr,
        },
    }
    if standing is not None:
        document["ManagerStatus"] = {
            "Leader": standing.leader,
            "Reachability": "reachable" if standing.reachable else "unreachable",
            "Addr": standing.addr,
        }
    return document


def cluster_document(cluster: Cluster) -> Document:
    return {**_head(cluster), "Spec": msgspec.to_builtins(cluster.spec)}


def file_document(record: Secret | Config) -> Document:
    """A secret or config; data travels as base64, and a secret's doesn't travel at all."""
    return {**_head(record), "Spec": msgspec.to_builtins(record.spec)}


def _head(record: Any) -> Document:
    return {
        "ID": record.id,
        "Version": {"Index": record.version},
        **_times(CreatedAt=record.created_at, UpdatedAt=record.updated_at),
    }


def _times(**instants_ns: int) -> Document:
    return {name: time_text(value) for name, value in instants_ns.items() if value}
