"""Extensions and resources to messages and back."""

from __future__ import annotations

from swarmd.model.custom import Extension, Resource
from swarmd.rpc.convert.codecs import LABELS, SCALAR, TIME, VERSION
from swarmd.rpc.convert.table import Mapping, field
from swarmd.rpc.pb import objects

EXTENSION = Mapping(
    Extension,
    objects.Extension,
    field("id", "id", SCALAR),
    field("version", "meta.version", VERSION),
    field("created_at", "meta.created_at", TIME),
    field("updated_at", "meta.updated_at", TIME),
    field("name", "annotations.name", SCALAR),
    field("labels", "annotations.labels", LABELS),
    field("description", "description", SCALAR),
)
RESOURCE = Mapping(
    Resource,
    objects.Resource,
    field("id", "id", SCALAR),
    field("version", "meta.version", VERSION),
    field("created_at", "meta.created_at", TIME),
    field("updated_at", "meta.updated_at", TIME),
    field("name", "annotations.name", SCALAR),
    field("labels", "annotations.labels", LABELS),
    field("kind", "kind", SCALAR),
    field("payload_type", "payload.type_url", SCALAR),
    field("payload", "payload.value", SCALAR),
)
