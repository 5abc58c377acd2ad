"""The surroundings of a container: what no kernel would take is refused before it is stored."""

from __future__ import annotations

import ipaddress
import re

from msgspec.structs import replace

from swarmd.model.errors import invalid
from swarmd.model.host_access import HostAccess
from swarmd.model.spec import ContainerSpec, Ulimit

ULIMITS = (
    "as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending "
    "stack"
)
OOM_SCORE_MAX = 1000
REGISTRY_AUTH_MAX = 16 * 1024
# Those that the kernel keeps per container; others would change the whole node.
_SYSCTL = re.compile(
    r"net\.[\w./*-]+|fs\.mqueue\.\w+|kernel\.(?:msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni"
    r"|shm_rmid_forced|domainname)"
)
_CAPABILITY = re.compile(r"(?:CAP_)?[A-Z_]+|ALL", re.IGNORECASE)
_CONTAINER_FIELDS = (
    "tty open_stdin read_only init hosts dns_config sysctls capability_add capability_drop ulimits "
    "oom_score_adj privileges host_access"
)


def check_surroundings(spec: ContainerSpec) -> None:
    """Refuse what cannot be, and what only containers have on a service of processes."""
    asked = [
        name
        for name in _CONTAINER_FIELDS.split()
        if getattr(spec, name) and not (name == "host_access" and _is_network_alone(spec))
    ]
    if asked and runs_as_process(spec):
        raise invalid(
            f"container.{asked[0]} needs a container: a process shares its node's surroundings, "
            "but for networks; run an image, or leave it out"
        )
    for line in spec.hosts:
        address, *names = line.split()
        if not names or not _is_address(address):
            raise invalid(
                f"container.hosts entry {line[:80]!r} is not an address followed by names"
            )
    if spec.dns_config is not None:
        for server in spec.dns_config.nameservers:
            if not _is_address(server):
                raise invalid(f"container.dns nameserver {server[:80]!r} is not an address")
    for name in spec.sysctls:
        if not _SYSCTL.fullmatch(name):
            raise invalid(
                f"container.sysctls {name[:80]!r} is not kept per container; use net.*, "
                "fs.mqueue.* or the kernel.* of System V IPC"
            )
    for name in (*spec.capability_add, *spec.capability_drop):
        if not _CAPABILITY.fullmatch(name):
            raise invalid(f"container capability {name[:80]!r} is not a name such as NET_ADMIN")
    for limit in spec.ulimits:
        _check_ulimit(limit)
    if len(spec.registry_auth) > REGISTRY_AUTH_MAX:
        raise invalid(
            f"container.pull_options.registry_auth has {len(spec.registry_auth)} characters; "
            f"at most {REGISTRY_AUTH_MAX} are kept"
        )
    if abs(spec.oom_score_adj) > OOM_SCORE_MAX:
        raise invalid(
            f"container.oom_score_adj is {spec.oom_score_adj}; it goes from -1000 to 1000"
        )


def runs_as_process(spec: ContainerSpec) -> bool:
    return spec.executor == "process" or not spec.image


def _check_ulimit(limit: Ulimit) -> None:
    if limit.name not in ULIMITS.split():
        raise invalid(f"container.ulimits {limit.name[:80]!r} is unknown; use one of {ULIMITS}")
    if min(limit.soft, limit.hard) < -1:
        raise invalid(f"container.ulimits {limit.name}: amounts start at 0; -1 means unlimited")
    if limit.hard != -1 and (limit.soft > limit.hard or limit.soft == -1):
        raise invalid(
            f"container.ulimits {limit.name}: the soft limit {limit.soft} is above the hard limit "
            f"{limit.hard}"
        )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_network_alone(spec: ContainerSpec) -> bool:
    """Whether all that is asked of the node is its network, which processes may stay on, too."""
    return spec.host_access is not None and replace(spec.host_access, network=False) == HostAccess()
