"""A container in the words of the OCI runtime specification, 1.0.2."""

from __future__ import annotations

from typing import Any

from swarmd.agent.oci import cgroups, devices, security
from swarmd.agent.oci import mounts as describing
from swarmd.agent.oci.container import Container
from swarmd.model.host_access import Privileges

VERSION = "1.0.2"
TYPE_URL = "types.containerd.io/opencontainers/runtime-spec/1/Spec"
INIT = "/dev/init"
SHM_BYTES = 64 * 1024 * 1024

_SAFE = ["nosuid", "noexec", "nodev"]
# As Docker: any user may ping, and listen on any port of its own network.
_OWN_NETWORK_SYSCTLS = {
    "net.ipv4.ping_group_range": "0 2147483647",
    "net.ipv4.ip_unprivileged_port_start": "0",
}


def runtime_spec(container: Container) -> dict[str, Any]:
    """The document the runtime makes the container from."""
    access = container.access
    propagation = describing.root_propagation(container.mounts)
    network = {} if access.network else _OWN_NETWORK_SYSCTLS
    return {
        "ociVersion": VERSION,
        "process": process(container),
        "root": {"path": "rootfs", "readonly": container.spec.read_only},
        **({} if access.uts else {"hostname": container.hostname}),
        "mounts": _mounts(container),
        "annotations": dict(container.labels),
        "linux": {
            "cgroupsPath": container.cgroup,
            "resources": {
                "devices": devices.rules(
                    container.devices, access.device_rules, privileged=access.privileged
                ),
                **cgroups.bounds(container.resources, container.cgroups),
            },
            "devices": devices.nodes(container.devices),
            "namespaces": _namespaces(container),
            "sysctl": {**network, **container.spec.sysctls},
            **security.system_calls(
                container.spec,
                container.capabilities,
                architecture=container.architecture,
                kernel=container.kernel,
            ),
            **({"rootfsPropagation": propagation} if propagation else {}),
            **security.paths(access),
        },
    }


def process(container: Container) -> dict[str, Any]:
    """The first process; others that are executed later differ in their command only."""
    account = container.account
    held = list(container.capabilities)
    # Root gets them by running a program; others only what they can gain by file capabilities.
    own = held if account.uid == 0 else []
    profile = security.apparmor_profile(container.spec, default=container.apparmor)
    first = [INIT, "--"] if container.init else []
    return {
        "terminal": container.spec.tty,
        "user": {
            "uid": account.uid,
            "gid": account.gid,
            "additionalGids": list(account.groups),
        },
        "args": [*first, *container.argv],
        "env": list(container.env),
        "cwd": container.directory,
        "capabilities": {"bounding": held, "effective": own, "permitted": own},
        "rlimits": _rlimits(container),
        "oomScoreAdj": container.spec.oom_score_adj,
        "noNewPrivileges": (container.spec.privileges or Privileges()).no_new_privileges,
        **({"apparmorProfile": profile} if profile else {}),
    }


def _namespaces(container: Container) -> list[dict[str, str]]:
    access = container.access
    shared = {
        "pid": access.pid,
        "network": access.network,
        "ipc": access.ipc,
        "uts": access.uts,
        "mount": False,
        "cgroup": access.cgroup,
    }
    own = [{"type": kind} for kind, is_shared in shared.items() if not is_shared]
    for namespace in own:
        if namespace["type"] == "network" and container.network_namespace:
            namespace["path"] = container.network_namespace
    return own


def _rlimits(container: Container) -> list[dict[str, Any]]:
    """The limits asked for; the others are those of the daemon, which not every node may raise."""
    return [
        {
            "type": f"RLIMIT_{limit.name.upper()}",
            "soft": _unlimited(limit.soft),
            "hard": _unlimited(limit.hard),
        }
        for limit in container.spec.ulimits
    ]


def _unlimited(amount: int) -> int:
    return amount if amount >= 0 else 2**64 - 1


def _mounts(container: Container) -> list[dict[str, Any]]:
    access = container.access
    kernel = "rw" if access.privileged else "ro"
    mounts = [
        _mount("/proc", "proc", *_SAFE),
        _mount("/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        _mount(
            "/dev/pts",
            "devpts",
            "nosuid",
            "noexec",
            "newinstance",
            "ptmxmode=0666",
            "mode=0620",
            "gid=5",
        ),
        *_shared_memory(container),
        _mount("/sys", "sysfs", *_SAFE, kernel),
        _mount("/sys/fs/cgroup", "cgroup", *_SAFE, "relatime", kernel),
    ]
    if container.init:
        mounts.append(_bind(container.init, INIT, "ro"))
    mounts += [
        _bind(file.source, file.target, "ro" if file.read_only else "rw")
        for file in container.files
    ]
    # What the task mounts itself takes the place of what every container has there.
    own = {mount.target for mount in container.mounts}
    return [mount for mount in mounts if mount["destination"] not in own] + [
        describing.mount(mount, deep_read_only=container.deep_read_only)
        for mount in container.mounts
    ]


def _shared_memory(container: Container) -> list[dict[str, Any]]:
    # Of message queues there is one file system per namespace, wherever it is mounted.
    queues = _mount("/dev/mqueue", "mqueue", *_SAFE)
    if container.access.ipc:
        return [_bind("/dev/shm", "/dev/shm", "rw"), queues]
    size = f"size={container.access.shm_bytes or SHM_BYTES}"
    return [_mount("/dev/shm", "tmpfs", *_SAFE, "mode=1777", size, source="shm"), queues]


def _mount(target: str, kind: str, *options: str, source: str = "") -> dict[str, Any]:
    return {
        "destination": target,
        "type": kind,
        "source": source or kind,
        "options": list(options),
    }


def _bind(source: str, target: str, mode: str) -> dict[str, Any]:
    return {
        "destination": target,
        "type": "bind",
        "source": source,
        "options": ["rbind", "rprivate", mode],
    }
