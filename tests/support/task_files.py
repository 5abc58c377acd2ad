"""Secrets and configs, and references to them."""

from __future__ import annotations

from swarmd.model.ids import ConfigId, SecretId
from swarmd.model.secret import Config, ConfigSpec, Secret, SecretSpec
from swarmd.model.spec import ConfigReference, Driver, FileTarget, SecretReference

GOLANG = Driver(name="golang")


def a_secret(name: str, data: bytes, *, template: bool = False) -> Secret:
    """A secret whose id is its name."""
    spec = SecretSpec(name=name, data=data, templating=GOLANG if template else None)
    return Secret(id=SecretId(name), spec=spec)


def a_config(name: str, data: bytes, *, template: bool = False) -> Config:
    spec = ConfigSpec(name=name, data=data, templating=GOLANG if template else None)
    return Config(id=ConfigId(name), spec=spec)


def uses_secret(name: str, target: str = "", **file: object) -> SecretReference:
    made = FileTarget(name=target or name, **file)  # type: ignore[arg-type]
    return SecretReference(secret_id=name, secret_name=name, file=made)


def uses_config(name: str, target: str = "", **file: object) -> ConfigReference:
    made = FileTarget(name=target or f"/{name}", **file)  # type: ignore[arg-type]
    return ConfigReference(config_id=name, config_name=name, file=made)
