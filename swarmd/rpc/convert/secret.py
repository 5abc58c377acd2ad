"""Secrets and configs to messages and back; readers never get a secret's data."""

from __future__ import annotations

from swarmd.model.secret import Config, ConfigSpec, Secret, SecretSpec
from swarmd.rpc.convert.codecs import LABELS, SCALAR, TIME, VERSION, always, optional
from swarmd.rpc.convert.spec import DRIVER
from swarmd.rpc.convert.table import Mapping, field
from swarmd.rpc.pb import objects, specs

SECRET_SPEC = Mapping(
    SecretSpec,
    specs.SecretSpec,
    field("name", "annotations.name", SCALAR),
    field("labels", "annotations.labels", LABELS),
    field("data", "data", SCALAR),
    field("templating", "templating", optional(DRIVER)),
    field("driver", "driver", optional(DRIVER)),
    present=("annotations",),
)
SECRET = Mapping(
    Secret,
    objects.Secret,
    field("id", "id", SCALAR),
    field("version", "meta.version", VERSION),
    field("created_at", "meta.created_at", TIME),
    field("updated_at", "meta.updated_at", TIME),
    field("spec", "spec", always(SECRET_SPEC)),
    field("internal", "internal", SCALAR),
)
CONFIG_SPEC = Mapping(
    ConfigSpec,
    specs.ConfigSpec,
    field("name", "annotations.name", SCALAR),
    field("labels", "annotations.labels", LABELS),
    field("data", "data", SCALAR),
    field("templating", "templating", optional(DRIVER)),
    present=("annotations",),
)
CONFIG = Mapping(
    Config,
    objects.Config,
    field("id", "id", SCALAR),
    field("version", "meta.version", VERSION),
    field("created_at", "meta.created_at", TIME),
    field("updated_at", "meta.updated_at", TIME),
    field("spec", "spec", always(CONFIG_SPEC)),
)


def secret_to_pb(secret: Secret) -> objects.Secret:
    """The message of a secret, without its data."""
    message = SECRET.to_pb(secret)
    message.spec.ClearField("data")
    return message
