"""Records in the words of tables: ages, states, replicas, ports. Pure."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping

from swarmd.cli.standing import Standing
from swarmd.model import modes
from swarmd.model.instant import HOUR, MINUTE, SECOND
from swarmd.model.node import Node, Oversell
from swarmd.model.service import Service
from swarmd.model.spec import EndpointSpec, GenericResource, PortConfig, TaskSpec
from swarmd.model.states import Balance, PortPolicy, PublishMode, Role, TaskState, UpdateState
from swarmd.model.task import Task
from swarmd.orchestrator import runs

SHORT_ID = 12
COMMAND_LENGTH_MAX = 40
_STEPS = (
    (7 * 24 * HOUR * 4, 7 * 24 * HOUR, "week"),
    (48 * HOUR, 24 * HOUR, "day"),
    (2 * HOUR, HOUR, "hour"),
    (2 * MINUTE, MINUTE, "minute"),
    (SECOND, SECOND, "second"),
)


def age(duration_ns: int) -> str:
    """How long ago, in the largest unit that says enough: `3 minutes ago`."""
    for least, unit, word in _STEPS:
        if duration_ns >= least:
            count = duration_ns // unit
            return f"{count} {word}{'' if count == 1 else 's'} ago"
    return "less than a second ago"


def short(identifier: str) -> str:
    return identifier[:SHORT_ID]


def current_state(task: Task, now: int) -> str:
    """`Running 5 minutes ago`; a future timestamp, from a clock ahead of ours, counts as now."""
    state = task.status.state
    if state is TaskState.PREPARING and task.status.message not in ("", state.word):
        return f"Preparing: {task.status.message}"
    return f"{task.status.state.word.capitalize()} {age(now - task.status.timestamp)}"


def task_error(task: Task) -> str:
    """Why a task does not run or serve, whole; one that was told to stop ended as it should."""
    if task.status.err or task.status.unready:
        return task.status.err or task.status.unready
    container = task.status.container
    told = task.status.state is TaskState.SHUTDOWN
    if task.status.state.terminal and not told and container and container.exit_code:
        return f"exit code {container.exit_code}"
    return ""


def program(spec: TaskSpec) -> str:
    """What a task runs: its image, or its command for a process."""
    container = spec.container_spec
    if container is None:
        return ""
    if container.image:
        name, _, digest = container.image.partition("@")
        # Whoever gave a tag knows it by that; what it was pinned to is for `inspect`.
        return name if digest and ":" in name.rpartition("/")[2] else container.image
    command = shlex.join((*container.command, *container.args))
    if len(command) > COMMAND_LENGTH_MAX:
        command = command[: COMMAND_LENGTH_MAX - 1] + "…"
    return command


def size(size_bytes: int) -> str:
    """`23.5 GiB`, in the largest unit that the size reaches."""
    for shift, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size_bytes >= 1 << shift:
            return f"{size_bytes / (1 << shift):.4g} {unit}"
    return f"{size_bytes} B"


def generic_resources(resources: Iterable[GenericResource]) -> str:
    """What a node has besides CPU and memory: `ssd=2, gpu=u1`."""
    parts = []
    for resource in resources:
        named, discrete = resource.named_resource_spec, resource.discrete_resource_spec
        if named is not None:
            parts.append(f"{named.kind}={named.value}")
        elif discrete is not None:
            parts.append(f"{discrete.kind}={discrete.value}")
    return ", ".join(parts)


def oversell(ratios: Oversell | None) -> str:
    """`CPUs x 2, memory x 1.5`; empty where the cluster's ratios hold."""
    if ratios is None:
        return ""
    named = (("CPUs", ratios.cpus), ("memory", ratios.memory))
    return ", ".join(f"{name} x {ratio:g}" for name, ratio in named if ratio)


def mode(service: Service) -> str:
    return modes.word(service.spec.mode)


def replicas(service: Service, *, running: int, wanted: int, completed: int) -> str:
    """`3/5`, and for a job also how far it is: `3/5 (2/10 completed)`."""
    counts = f"{running}/{wanted}"
    mode = service.spec.mode
    if not modes.is_job(mode):
        return counts
    job = modes.counted_job(mode)
    total = wanted + completed if job is None else modes.completions(job)
    if mode.cron is not None:
        total *= len(runs.going(service)) or 1
    return f"{counts} ({completed}/{total} completed)"


def told_apart(hostnames: Mapping[str, str]) -> dict[str, str]:
    """Names for nodes by their ids: hostnames, with the short id where several have the same."""
    shared = Counter(hostnames.values())
    return {
        node_id: f"{hostname} ({short(node_id)})" if shared[hostname] > 1 else hostname or node_id
        for node_id, hostname in hostnames.items()
    }


def is_rolling_back(service: Service) -> bool:
    status = service.update_status
    return status is not None and status.state is UpdateState.ROLLBACK_STARTED


def published(service: Service) -> tuple[PortConfig, ...]:
    """The ports with their numbers, as chosen so far."""
    if service.endpoint is not None and service.endpoint.ports:
        return service.endpoint.ports
    return service.spec.endpoint_spec.ports if service.spec.endpoint_spec else ()


def balance(endpoint: EndpointSpec | None) -> str:
    """`source-hash, by node.labels.cpus`; nothing for the usual."""
    if endpoint is None:
        return ""
    weights = f"by node.labels.{endpoint.weight_label}" if endpoint.weight_label else ""
    if endpoint.balance is Balance.ROUND_ROBIN and not weights:
        return ""
    return ", ".join(filter(None, (endpoint.balance.value, weights)))


def ports(configs: Iterable[PortConfig]) -> str:
    """`*:8080->80/tcp`; before the number stands an address, and `host` for that mode."""
    return ", ".join(
        f"{_where(port)}:"
        f"{port.published_port or '?'}->{port.target_port}/{port.protocol.value}"
        f"{'' if port.policy is PortPolicy.SOURCE else f' ({port.policy.value})'}"
        for port in configs
    )


def _where(port: PortConfig) -> str:
    if port.publish_mode is PublishMode.HOST:
        return f"host {port.address}".rstrip()
    return port.address or "*"


def task_label(task: Task, node_names: dict[str, str]) -> str:
    """`web.3`, or `web.` and the node for a task bound to one; `db-0` for an ordinal."""
    if task.lease_ns:
        return task.name
    place = str(task.slot) if task.slot else node_names.get(task.node_id, task.node_id)
    return f"{task.service_name or task.service_id}.{place}"


def node_status(node: Node) -> str:
    """`Ready`, or the state with its reason."""
    state = node.status.state.value.capitalize()
    return f"{state} ({node.status.message})" if node.status.message else state


def manager_status(node: Node, standing: Standing | None) -> str:
    """`Leader`, `Reachable` or `Unreachable`; empty for a worker."""
    if standing is None:
        return "Joining" if node.spec.role is Role.MANAGER else ""
    if standing.leader:
        return "Leader"
    return "Reachable" if standing.reachable else "Unreachable"


def engine_version(node: Node) -> str:
    engine = node.description.engine if node.description else None
    return engine.engine_version if engine else ""
