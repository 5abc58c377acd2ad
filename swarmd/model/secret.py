"""Secrets and configs: small files handed to the tasks that name them."""

from __future__ import annotations

from collections.abc import Mapping

from swarmd.model.ids import ConfigId, SecretId
from swarmd.model.instant import Instant
from swarmd.model.record import Record
from swarmd.model.spec import Driver


class SecretSpec(Record, frozen=True):
    name: str = ""
    labels: Mapping[str, str] = {}
    data: bytes = b""
    templating: Driver | None = None
    driver: Driver | None = None

    def __repr__(self) -> str:
        return f"SecretSpec(name={self.name!r}, {len(self.data)} bytes hidden)"


class Secret(Record, frozen=True):
    """`internal` ones belong to the swarm itself and are not shown."""

    id: SecretId
    version: int = 0
    created_at: Instant = Instant(0)
    updated_at: Instant = Instant(0)
    spec: SecretSpec = SecretSpec()
    internal: bool = False


class ConfigSpec(Record, frozen=True):
    name: str = ""
    labels: Mapping[str, str] = {}
    data: bytes = b""
    templating: Driver | None = None


class Config(Record, frozen=True):
    id: ConfigId
    version: int = 0
    created_at: Instant = Instant(0)
    updated_at: Instant = Instant(0)
    spec: ConfigSpec = ConfigSpec()
