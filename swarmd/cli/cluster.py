"""`swarmd update`: settings of the whole swarm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from swarmd.cli.params import COUNT, DURATION, MIRROR, OVERSELL
from swarmd.cli.target import Target

if TYPE_CHECKING:
    from swarmd.model.cluster import ClusterSpec
    from swarmd.model.mirrors import RegistryMirror


@click.command()
@click.option(
    "--strategy",
    type=click.Choice(["spread", "binpack", "random"]),
    help="How tasks are shared out where a service doesn't say.",
)
@click.option("--oversell-cpu", type=OVERSELL, help="Times the CPUs of nodes are sold; 0: once.")
@click.option("--oversell-memory", type=OVERSELL, help="Times the memory of nodes is sold.")
@click.option(
    "--preemption/--no-preemption", default=None, help="Higher priorities push out lower."
)
@click.option("--rebalance/--no-rebalance", default=None, help="Tasks move when nodes return.")
@click.option("--rebalance-max-moves", type=COUNT, help="Tasks under way at once [1].")
@click.option("--rebalance-cooldown", type=DURATION, help="A node is ready so long before [60s].")
@click.option("--dispatcher-heartbeat", type=DURATION, help="Period of heartbeats.")
@click.option("--cert-expiry", type=DURATION, help="Life of node certificates.")
@click.option("--task-history-limit", type=int, help="Ended tasks kept per slot.")
@click.option("--spec-history-limit", type=int, help="Versions to go back to, per service [10].")
@click.option(
    "--registry-mirror-add",
    multiple=True,
    type=MIRROR,
    metavar="[REGISTRY=]URL",
    help="All nodes ask it for a registry's images first [docker.io].",
)
@click.option("--registry-mirror-rm", multiple=True, metavar="URL")
@click.option(
    "--allow",
    multiple=True,
    metavar="WORD,...",
    help="What tasks may have of nodes that do not say it themselves: privileged, devices, "
    "network, pid, ipc, uts, cgroupns, userns, shm-size, security-opt, runtime, cgroup-parent, "
    "all, none; bind=DIR and no-bind restrict mounts of directories.",
)
@click.pass_obj
def update(
    target: Target,
    /,
    strategy: str | None,
    oversell_cpu: float | None,
    oversell_memory: float | None,
    preemption: bool | None,
    rebalance: bool | None,
    rebalance_max_moves: int | None,
    rebalance_cooldown: int | None,
    dispatcher_heartbeat: int | None,
    cert_expiry: int | None,
    task_history_limit: int | None,
    spec_history_limit: int | None,
    registry_mirror_add: tuple[RegistryMirror, ...],
    registry_mirror_rm: tuple[str, ...],
    allow: tuple[str, ...],
) -> None:
    """Change settings of the whole swarm; what is not named stays as it is.

    \b
    swarmd update --strategy binpack --oversell-cpu 2
    """
    from msgspec.structs import replace

    from swarmd.cli.client import Client, run
    from swarmd.cli.scheduling import changed_rebalance, changed_scheduling
    from swarmd.cli.values import allowed_words

    try:
        granted = allowed_words(allow)
    except ValueError as error:
        raise click.UsageError(f"--allow: {error}") from None

    def changed(spec: ClusterSpec) -> ClusterSpec:
        if dispatcher_heartbeat is not None:
            dispatcher = replace(spec.dispatcher, heartbeat_period_ns=dispatcher_heartbeat)
            spec = replace(spec, dispatcher=dispatcher)
        if cert_expiry is not None:
            ca_config = replace(spec.ca_config, node_cert_expiry_ns=cert_expiry)
            spec = replace(spec, ca_config=ca_config)
        if task_history_limit is not None:
            limits = replace(spec.orchestration, task_history_retention_limit=task_history_limit)
            spec = replace(spec, orchestration=limits)
        if spec_history_limit is not None:
            limits = replace(spec.orchestration, spec_history_limit=spec_history_limit)
            spec = replace(spec, orchestration=limits)
        if allow:
            spec = replace(spec, allow=granted)
        removed = {url.rstrip("/") for url in registry_mirror_rm}
        kept = (row for row in spec.registry_mirrors if row.url not in removed)
        mirrors = tuple(dict.fromkeys((*kept, *registry_mirror_add)))
        spec = replace(spec, registry_mirrors=mirrors)
        scheduling = changed_scheduling(spec.scheduling, strategy, oversell_cpu, oversell_memory)
        rebalancing = changed_rebalance(
            scheduling.rebalance, rebalance, rebalance_max_moves, rebalance_cooldown
        )
        allowed = scheduling.preemption if preemption is None else preemption
        scheduling = replace(scheduling, preemption=allowed, rebalance=rebalancing)
        return replace(spec, scheduling=scheduling)

    async def work(client: Client) -> None:
        await client.update_cluster(changed)
        click.echo("swarm updated")

    run(target, work)
