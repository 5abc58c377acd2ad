"""What flags do to the surroundings of a service's containers: names, limits, rights. Pure.

Lists are changed by what is added and what is removed; removals come first. Capabilities have no
flags for removal: adding one undoes that it was dropped, and the other way round.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from swarmd.model.host_access import AppArmor, Device, HostAccess, Privileges, Seccomp
from swarmd.model.record import Record
from swarmd.model.spec import ContainerSpec, DnsConfig, Ulimit

RESET = "RESET"
_RIGHTS = re.compile(r"[rwm]{1,3}")
T = TypeVar("T")
R = TypeVar("R", bound=Record)


class ListChange(Struct, frozen=True):
    """Entries to add, and what names those to remove."""

    added: tuple[Any, ...] = ()
    removed: tuple[Any, ...] = ()

    def items(self, present: tuple[Any, ...]) -> tuple[Any, ...]:
        kept = tuple(item for item in present if item not in self.removed)
        return kept + tuple(item for item in self.added if item not in kept)


NO_CHANGE = ListChange()


class ContainerChanges(Struct, kw_only=True, frozen=True):
    """One command's wishes on the surroundings of containers."""

    hosts: ListChange = NO_CHANGE
    dns: ListChange = NO_CHANGE
    dns_search: ListChange = NO_CHANGE
    dns_options: ListChange = NO_CHANGE
    sysctls: ListChange = NO_CHANGE  # pairs; removed by name
    ulimits: ListChange = NO_CHANGE  # removed by name
    devices: ListChange = NO_CHANGE  # removed by source
    device_rules: ListChange = NO_CHANGE
    capabilities_added: tuple[str, ...] = ()
    capabilities_dropped: tuple[str, ...] = ()
    privileges: Mapping[str, Any] = {}
    access: Mapping[str, Any] = {}  # scalar fields of the host access


def changed(spec: ContainerSpec, changes: ContainerChanges) -> ContainerSpec:
    """`spec` with the changes made; parts that end up empty are absent."""
    added, dropped = _capabilities(spec, changes)
    return replace(
        spec,
        hosts=changes.hosts.items(spec.hosts),
        dns_config=_dns(spec.dns_config or DnsConfig(), changes),
        sysctls=_sysctls(spec.sysctls, changes.sysctls),
        ulimits=_by_name(spec.ulimits, changes.ulimits, lambda limit: limit.name),
        capability_add=added,
        capability_drop=dropped,
        privileges=_privileges(spec.privileges or Privileges(), changes.privileges),
        host_access=_access(spec.host_access or HostAccess(), changes),
    )


def host_line(text: str) -> str:
    """`db:10.0.0.7`, a line of /etc/hosts the other way round."""
    name, _, address = text.partition(":")
    if not name or not address:
        raise ValueError(f"{text!r} is not understood; write NAME:ADDRESS")
    return f"{address} {name}"


def ulimit(text: str) -> Ulimit:
    """`nofile=1024:2048`, or one number for both; -1 is unlimited."""
    name, _, amounts = text.partition("=")
    soft, _, hard = amounts.partition(":")
    try:
        return Ulimit(name=name, soft=int(soft), hard=int(hard or soft))
    except ValueError:
        raise ValueError(f"{text!r} is no limit; write for example nofile=1024:2048") from None


def device(text: str) -> Device:
    """`/dev/fuse`, `/dev/sda:/dev/xvda:r`."""
    source, *rest = text.split(":")
    target = permissions = ""
    match rest:
        case []:
            pass
        case [one] if not one.startswith("/"):
            permissions = one
        case [one]:
            target = one
        case [target, permissions]:
            pass
        case _:
            raise ValueError(f"{text!r} is not understood; write SOURCE[:TARGET[:RIGHTS]]")
    if not source.startswith("/") or (permissions and not _RIGHTS.fullmatch(permissions)):
        raise ValueError(f"{text!r} is no device; write for example /dev/fuse:/dev/fuse:rw")
    return Device(source=source, target=target, permissions=permissions)


def _dns(present: DnsConfig, changes: ContainerChanges) -> DnsConfig | None:
    config = DnsConfig(
        nameservers=changes.dns.items(present.nameservers),
        search=changes.dns_search.items(present.search),
        options=changes.dns_options.items(present.options),
    )
    return _unless_empty(config)


def _sysctls(present: Mapping[str, str], change: ListChange) -> dict[str, str]:
    kept = {name: value for name, value in present.items() if name not in change.removed}
    return {**kept, **dict(change.added)}


def _by_name(present: tuple[T, ...], change: ListChange, name_of: Any) -> tuple[T, ...]:
    """An entry that is given again takes the place of the old one."""
    entries = {name_of(item): item for item in present if name_of(item) not in change.removed}
    entries.update((name_of(item), item) for item in change.added)
    return tuple(entries.values())


def _capabilities(
    spec: ContainerSpec, changes: ContainerChanges
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    added = {_plain(name): name for name in spec.capability_add}
    dropped = {_plain(name): name for name in spec.capability_drop}
    for wanted, own, other in (
        (changes.capabilities_added, added, dropped),
        (changes.capabilities_dropped, dropped, added),
    ):
        for name in wanted:
            plain = _plain(name)
            if plain == RESET:
                own.clear()
                continue
            other.pop(plain, None)
            own[plain] = plain
    return tuple(added.values()), tuple(dropped.values())


def _plain(name: str) -> str:
    return name.upper().removeprefix("CAP_")


def _privileges(present: Privileges, fields: Mapping[str, Any]) -> Privileges | None:
    wanted = replace(present, **fields)
    if wanted.seccomp == Seccomp():
        wanted = replace(wanted, seccomp=None)
    if wanted.apparmor == AppArmor():
        wanted = replace(wanted, apparmor=None)
    return _unless_empty(wanted)


def _access(present: HostAccess, changes: ContainerChanges) -> HostAccess | None:
    wanted = replace(
        present,
        devices=_by_name(present.devices, changes.devices, lambda device: device.source),
        device_rules=changes.device_rules.items(present.device_rules),
        **changes.access,
    )
    return _unless_empty(wanted)


def _unless_empty(record: R) -> R | None:
    return None if record == type(record)() else record
