"""How a container is kept from its node: system calls, AppArmor, hidden paths. Pure."""

from __future__ import annotations

from typing import Any

from swarmd.agent.oci import seccomp
from swarmd.model import seccomp_profile
from swarmd.model.host_access import AppArmor, HostAccess, Privileges, Seccomp
from swarmd.model.spec import ContainerSpec
from swarmd.model.states import AppArmorMode, SeccompMode

# What tells of the machine, or acts on it, beyond what a container should see.
MASKED = (
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys",
    "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list",
    "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
)  # fmt: skip
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
UNCONFINED = "unconfined"


def paths(access: HostAccess) -> dict[str, list[str]]:
    """The paths that are hidden, and those that can't be written to."""
    if access.privileged or access.system_paths:
        return {"maskedPaths": [], "readonlyPaths": []}
    return {"maskedPaths": list(MASKED), "readonlyPaths": list(READ_ONLY)}


def system_calls(
    spec: ContainerSpec,
    capabilities: tuple[str, ...],
    *,
    architecture: str,
    kernel: tuple[int, int],
) -> dict[str, Any]:
    """The filter, under the key that the runtime looks for; nothing for none.

    Raises:
        ValueError: the profile of the spec is none.
    """
    access = spec.host_access or HostAccess()
    wanted = (spec.privileges or Privileges()).seccomp or Seccomp()
    match wanted.mode:
        case SeccompMode.CUSTOM:
            profile = seccomp_profile.read(wanted.profile)
            return {
                "seccomp": seccomp_profile.resolved(
                    profile, capabilities, architecture=architecture, kernel=kernel
                )
            }
        case SeccompMode.DEFAULT if not access.privileged:
            return {"seccomp": seccomp.profile(capabilities, architecture=architecture)}
    return {}


def apparmor_profile(spec: ContainerSpec, *, default: str) -> str:
    """The name of the profile; empty for none.

    Args:
        default: the node's profile for containers; empty where the kernel has no AppArmor.
    """
    access = spec.host_access or HostAccess()
    mode = ((spec.privileges or Privileges()).apparmor or AppArmor()).mode
    if access.apparmor_profile:
        return access.apparmor_profile
    if not default:
        return ""
    if access.privileged or mode is AppArmorMode.DISABLED:
        return UNCONFINED
    return default
