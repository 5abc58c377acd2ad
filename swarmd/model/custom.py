"""Objects of clients' own making: extensions name a kind, resources are the things of that kind."""

from __future__ import annotations

from collections.abc import Mapping

from swarmd.model.ids import ExtensionId, ResourceId
from swarmd.model.instant import Instant
from swarmd.model.record import Record


class Extension(Record, frozen=True):
    """A kind of resource; immutable."""

    id: ExtensionId
    version: int = 0
    created_at: Instant = Instant(0)
    updated_at: Instant = Instant(0)
    name: str = ""
    labels: Mapping[str, str] = {}
    description: str = ""


class Resource(Record, frozen=True):
    """The payload is opaque: a type URL and the bytes of a message."""

    id: ResourceId
    version: int = 0
    created_at: Instant = Instant(0)
    updated_at: Instant = Instant(0)
    name: str = ""
    labels: Mapping[str, str] = {}
    kind: str = ""  # the name of an extension
    payload_type: str = ""
    payload: bytes = b""
