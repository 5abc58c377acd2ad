"""Extensions and resources: opaque to the swarm, but named and of bounded size."""

from __future__ import annotations

from swarmd.manager.validate.limits import MEBIBYTE, Limit, as_bytes
from swarmd.manager.validate.names import LABEL_LENGTH_MAX, check_labels
from swarmd.model.custom import Extension, Resource
from swarmd.model.errors import invalid

NAME_LENGTH = Limit("the length of the name", 1, 1024)
DESCRIPTION_LENGTH = Limit("the length of the description", 0, LABEL_LENGTH_MAX)
PAYLOAD_BYTES = Limit("the payload of a resource", 0, MEBIBYTE, show=as_bytes)


def check_extension(extension: Extension) -> None:
    if not extension.name:
        raise invalid("extension name is missing: every extension needs one")
    NAME_LENGTH.check(len(extension.name))
    DESCRIPTION_LENGTH.check(len(extension.description))
    check_labels("extension", extension.labels)


def check_resource(resource: Resource) -> None:
    if not resource.name:
        raise invalid("resource name is missing: every resource needs one")
    if not resource.kind:
        raise invalid(f"the kind of resource {resource.name} is missing: name an extension")
    NAME_LENGTH.check(len(resource.name))
    PAYLOAD_BYTES.check(len(resource.payload))
    check_labels("resource", resource.labels)
