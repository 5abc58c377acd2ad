"""Services to messages and back."""

from __future__ import annotations

from swarmd.model.service import Endpoint, Service, UpdateStatus
from swarmd.rpc.convert import words
from swarmd.rpc.convert.codecs import SCALAR, TIME, VERSION, always, each, optional
from swarmd.rpc.convert.spec import ENDPOINT_SPEC, PORT, SERVICE_SPEC
from swarmd.rpc.convert.table import Mapping, field
from swarmd.rpc.pb import objects, types

ENDPOINT = Mapping(
    Endpoint,
    objects.Endpoint,
    field("spec", "spec", optional(ENDPOINT_SPEC)),
    field("ports", "ports", each(PORT)),
)
UPDATE_STATUS = Mapping(
    UpdateStatus,
    types.UpdateStatus,
    field("state", "state", words.UPDATE_STATE),
    field("started_at", "started_at", TIME),
    field("completed_at", "completed_at", TIME),
    field("message", "message", SCALAR),
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
)
