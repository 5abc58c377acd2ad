"""Security settings of containers, and what they have of their nodes, to messages and back."""

from __future__ import annotations

from swarmd.model.host_access import (
    AppArmor,
    Device,
    HostAccess,
    Privileges,
    Seccomp,
    SELinuxContext,
)
from swarmd.rpc.convert import words
from swarmd.rpc.convert.codecs import ITEMS, SCALAR, each, optional
from swarmd.rpc.convert.table import Mapping, field
from swarmd.rpc.pb import extensions, types

PRIVILEGES = Mapping(
    Privileges,
    types.Privileges,
    field(
        "selinux_context",
        "selinux_context",
        optional(
            Mapping(
                SELinuxContext,
                types.Privileges.SELinuxContext,
                field("disable", "disable", SCALAR),
            )
        ),
    ),
    field(
        "seccomp",
        "seccomp",
        optional(
            Mapping(
                Seccomp,
                types.Privileges.SeccompOpts,
                field("mode", "mode", words.SECCOMP_MODE),
                field("profile", "profile", SCALAR),
            )
        ),
    ),
    field(
        "apparmor",
        "apparmor",
        optional(
            Mapping(
                AppArmor,
                types.Privileges.AppArmorOpts,
                field("mode", "mode", words.APPARMOR_MODE),
            )
        ),
    ),
    field("no_new_privileges", "no_new_privileges", SCALAR),
)
HOST_ACCESS = Mapping(
    HostAccess,
    extensions.HostAccess,
    field("privileged", "privileged", SCALAR),
    field(
        "devices",
        "devices",
        each(
            Mapping(
                Device,
                extensions.HostAccess.Device,
                field("source", "source", SCALAR),
                field("target", "target", SCALAR),
                field("permissions", "permissions", SCALAR),
            )
        ),
    ),
    field("device_rules", "device_rules", ITEMS),
    *(field(name, name, SCALAR) for name in ("network", "pid", "ipc", "uts", "cgroup", "user")),
    field("shm_bytes", "shm_bytes", SCALAR),
    field("apparmor_profile", "apparmor_profile", SCALAR),
    field("system_paths", "system_paths", SCALAR),
    field("runtime", "runtime", SCALAR),
    field("cgroup_parent", "cgroup_parent", SCALAR),
)
