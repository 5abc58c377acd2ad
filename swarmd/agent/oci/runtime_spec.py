"""A container in the words of the OCI runtime specification, 1.0.2."""

from __future__ import annotations

from typing import Any

from swarmd.agent.oci import mounts as describing
from swarmd.agent.oci import seccomp
from swarmd.agent.oci.container import Container

VERSION = "1.0.2"
TYPE_URL = "types.containerd.io/opencontainers/runtime-spec/1/Spec"
CPU_PERIOD_US = 100_000
CPU_QUOTA_US_MIN = 1_000

# What tells of the machine, or acts on it, beyond what a container should see.
_MASKED = [
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys",
    "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list",
    "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
]  # fmt: skip
_READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
_SAFE = ["nosuid", "noexec", "nodev"]
# null, zero, full, random, urandom, tty, console, and pseudo-terminals.
_DEVICES = (
    ("c", 1, 3), ("c", 1, 5), ("c", 1, 7), ("c", 1, 8), ("c", 1, 9),
    ("c", 5, 0), ("c", 5, 1), ("c", 5, 2), ("c", 136, None),
)  # fmt: skip


def runtime_spec(container: Container) -> dict[str, Any]:
    """The document the runtime makes the container from."""
    propagation = describing.root_propagation(container.mounts)
    return {
        "ociVersion": VERSION,
        "process": process(container),
        "root": {"path": "rootfs", "readonly": container.spec.read_only},
        "hostname": container.hostname,
        "mounts": _mounts(container),
        "annotations": dict(container.labels),
        "linux": {
            "cgroupsPath": container.cgroup,
            "resources": _resources(container),
            "namespaces": [
                {"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount", "cgroup")
            ],
            "sysctl": {
                # As Docker: any user may ping, and listen on any port of its own network.
                "net.ipv4.ping_group_range": "0 2147483647",
                "net.ipv4.ip_unprivileged_port_start": "0",
                **container.spec.sysctls,
            },
            "seccomp": seccomp.profile(container.capabilities, architecture=container.architecture),
            **({"rootfsPropagation": propagation} if propagation else {}),
            "maskedPaths": _MASKED,
            "readonlyPaths": _READ_ONLY,
        },
    }


def process(container: Container) -> dict[str, Any]:
    """The first process; others that are executed later differ in their command only."""
    account = container.account
    held = list(container.capabilities)
    # Root gets them by running a program; others only what they can gain by file capabilities.
    own = held if account.uid == 0 else []
    return {
        "terminal": container.spec.tty,
        "user": {
            "uid": account.uid,
            "gid": account.gid,
            "additionalGids": list(account.groups),
        },
        "args": list(container.argv),
        "env": list(container.env),
        "cwd": container.directory,
        "capabilities": {"bounding": held, "effective": own, "permitted": own},
        "rlimits": _rlimits(container),
        "oomScoreAdj": container.spec.oom_score_adj,
        "noNewPrivileges": False,
    }


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
        _mount("/dev/shm", "tmpfs", *_SAFE, "mode=1777", "size=67108864", source="shm"),
        _mount("/dev/mqueue", "mqueue", *_SAFE),
        _mount("/sys", "sysfs", *_SAFE, "ro"),
        _mount("/sys/fs/cgroup", "cgroup", *_SAFE, "relatime", "ro"),
    ]
    for file in container.files:
        mode = "ro" if file.read_only else "rw"
        mounts.append(
            {
                "destination": file.target,
                "type": "bind",
                "source": file.source,
                "options": ["rbind", "rprivate", mode],
            }
        )
    # What the task mounts itself takes the place of what every container has there.
    own = {mount.target for mount in container.mounts}
    return [mount for mount in mounts if mount["destination"] not in own] + [
        describing.mount(mount, deep_read_only=container.deep_read_only)
        for mount in container.mounts
    ]


def _mount(target: str, kind: str, *options: str, source: str = "") -> dict[str, Any]:
    return {
        "destination": target,
        "type": kind,
        "source": source or kind,
        "options": list(options),
    }


def _resources(container: Container) -> dict[str, Any]:
    limits = container.limits
    devices: list[dict[str, Any]] = [{"allow": False, "access": "rwm"}]
    for kind, major, minor in _DEVICES:
        rule: dict[str, Any] = {"allow": True, "type": kind, "major": major, "access": "rwm"}
        if minor is not None:
            rule["minor"] = minor
        devices.append(rule)
    # Nodes may be made, which archives want, but not used.
    devices += [{"allow": True, "type": kind, "access": "m"} for kind in ("c", "b")]
    resources: dict[str, Any] = {"devices": devices}
    if limits.nano_cpus:
        quota = max(limits.nano_cpus * CPU_PERIOD_US // 1_000_000_000, CPU_QUOTA_US_MIN)
        resources["cpu"] = {"quota": quota, "period": CPU_PERIOD_US}
    memory: dict[str, Any] = {}
    if limits.memory_bytes:
        # The limit covers swap as well.
        memory = {"limit": limits.memory_bytes, "swap": limits.memory_bytes}
    if container.reserved_bytes:
        memory["reservation"] = container.reserved_bytes
    if memory:
        resources["memory"] = memory
    if limits.pids:
        resources["pids"] = {"limit": limits.pids}
    return resources
