"""Versions of secrets and configs: objects of their own, held together by their names. Pure.

`key` is the first version, `key@2` the next: a family. Users can't give such names themselves. What
a version holds never changes, so that a task that is rolled back gets what it had.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from msgspec.structs import replace

from swarmd.model.secret import Config, Secret
from swarmd.model.service import Service
from swarmd.model.spec import ConfigReference, ContainerSpec, SecretReference, ServiceSpec

SEPARATOR = "@"
KEPT = 10  # versions of a family that stay though no service knows of them
File = TypeVar("File", Secret, Config)


def family(name: str) -> str:
    """The name that all versions have in common."""
    return name.partition(SEPARATOR)[0]


def number(name: str) -> int:
    """Which version a name is of, from 1."""
    text = name.partition(SEPARATOR)[2]
    return int(text) if text.isdecimal() else 1


def name_of(family_name: str, version: int) -> str:
    return family_name if version == 1 else f"{family_name}{SEPARATOR}{version}"


def members(files: Iterable[File], family_name: str) -> tuple[File, ...]:
    """The versions of a family, first to last; names are compared without regard to case."""
    wanted = family_name.lower()
    found = [file for file in files if family(file.spec.name).lower() == wanted]
    return tuple(sorted(found, key=lambda file: number(file.spec.name)))


def following(spec: ServiceSpec, new: Secret | Config) -> ServiceSpec:
    """`spec` with the references that follow the family of `new` referring to it.

    It is the same object if there are none.
    """
    container = spec.task_template.container_spec
    if container is None:
        return spec
    if isinstance(new, Secret):
        secrets = tuple(_secret(row, new) for row in container.secrets)
        if secrets == container.secrets:
            return spec
        changed = replace(container, secrets=secrets)
    else:
        configs = tuple(_config(row, new) for row in container.configs)
        if configs == container.configs:
            return spec
        changed = replace(container, configs=configs)
    return replace(spec, task_template=replace(spec.task_template, container_spec=changed))


def dispensable(versions: tuple[File, ...], services: Iterable[Service]) -> tuple[File, ...]:
    """The oldest of a family that are too many and that no service could go back to."""
    too_many = versions[:-KEPT]
    if not too_many:
        return ()
    known = {file_id for service in services for spec in _specs(service) for file_id in _ids(spec)}
    return tuple(file for file in too_many if file.id not in known)


def _secret(reference: SecretReference, new: Secret) -> SecretReference:
    if not reference.latest or not _is_kin(reference.secret_name, new.spec.name):
        return reference
    return replace(reference, secret_id=new.id, secret_name=new.spec.name)


def _config(reference: ConfigReference, new: Config) -> ConfigReference:
    if not reference.latest or not _is_kin(reference.config_name, new.spec.name):
        return reference
    return replace(reference, config_id=new.id, config_name=new.spec.name)


def _is_kin(one: str, other: str) -> bool:
    return family(one).lower() == family(other).lower()


def _specs(service: Service) -> tuple[ServiceSpec, ...]:
    previous = (service.previous_spec,) if service.previous_spec is not None else ()
    return (service.spec, *previous, *(past.spec for past in service.history))


def _ids(spec: ServiceSpec) -> tuple[str, ...]:
    container = spec.task_template.container_spec or ContainerSpec()
    return (
        *(reference.secret_id for reference in container.secrets),
        *(reference.config_id for reference in container.configs),
    )
