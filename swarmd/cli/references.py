"""Networks, secrets and configs as flags name them, and their ids.

A person names them; specs hold ids. Reading a flag is pure; `known_references` asks the swarm for
the ids, only of the kinds that are named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from swarmd.cli.changes import Changes
from swarmd.cli.errors import CliError
from swarmd.model import file_versions
from swarmd.model.spec import (
    ConfigReference,
    ContainerSpec,
    FileTarget,
    NetworkAttachmentConfig,
    SecretReference,
    ServiceSpec,
)

if TYPE_CHECKING:
    from swarmd.cli.client import Client

MODE = 0o444
LATEST = "latest"
_FILE_KEYS = ("source", "target", "version", "uid", "gid", "mode")
_NETWORK_KEYS = ("name", "alias", "ip", "driver-opt")


def network(text: str) -> NetworkAttachmentConfig:
    """`back`, or `name=back,alias=db,ip=10.0.1.9,driver-opt=key=value`."""
    if "=" not in text:
        return NetworkAttachmentConfig(target=text)
    pairs = _pairs(text, _NETWORK_KEYS)
    target = [value for key, value in pairs if key == "name"]
    if len(target) != 1:
        raise ValueError(f"{text!r} names no network; write name=back,alias=db")
    return NetworkAttachmentConfig(
        target=target[0],
        aliases=tuple(value for key, value in pairs if key == "alias"),
        addresses=tuple(value for key, value in pairs if key == "ip"),
        driver_opts=dict(value.partition("=")[::2] for key, value in pairs if key == "driver-opt"),
    )


def secret(text: str) -> SecretReference:
    """`key`, or `source=key,target=/run/key,uid=0,gid=0,mode=0400`; its id is not known yet.

    `version=3` names a version, `version=latest` follows every new one; without, it is the version
    that is the latest when the service is written.
    """
    name, file, latest = _file(text)
    return SecretReference(secret_name=name, file=file, latest=latest)


def config(text: str) -> ConfigReference:
    """As `secret`.

    A target that isn't absolute is meant from the root of a container, or, for a process, which
    shares the node's root, from /run/configs.
    """
    name, file, latest = _file(text)
    return ConfigReference(config_name=name, file=file, latest=latest)


def _file(text: str) -> tuple[str, FileTarget, bool]:
    given = dict(_pairs(text, _FILE_KEYS)) if "=" in text else {"source": text}
    name = given.get("source", "")
    if not name:
        raise ValueError(f"{text!r} has no source; write source=key,target=/etc/key")
    mode = given.get("mode", "")
    if mode and (not mode.isdecimal() or set(mode) & {"8", "9"}):
        raise ValueError(f"{text!r} has the mode {mode!r}; write it in octal, as in mode=0400")
    file = FileTarget(
        name=given.get("target") or file_versions.family(name),
        uid=given.get("uid", "0"),
        gid=given.get("gid", "0"),
        mode=int(mode, 8) if mode else MODE,
    )
    version = given.get("version", "")
    if version == LATEST:
        return name, file, True
    if version and not (version.isdecimal() and int(version) > 0):
        raise ValueError(f"{text!r} has the version {version!r}; write a number, or latest")
    if version:
        # Version 1 is written out, too, so that it isn't taken for the latest.
        name = f"{file_versions.family(name)}{file_versions.SEPARATOR}{version}"
    return name, file, False


def _pairs(text: str, keys: tuple[str, ...]) -> list[tuple[str, str]]:
    pairs = []
    for part in text.split(","):
        key, equals, value = part.strip().partition("=")
        if key not in keys or not equals or not value:
            raise ValueError(f"{part!r} is not understood; use {', '.join(keys)}")
        pairs.append((key, value))
    return pairs


class Known(NamedTuple):
    """Ids by name, of the kinds that were asked for."""

    networks: Mapping[str, str]
    secrets: Mapping[str, str]
    configs: Mapping[str, str]


async def known_references(client: Client, wanted: Changes | ServiceSpec) -> Known:
    """The ids of everything of the kinds that `wanted` names."""
    from swarmd.cli import objects_client

    if isinstance(wanted, ServiceSpec):
        container = wanted.task_template.container_spec or ContainerSpec()
        removed, secrets, configs = False, container.secrets, container.configs
    else:
        removed = bool(wanted.networks_removed)
        secrets, configs = wanted.secrets, wanted.configs
    return Known(
        networks={row.spec.name: row.id for row in await objects_client.networks(client)}
        if removed
        else {},
        secrets={row.spec.name: row.id for row in await objects_client.secrets(client)}
        if secrets
        else {},
        configs={row.spec.name: row.id for row in await objects_client.configs(client)}
        if configs
        else {},
    )


def by_id(changes: Changes, known: Known) -> Changes:
    """`changes` in which networks to remove are named by their ids as well."""
    ids = tuple(known.networks.get(word, word) for word in changes.networks_removed)
    return replace(changes, networks_removed=(*changes.networks_removed, *ids))


def with_ids(spec: ServiceSpec, known: Known) -> ServiceSpec:
    """`spec` with the ids of the secrets and configs that it names.

    Raises:
        CliError: there is no such secret or config.
    """
    container = spec.task_template.container_spec
    if container is None or not (container.secrets or container.configs):
        return spec
    container = replace(
        container,
        secrets=tuple(
            row if row.secret_id else replace(row, secret_name=name, secret_id=known.secrets[name])
            for row in container.secrets
            for name in (_name("secret", row.secret_name, known.secrets, row.secret_id),)
        ),
        configs=tuple(
            row if row.config_id else replace(row, config_name=name, config_id=known.configs[name])
            for row in container.configs
            for name in (_name("config", row.config_name, known.configs, row.config_id),)
        ),
    )
    return replace(spec, task_template=replace(spec.task_template, container_spec=container))


def _name(kind: str, name: str, ids: Mapping[str, str], known_id: str) -> str:
    """The name of the version that is meant: that of a number, or the latest."""
    if known_id:
        return name
    family, separator, number = name.partition(file_versions.SEPARATOR)
    if separator:
        exact = file_versions.name_of(family, int(number)) if number.isdecimal() else name
        found = [exact] if exact in ids else []
    else:
        kin = [other for other in ids if file_versions.family(other) == family]
        found = sorted(kin, key=file_versions.number)
    if not found:
        raise CliError(f"no such {kind}: {name}", hint=f"`swarmd {kind} ls` lists them")
    return found[-1]
