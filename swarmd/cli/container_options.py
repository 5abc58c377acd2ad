"""The flags on the surroundings of containers: names, limits, rights, what they have of nodes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from swarmd.cli.params import PAIR, SIZE, Reads

if TYPE_CHECKING:
    from swarmd.cli.container_changes import ContainerChanges
    from swarmd.model.spec import NetworkAttachmentConfig


def _host_line(text: str) -> Any:
    from swarmd.cli.container_changes import host_line

    return host_line(text)


def _ulimit(text: str) -> Any:
    from swarmd.cli.container_changes import ulimit

    return ulimit(text)


def _device(text: str) -> Any:
    from swarmd.cli.container_changes import device

    return device(text)


def _swap(text: str) -> int:
    from swarmd.cli.values import size_bytes

    return -1 if text == "-1" else size_bytes(text)


def _users(text: str) -> str:
    if text in ("", "host"):
        return text
    raise ValueError(
        "containers have the user ids of their node, and no others can be given to them: to show "
        "an image under mapped ids takes runc 1.2 with containerd 2, or a copy of it for each "
        "mapping; run it as another --user, or leave --userns out"
    )


HOST = Reads("host", _host_line)
ULIMIT = Reads("ulimit", _ulimit)
DEVICE = Reads("device", _device)
SWAP = Reads("size", _swap)
NAMESPACE = click.Choice(["host", "private"])
USERS = Reads("host", _users)
# Flag, type, what help calls a value, what removes it, help.
_LISTS: tuple[tuple[str, Any, str, str, str], ...] = (
    ("host", HOST, "NAME:ADDRESS", "NAME:ADDRESS", "Line of /etc/hosts."),
    ("dns", None, "ADDRESS", "ADDRESS", "Name server to ask."),
    ("dns-search", None, "DOMAIN", "DOMAIN", "Domain that names are looked up in."),
    ("dns-option", None, "OPTION", "OPTION", "Option of the resolver: ndots:2."),
    ("sysctl", PAIR, "NAME=VALUE", "NAME", "Kernel setting of the container."),
    ("ulimit", ULIMIT, "NAME=SOFT[:HARD]", "NAME", "Limit of processes: nofile=1024:2048."),
    ("device", DEVICE, "SOURCE[:TARGET[:rwm]]", "SOURCE", "Device of the node."),
    ("device-cgroup-rule", None, "RULE", "RULE", "Devices it may use: 'c 10:* rwm'."),
)
SHARED: list[Any] = [
    click.option("-t", "--tty/--no-tty", default=None, help="With a terminal."),
    click.option(
        "-i", "--interactive/--no-interactive", default=None, help="Its input stays open."
    ),
    click.option("--read-only/--no-read-only", default=None, help="The root file system."),
    click.option("--init/--no-init", default=None, help="A first process collects orphans."),
    click.option("--memory-swap", type=SWAP, help="Swap on top of --limit-memory; -1: any [0]."),
    click.option("--memory-swappiness", type=click.IntRange(0, 100), help="[the node's]."),
    click.option("--oom-score-adj", type=click.IntRange(-1000, 1000), help="Higher ends first."),
    click.option("--cap-add", multiple=True, metavar="NAME", help="Capability to have; ALL."),
    click.option("--cap-drop", multiple=True, metavar="NAME", help="Capability to lack; ALL."),
    click.option(
        "--security-opt",
        multiple=True,
        metavar="OPTION",
        help="no-new-privileges, seccomp=FILE|unconfined, apparmor=PROFILE|unconfined, "
        "systempaths=unconfined; default for each.",
    ),
    click.option("--privileged/--no-privileged", default=None, help="All of the node."),
    click.option("--pid", type=NAMESPACE, help="host: sees the node's processes."),
    click.option("--ipc", type=NAMESPACE, help="host: the node's shared memory."),
    click.option("--uts", type=NAMESPACE, help="host: the node's name."),
    click.option("--cgroupns", type=NAMESPACE, help="host: sees the node's cgroups."),
    click.option("--userns", type=USERS, help="host: the node's users."),
    click.option("--shm-size", type=SIZE, help="Of /dev/shm [64m]."),
    click.option("--runtime", metavar="NAME", help="Runs its containers instead of runc."),
    click.option("--cgroup-parent", metavar="PATH", help="Its cgroups lie below."),
]
CREATE: list[Any] = [
    click.option(f"--{name}", multiple=True, type=kind, metavar=value, help=text)
    for name, kind, value, _, text in _LISTS
]
UPDATE: list[Any] = [
    option
    for name, kind, value, key, _ in _LISTS
    for option in (
        click.option(f"--{name}-add", multiple=True, type=kind, metavar=value),
        click.option(
            f"--{name}-rm", multiple=True, type=HOST if kind is HOST else None, metavar=key
        ),
    )
]
HOST_NETWORK = "host"
_NAMESPACES = {"pid": "pid", "ipc": "ipc", "uts": "uts", "cgroupns": "cgroup", "userns": "user"}


def scalar_fields(flags: dict[str, Any]) -> dict[str, Any]:
    """Fields of the container spec itself."""
    names = {
        "tty": "tty",
        "interactive": "open_stdin",
        "read_only": "read_only",
        "init": "init",
        "oom_score_adj": "oom_score_adj",
    }
    return {field: flags[name] for name, field in names.items() if flags.get(name) is not None}


def swap_fields(flags: dict[str, Any]) -> dict[str, Any]:
    """Fields of the resource requirements."""
    names = {"memory_swap": "swap_bytes", "memory_swappiness": "memory_swappiness"}
    return {field: flags[name] for name, field in names.items() if flags.get(name) is not None}


def container_changes(flags: dict[str, Any]) -> ContainerChanges:
    """What the flags do to the surroundings of containers.

    Raises:
        ValueError: a security option is not understood.
    """
    from swarmd.cli.container_changes import ContainerChanges, ListChange

    def change(name: str) -> ListChange:
        added = flags.get(name) or flags.get(f"{name}_add") or ()
        return ListChange(tuple(added), tuple(flags.get(f"{name}_rm") or ()))

    privileges, access = _security(flags.get("security_opt") or ())
    for name, field in _NAMESPACES.items():
        if flags.get(name) is not None:
            access[field] = flags[name] == "host"
    for name in ("privileged", "runtime", "cgroup_parent"):
        if flags.get(name) is not None:
            access[name] = flags[name]
    if flags.get("shm_size") is not None:
        access["shm_bytes"] = flags["shm_size"]
    if _names_host(flags.get("network_rm") or ()):
        access["network"] = False
    networks = flags.get("network") or flags.get("network_add") or ()
    if _names_host(network.target for network in networks):
        access["network"] = True
    return ContainerChanges(
        hosts=change("host"),
        dns=change("dns"),
        dns_search=change("dns_search"),
        dns_options=change("dns_option"),
        sysctls=change("sysctl"),
        ulimits=change("ulimit"),
        devices=change("device"),
        device_rules=change("device_cgroup_rule"),
        capabilities_added=tuple(flags.get("cap_add") or ()),
        capabilities_dropped=tuple(flags.get("cap_drop") or ()),
        privileges=privileges,
        access=access,
    )


def without_host(
    networks: tuple[NetworkAttachmentConfig, ...],
) -> tuple[NetworkAttachmentConfig, ...]:
    """The networks of the swarm; the node's own is none of them."""
    return tuple(network for network in networks if network.target != HOST_NETWORK)


def _names_host(names: Any) -> bool:
    return HOST_NETWORK in tuple(names)


def _security(options: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fields of the privileges and of the host access."""
    from swarmd.model.host_access import AppArmor, Seccomp, SELinuxContext
    from swarmd.model.states import AppArmorMode, SeccompMode

    privileges: dict[str, Any] = {}
    access: dict[str, Any] = {}
    for option in options:
        key, _, value = option.replace(":", "=", 1).partition("=")
        match key, value:
            case "no-new-privileges", "" | "true" | "false":
                privileges["no_new_privileges"] = value != "false"
            case "seccomp", "unconfined":
                privileges["seccomp"] = Seccomp(mode=SeccompMode.UNCONFINED)
            case "seccomp", "default" | "builtin":
                privileges["seccomp"] = Seccomp()
            case "seccomp", path if path:
                profile = _profile(path)
                privileges["seccomp"] = Seccomp(mode=SeccompMode.CUSTOM, profile=profile)
            case "apparmor", "unconfined":
                privileges["apparmor"] = AppArmor(mode=AppArmorMode.DISABLED)
                access["apparmor_profile"] = ""
            case "apparmor", name if name:
                privileges["apparmor"] = AppArmor()
                access["apparmor_profile"] = "" if name == "default" else name
            case "systempaths", "unconfined" | "default":
                access["system_paths"] = value == "unconfined"
            case "label", "disable":
                privileges["selinux_context"] = SELinuxContext(disable=True)
            case "label", _:
                click.echo(f"note: {option} is ignored, as no SELinux labels are set", err=True)
            case _:
                raise ValueError(
                    f"--security-opt {option!r} is not understood; there are no-new-privileges, "
                    "seccomp=, apparmor= and systempaths="
                )
    return privileges, access


def _profile(path: str) -> bytes:
    from swarmd.model import seccomp_profile

    try:
        data = Path(path).read_bytes()
        seccomp_profile.read(data)
    except OSError as error:
        raise ValueError(f"seccomp profile {path} can't be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"seccomp profile {path}: {error}") from None
    return data
