"""Services to messages and back."""

from __future__ import annotations

from swarmd.model.network import VirtualIP
from swarmd.model.service import (
    CronRun,
    CronStatus,
    Endpoint,
    JobStatus,
    PastSpec,
    Service,
    UpdateStatus,
)
from swarmd.rpc.convert import words
from swarmd.rpc.convert.codecs import SCALAR, TIME, VERSION, always, each, optional
from swarmd.rpc.convert.spec import ENDPOINT_SPEC, PORT, SERVICE_SPEC
from swarmd.rpc.convert.table import Mapping, field
from swarmd.rpc.pb import extensions, history, objects, types

VIRTUAL_IP = Mapping(
    VirtualIP,
    objects.Endpoint.VirtualIP,
    field("network_id", "network_id", SCALAR),
    field("addr", "addr", SCALAR),
)

ENDPOINT = Mapping(
    Endpoint,
    objects.Endpoint,
    field("spec", "spec", optional(ENDPOINT_SPEC)),
    field("ports", "ports", each(PORT)),
    field("virtual_ips", "virtual_ips", each(VIRTUAL_IP)),
)
JOB_STATUS = Mapping(
    JobStatus,
    types.JobStatus,
    field("job_iteration", "job_iteration", VERSION),
    field("last_execution", "last_execution", TIME),
)
CRON_RUN = Mapping(
    CronRun,
    extensions.CronRun,
    field("iteration", "iteration", SCALAR),
    field("due_at", "due_at", TIME),
    field("started_at", "started_at", TIME),
    field("ended_at", "ended_at", TIME),
    field("outcome", "outcome", words.RUN_OUTCOME),
)
CRON_STATUS = Mapping(
    CronStatus,
    extensions.CronStatus,
    field("considered_until", "considered_until", TIME),
    field("missed", "missed", SCALAR),
    field("runs", "runs", each(CRON_RUN)),
)
PAST_SPEC = Mapping(
    PastSpec,
    history.PastSpec,
    field("spec", "spec", always(SERVICE_SPEC)),
    field("spec_version", "spec_version", VERSION),
    field("replaced_at", "replaced_at", TIME),
)
UPDATE_STATUS = Mapping(
    UpdateStatus,
    types.UpdateStatus,
    field("state", "state", words.UPDATE_STATE),
    field("started_at", "started_at", TIME),
    field("completed_at", "completed_at", TIME),
    field("message", "message", SCALAR),
    field("failures", "failures", SCALAR),
    field("resumed_at", "resumed_at", TIME),
)
SERVICE = Mapping(
    Service,
    objects.Service,
    field("id", "id", SCALAR),
    field("version", "meta.version", VERSION),
    field("created_at", "meta.created_at", TIME),
    field("updated_at", "meta.updated_at", TIME),
    field("spec", "spec", always(SERVICE_SPEC)),
    field("spec_version", "spec_version", VERSION),
    field("previous_spec", "previous_spec", optional(SERVICE_SPEC)),
    field("previous_spec_version", "previous_spec_version", VERSION),
    field("endpoint", "endpoint", optional(ENDPOINT)),
    field("update_status", "update_status", optional(UPDATE_STATUS)),
    field("job_status", "job_status", optional(JOB_STATUS)),
    field("cron_status", "cron_status", optional(CRON_STATUS)),
    field("history", "history", each(PAST_SPEC)),
)
