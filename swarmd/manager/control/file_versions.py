"""New versions of secrets and configs, and the services that follow them.

The version and the updates of all services that follow its family are one transaction: there is
never a version that a service has missed. Each service then changes as by any update: at the pace
of its update settings, watched, and rolled back to the version before if it is to be.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from msgspec.structs import replace

from swarmd.manager.control.core import ControlEnv
from swarmd.manager.control.services import Change
from swarmd.model import file_versions as versions
from swarmd.model.errors import Code, Rejection, out_of_sequence
from swarmd.model.ids import ConfigId, SecretId
from swarmd.model.secret import Config, ConfigSpec, Secret, SecretSpec
from swarmd.model.service import Service
from swarmd.model.spec import ServiceSpec
from swarmd.store.changes import Create, Delete, Kind, Transaction, Update

File = TypeVar("File", Secret, Config)


def check_family(kind: str, name: str, present: Iterable[Secret | Config]) -> None:
    """Refuse the name of a family whose first version has been removed."""
    kin = [
        file.spec.name
        for file in present
        if versions.family(file.spec.name).lower() == name.lower()
    ]
    if kin and name.lower() not in {other.lower() for other in kin}:
        raise Rejection(
            Code.ALREADY_EXISTS,
            f"there are versions of {kind} {name}, such as {kin[0]}; make another with "
            f"`swarmd {kind} update`, or remove them first",
        )


async def new_version(
    env: ControlEnv,
    base: File,
    spec: SecretSpec | ConfigSpec,
    *,
    index: int,
    present: tuple[File, ...],
) -> File:
    """The version after `base`, which holds the data of `spec`; `base` itself if it does already.

    Labels and templating are those of `base` unless the spec has some.

    Args:
        present: all there are.
        index: the version of the record as whoever asks has read it.

    Raises:
        Rejection: `base` isn't the latest version, or has changed.
    """
    family = versions.family(base.spec.name)
    kin: tuple[File, ...] = versions.members(present, family)
    if kin[-1].id != base.id or base.version != index:
        raise out_of_sequence()
    made = _made(
        env, base, spec, name=versions.name_of(family, versions.number(base.spec.name) + 1)
    )
    if _same(made, base):
        return base
    all_versions: tuple[File, ...] = kin + (made,)  # noqa: RUF005 (mypy loses the type)
    gone = versions.dispensable(all_versions, env.view.services())
    await env.writer.submit(_transaction(env, made, [file.id for file in gone]))
    return made


def _transaction(env: ControlEnv, made: Secret | Config, gone: Iterable[str]) -> Transaction:
    kind = Kind.SECRET if isinstance(made, Secret) else Kind.CONFIG
    reason = f"{kind.value} {versions.family(made.spec.name)} has a new version"
    updates = [
        Update(Change(env, service).to(wanted), base=service.version, reason=reason)
        for service, wanted in _followers(env.view.services(), made)
    ]
    deletes = [Delete(kind, file_id, reason="an old version") for file_id in gone]
    return Transaction((Create(made, "a new version by a user"), *updates, *deletes))


def _followers(
    services: Iterable[Service], made: Secret | Config
) -> Iterable[tuple[Service, ServiceSpec]]:
    for service in services:
        wanted = versions.following(service.spec, made)
        if wanted is not service.spec:
            yield service, wanted


def _made(env: ControlEnv, base: File, spec: SecretSpec | ConfigSpec, *, name: str) -> File:
    fields = {
        "name": name,
        "data": spec.data,
        "labels": spec.labels or base.spec.labels,
        "templating": spec.templating or base.spec.templating,
    }
    if isinstance(base, Secret):
        return Secret(id=SecretId(env.ids.new()), spec=replace(base.spec, **fields))
    return Config(id=ConfigId(env.ids.new()), spec=replace(base.spec, **fields))


def _same(made: File, base: File) -> bool:
    return replace(made.spec, name=base.spec.name) == base.spec
