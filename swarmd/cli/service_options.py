"""The flags of `service create` and `service update`, and what they mean as `Changes`.

`SHARED` are those that set a value and mean the same in both commands; lists are given whole on
creation (`--env`) and changed by an update (`--env-add`, `--env-rm`). `WAITING` says how commands
that change services end.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

import click

from swarmd.cli import container_options
from swarmd.cli.health_options import OPTIONS as HEALTH_OPTIONS
from swarmd.cli.health_options import health_fields
from swarmd.cli.mode_options import OPTIONS as MODE_OPTIONS
from swarmd.cli.mode_options import mode_fields
from swarmd.cli.params import (
    CONFIG,
    COUNT,
    CPUS,
    DURATION,
    MOUNT,
    NETWORK,
    PAIR,
    PLATFORM,
    PORTS,
    PREFERENCE,
    RATIO,
    RESOURCE,
    SECRET,
    SHORT_MOUNT,
    SIZE,
)

NETWORK_HELP = "Takes part in it: back, or name=back,alias=db,ip=10.0.1.9."
MOUNT_HELP = "type=volume,source=data,target=/data; also type=bind, type=tmpfs."
FILE_HELP = "File for its tasks: key, or source=key,target=/etc/key,mode=0400."


def _policy_options(kind: str) -> list[Any]:
    """The flags of an update or roll-back policy."""
    actions = ["pause", "continue"] + (["rollback"] if kind == "update" else [])
    return [
        click.option(f"--{kind}-parallelism", type=COUNT, help="Tasks at a time; 0 means all."),
        click.option(f"--{kind}-delay", type=DURATION, help="Pause between tasks."),
        click.option(f"--{kind}-monitor", type=DURATION, help="How long a new task is watched."),
        click.option(f"--{kind}-failure-action", type=click.Choice(actions)),
        click.option(f"--{kind}-max-failure-ratio", type=RATIO, help="Tolerated, from 0 to 1."),
        click.option(f"--{kind}-order", type=click.Choice(["stop-first", "start-first"])),
        click.option(f"--{kind}-task-timeout", type=DURATION, help="A task must run by then."),
    ]


SHARED: list[Any] = [
    click.option("--replicas", type=COUNT, help="Number of tasks; of a job, of completions."),
    *MODE_OPTIONS,
    click.option(
        "--executor", type=click.Choice(["process", "containerd"]), help="How nodes run tasks."
    ),
    click.option("--entrypoint", metavar="COMMAND", help="Replaces what the image runs."),
    click.option("-w", "--workdir", metavar="DIR", help="Working directory."),
    click.option("-u", "--user", metavar="USER[:GROUP]", help="User the task runs as."),
    click.option("--hostname", help="Host name of the task; may hold templates."),
    click.option("--stop-signal", metavar="SIGNAL", help="Asks the task to stop [SIGTERM]."),
    click.option("--stop-grace-period", type=DURATION, help="Then it is killed [10s]."),
    *HEALTH_OPTIONS,
    *container_options.SHARED,
    click.option("--limit-cpu", type=CPUS, help="At most so many CPUs."),
    click.option("--limit-memory", type=SIZE, help="At most so much memory."),
    click.option("--limit-pids", type=COUNT, help="At most so many processes."),
    click.option("--reserve-cpu", type=CPUS, help="CPUs set aside."),
    click.option("--reserve-memory", type=SIZE, help="Memory set aside."),
    click.option("--restart-condition", type=click.Choice(["none", "on-failure", "any"])),
    click.option("--restart-delay", type=DURATION, help="Between the attempts [5s]."),
    click.option("--restart-max-delay", type=DURATION, help="To which the delay doubles."),
    click.option("--restart-max-attempts", type=COUNT, help="0 means without limit."),
    click.option("--restart-window", type=DURATION, help="In which attempts are counted."),
    click.option("--replicas-max-per-node", type=COUNT, help="0 means without limit."),
    click.option(
        "--strategy",
        type=click.Choice(["cluster", "spread", "binpack", "random"]),
        help="How tasks are shared out among nodes [the cluster's].",
    ),
    click.option("--priority", type=int, help="Higher is placed first, in place of lower [0]."),
    click.option("--min-available", type=COUNT, help="So many are never taken from it [0]."),
    *_policy_options("update"),
    *_policy_options("rollback"),
    click.option("--endpoint-mode", type=click.Choice(["vip", "dnsrr"])),
    click.option(
        "--balance",
        type=click.Choice(["round-robin", "source-hash", "least-connection"]),
        help="How a new connection finds its task [round-robin].",
    ),
    click.option(
        "--balance-weight",
        metavar="node.labels.NAME",
        help='A label of nodes, 1 to 100: the share of tasks there. "" for none.',
    ),
    click.option(
        "--drain-timeout",
        type=DURATION,
        help="So long a stopping task keeps its connections [its stop grace period].",
    ),
    click.option("--log-driver", metavar="DRIVER", help="json-file, local or none."),
    click.option("--log-opt", multiple=True, type=PAIR, help="max-size=10m, max-file=3."),
]
CREATE: list[Any] = [
    click.option("-e", "--env", multiple=True, metavar="NAME[=VALUE]", help="Set a variable."),
    click.option("--env-file", multiple=True, type=click.Path(exists=True, dir_okay=False)),
    click.option("-l", "--label", multiple=True, type=PAIR, help="Label of the service."),
    click.option("--container-label", multiple=True, type=PAIR, help="Label of its tasks."),
    click.option("--constraint", multiple=True, metavar="KEY==VALUE", help="Where tasks may run."),
    click.option(
        "--platform",
        multiple=True,
        type=PLATFORM,
        metavar="OS[/ARCH]",
        help="Nodes of this kind alone, as linux/arm64; several: of any of them.",
    ),
    click.option("--placement-pref", multiple=True, type=PREFERENCE, metavar="spread=LABEL"),
    click.option(
        "--affinity",
        multiple=True,
        metavar="KEY==VALUE",
        help="Company to seek or, with !=, to avoid: image, service, task or a label.",
    ),
    click.option(
        "--toleration", multiple=True, metavar="KEY[=VALUE][:EFFECT]", help="Taint to put up with."
    ),
    click.option("--generic-resource", multiple=True, type=RESOURCE, help="gpu=2, set aside."),
    click.option("--group", multiple=True, help="Further group of the task's user."),
    click.option("--network", multiple=True, type=NETWORK, metavar="NETWORK", help=NETWORK_HELP),
    click.option("--secret", multiple=True, type=SECRET, metavar="SECRET", help=FILE_HELP),
    click.option("--config", multiple=True, type=CONFIG, metavar="CONFIG", help=FILE_HELP),
    click.option("--mount", multiple=True, type=MOUNT, metavar="MOUNT", help=MOUNT_HELP),
    click.option(
        "-v",
        "--volume",
        multiple=True,
        type=SHORT_MOUNT,
        metavar="[SOURCE:]TARGET[:ro]",
        help="Mounts a volume, or a directory of the node.",
    ),
    click.option("-p", "--publish", multiple=True, type=PORTS, metavar="[PUBLISHED:]TARGET[/udp]"),
    *container_options.CREATE,
]
UPDATE: list[Any] = [
    click.option("--image", help="Image to run from now on."),
    click.option("--args", metavar="ARGS", help="Arguments from now on, quoted as for a shell."),
    click.option("--env-add", multiple=True, metavar="NAME[=VALUE]"),
    click.option("--env-rm", multiple=True, metavar="NAME"),
    click.option("--label-add", multiple=True, type=PAIR),
    click.option("--label-rm", multiple=True, metavar="KEY"),
    click.option("--container-label-add", multiple=True, type=PAIR),
    click.option("--container-label-rm", multiple=True, metavar="KEY"),
    click.option("--constraint-add", multiple=True, metavar="KEY==VALUE"),
    click.option("--constraint-rm", multiple=True, metavar="KEY==VALUE"),
    click.option("--platform-add", multiple=True, type=PLATFORM, metavar="OS[/ARCH]"),
    click.option("--platform-rm", multiple=True, type=PLATFORM, metavar="OS[/ARCH]"),
    click.option("--placement-pref-add", multiple=True, type=PREFERENCE),
    click.option("--placement-pref-rm", multiple=True, type=PREFERENCE),
    click.option("--affinity-add", multiple=True, metavar="KEY==VALUE"),
    click.option("--affinity-rm", multiple=True, metavar="KEY==VALUE"),
    click.option("--toleration-add", multiple=True, metavar="KEY[=VALUE][:EFFECT]"),
    click.option("--toleration-rm", multiple=True, metavar="KEY[=VALUE][:EFFECT]"),
    click.option("--generic-resource-add", multiple=True, type=RESOURCE),
    click.option("--generic-resource-rm", multiple=True, metavar="KIND"),
    click.option("--group-add", multiple=True),
    click.option("--group-rm", multiple=True),
    click.option("--network-add", multiple=True, type=NETWORK, metavar="NETWORK"),
    click.option("--network-rm", multiple=True, metavar="NETWORK"),
    click.option("--secret-add", multiple=True, type=SECRET, metavar="SECRET"),
    click.option("--secret-rm", multiple=True, metavar="SECRET"),
    click.option("--config-add", multiple=True, type=CONFIG, metavar="CONFIG"),
    click.option("--config-rm", multiple=True, metavar="CONFIG"),
    click.option("--mount-add", multiple=True, type=MOUNT, metavar="MOUNT"),
    click.option("--mount-rm", multiple=True, metavar="TARGET"),
    click.option("--publish-add", multiple=True, type=PORTS, metavar="[PUBLISHED:]TARGET"),
    click.option("--publish-rm", multiple=True, type=PORTS, metavar="TARGET[/udp]"),
    *container_options.UPDATE,
    click.option("--force", is_flag=True, help="Replace all tasks even if nothing changed."),
]

DRY_RUN = click.option(
    "--dry-run", is_flag=True, help="Only show where tasks would run, and which would not."
)

IMAGE: list[Any] = [
    click.option(
        "--with-registry-auth", is_flag=True, help="Give nodes this machine's `docker login`."
    ),
    click.option(
        "--no-resolve-image", is_flag=True, help="Keep the image's tag, which may come to move."
    ),
]

WAITING: list[Any] = [
    click.option("-d", "--detach", is_flag=True, help="Do not wait until the tasks run."),
    click.option(
        "--timeout", type=DURATION, help="Stop waiting after so long, with exit code 124."
    ),
    click.option("-q", "--quiet", is_flag=True, help="Show no progress, print the id only."),
    click.option(
        "--format",
        "output",
        type=click.Choice(["text", "json"]),
        default="text",
        help="json prints one object per service, at the end.",
    ),
]


def changes(flags: dict[str, Any]) -> Any:
    """The `Changes` that the flags of either command ask for.

    Raises:
        ValueError: flags contradict each other, or one is malformed.
    """
    from swarmd.cli import values
    from swarmd.cli.changes import Changes
    from swarmd.model.states import Balance, ResolutionMode

    env = [
        line
        for path in flags.get("env_file") or ()
        for line in values.environment_file(Path(path).read_text())
    ]
    env += flags.get("env") or flags.get("env_add") or ()
    mode = flags["endpoint_mode"]
    return Changes(
        replicas=flags["replicas"],
        mode=mode_fields(flags),
        labels=dict(_either(flags, "label")),
        labels_removed=_removed(flags, "label"),
        container={**_container(flags), **container_options.scalar_fields(flags)},
        surroundings=container_options.container_changes(flags),
        health=health_fields(flags),
        container_labels=dict(_either(flags, "container_label")),
        container_labels_removed=_removed(flags, "container_label"),
        env=values.environment(env, dict(os.environ)),
        env_removed=_removed(flags, "env"),
        groups=_either(flags, "group"),
        groups_removed=_removed(flags, "group"),
        limits=_given(
            nano_cpus=flags["limit_cpu"],
            memory_bytes=flags["limit_memory"],
            pids=flags["limit_pids"],
        ),
        reservations=_given(nano_cpus=flags["reserve_cpu"], memory_bytes=flags["reserve_memory"]),
        swap=container_options.swap_fields(flags),
        restart=_restart(flags),
        constraints=_either(flags, "constraint"),
        constraints_removed=_removed(flags, "constraint"),
        platforms=_either(flags, "platform"),
        platforms_removed=_removed(flags, "platform"),
        preferences=_either(flags, "placement_pref"),
        preferences_removed=_removed(flags, "placement_pref"),
        affinities=_either(flags, "affinity"),
        affinities_removed=_removed(flags, "affinity"),
        tolerations=_either(flags, "toleration"),
        tolerations_removed=_removed(flags, "toleration"),
        generic=dict(_either(flags, "generic_resource")),
        generic_removed=_removed(flags, "generic_resource"),
        placement=_placement(flags["strategy"]),
        max_replicas=flags["replicas_max_per_node"],
        priority=flags["priority"],
        min_available=flags["min_available"],
        update=_policy(flags, "update"),
        rollback=_policy(flags, "rollback"),
        ports=tuple(port for ports in _either(flags, "publish") for port in ports),
        ports_removed=tuple(port for ports in _removed(flags, "publish") for port in ports),
        endpoint_mode=ResolutionMode(mode) if mode else None,
        drain_timeout_ns=flags["drain_timeout"],
        balance=Balance(flags["balance"]) if flags["balance"] else None,
        weight_label=values.node_label(flags["balance_weight"]),
        networks=container_options.without_host(_either(flags, "network")),
        networks_removed=_removed(flags, "network"),
        secrets=_either(flags, "secret"),
        secrets_removed=_removed(flags, "secret"),
        configs=_either(flags, "config"),
        configs_removed=_removed(flags, "config"),
        mounts=(*_either(flags, "mount"), *(flags.get("volume") or ())),
        mounts_removed=_removed(flags, "mount"),
        log_driver=flags["log_driver"],
        log_options=dict(flags["log_opt"]),
        force=bool(flags.get("force")),
    )


def _either(flags: dict[str, Any], name: str) -> tuple[Any, ...]:
    """Values of `--name` on creation, of `--name-add` in an update."""
    return tuple(flags.get(name) or flags.get(f"{name}_add") or ())


def _removed(flags: dict[str, Any], name: str) -> tuple[Any, ...]:
    return tuple(flags.get(f"{name}_rm") or ())


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _placement(strategy: str | None) -> dict[str, Any]:
    from swarmd.model.states import Strategy

    if strategy is None:
        return {}
    return {"strategy": None if strategy == "cluster" else Strategy(strategy)}


def _container(flags: dict[str, Any]) -> dict[str, Any]:
    entrypoint, args = flags["entrypoint"], flags.get("args")
    return _given(
        executor=flags["executor"],
        image=flags.get("image"),
        command=None if entrypoint is None else tuple(shlex.split(entrypoint)),
        args=None if args is None else tuple(shlex.split(args)),
        dir=flags["workdir"],
        user=flags["user"],
        hostname=flags["hostname"],
        stop_signal=flags["stop_signal"],
        stop_grace_period_ns=flags["stop_grace_period"],
    )


def _restart(flags: dict[str, Any]) -> dict[str, Any]:
    from swarmd.model.states import RestartCondition

    condition = flags["restart_condition"]
    return _given(
        condition=RestartCondition(condition) if condition else None,
        delay_ns=flags["restart_delay"],
        max_attempts=flags["restart_max_attempts"],
        max_delay_ns=flags["restart_max_delay"],
        window_ns=flags["restart_window"],
    )


def _policy(flags: dict[str, Any], kind: str) -> dict[str, Any]:
    from swarmd.model.states import FailureAction, UpdateOrder

    action, order = flags[f"{kind}_failure_action"], flags[f"{kind}_order"]
    return _given(
        parallelism=flags[f"{kind}_parallelism"],
        delay_ns=flags[f"{kind}_delay"],
        monitor_ns=flags[f"{kind}_monitor"],
        failure_action=FailureAction(action) if action else None,
        max_failure_ratio=flags[f"{kind}_max_failure_ratio"],
        order=UpdateOrder(order) if order else None,
        task_timeout_ns=flags[f"{kind}_task_timeout"],
    )
