"""`swarmd init`, `join` and `leave`: this node's membership."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from swarmd.cli.listing import options
from swarmd.cli.node_options import NODE, take_node_flags
from swarmd.cli.params import COUNT, DURATION
from swarmd.cli.target import Target

if TYPE_CHECKING:
    from swarmd.rpc.pb import local as pb

ADDRESSES: list[Any] = [
    click.option("--listen-addr", metavar="[IP][:PORT]", help="Where to listen [0.0.0.0:2377]."),
    click.option("--advertise-addr", metavar="IP[:PORT]", help="What other nodes are told."),
    click.option("--data-addr", metavar="IP", help="Where tasks are reached [as advertised]."),
    click.option(
        "--availability", type=click.Choice(["active", "pause", "drain"]), default="active"
    ),
    click.option("--print-unit", is_flag=True, help="Print a systemd unit for the daemon and end."),
    click.option("--format", "output", type=click.Choice(["text", "json"]), default="text"),
]


@click.command()
@options(ADDRESSES, NODE)
@click.option("--force-new-cluster", is_flag=True, help="Rebuild the swarm from this manager.")
@click.option("--dispatcher-heartbeat", type=DURATION, help="Period of heartbeats [1.5s].")
@click.option("--cert-expiry", type=DURATION, help="Life of node certificates [2160h].")
@click.option("--task-history-limit", type=int, help="Ended tasks kept per slot [5].")
@click.option("--default-addr-pool", multiple=True, metavar="CIDR", help="[10.0.0.0/8].")
@click.option("--default-addr-pool-mask-length", type=COUNT, help="Of subnets cut from it [24].")
@click.pass_obj
def init(target: Target, /, **flags: Any) -> None:
    """Found a swarm with this node as its first manager.

    Starts the daemon in the background if none runs, with the flags that describe the node.

    --force-new-cluster is for a swarm that lost most of its managers for good: run on one that is
    left, it goes on with this manager alone. Services, workers and tokens stay as they are.
    A certificate of this manager that has expired is renewed.

    \b
    swarmd init --advertise-addr 10.0.0.5
    swarmd init --force-new-cluster
    """
    arguments = take_node_flags(flags)
    if flags["print_unit"]:
        _print_unit(target, arguments)
        return
    from swarmd.cli import render
    from swarmd.cli.background import ensure_daemon
    from swarmd.cli.client import Client, run
    from swarmd.rpc.pb import local as pb

    request = pb.InitRequest(**_addresses(flags), force_new_cluster=flags["force_new_cluster"])
    for field, value in (
        ("heartbeat_period", flags["dispatcher_heartbeat"]),
        ("node_cert_expiry", flags["cert_expiry"]),
    ):
        if value is not None:
            getattr(request, field).FromNanoseconds(value)
    request.default_addr_pool.extend(flags["default_addr_pool"])
    if flags["default_addr_pool_mask_length"] is not None:
        request.default_addr_pool_mask_length = flags["default_addr_pool_mask_length"]
    if flags["task_history_limit"] is not None:
        request.task_history_limit = flags["task_history_limit"]

    async def work(client: Client) -> None:
        answer = await client.init(request)
        info = await client.info()
        if flags["output"] == render.JSON:
            tokens = {"WorkerToken": answer.worker_token, "ManagerToken": answer.manager_token}
            render.as_json({**_document(answer, info), "Role": "manager", **tokens})
            return
        made = "rebuilt" if request.force_new_cluster else "created"
        click.echo(f"swarm {made}: node {answer.node_id} is a manager; {_choices(info)}")
        _notes(answer.notes)
        click.echo(f"to add a worker:   swarmd join --token {answer.worker_token} {info.addr}")
        click.echo("to add a manager:  swarmd token manager")

    ensure_daemon(target, arguments)
    run(target, work)


@click.command()
@options(ADDRESSES, NODE)
@click.option("--token", metavar="TOKEN", help="From `swarmd token` on a manager.")
@click.argument("managers", nargs=-1, metavar="MANAGER[:PORT]...")
@click.pass_obj
def join(target: Target, /, token: str | None, managers: tuple[str, ...], **flags: Any) -> None:
    """Make this node part of a swarm; the token decides whether as worker or manager.

    Starts the daemon in the background if none runs, with the flags that describe the node.

    \b
    swarmd join --token SWMTKN-1-... 10.0.0.5:2377
    """
    arguments = take_node_flags(flags)
    if flags["print_unit"]:
        _print_unit(target, arguments)
        return
    if not token:
        raise click.UsageError("--token is missing: `swarmd token worker` on a manager prints it")
    if not managers:
        raise click.UsageError("the address of a manager is missing")
    from swarmd.cli import render
    from swarmd.cli.background import ensure_daemon
    from swarmd.cli.client import Client, run
    from swarmd.rpc.pb import local as pb

    request = pb.JoinRequest(remote_addrs=managers, token=token, **_addresses(flags))

    async def work(client: Client) -> None:
        answer = await client.join(request)
        info = await client.info()
        role = "manager" if answer.role == pb.ROLE_MANAGER else "worker"
        if flags["output"] == render.JSON:
            render.as_json({**_document(answer, info), "Role": role})
            return
        click.echo(f"node {answer.node_id} joined the swarm as a {role}; {_choices(info)}")
        _notes(answer.notes)

    ensure_daemon(target, arguments)
    run(target, work)


@click.command()
@click.option("--force", is_flag=True, help="Leave as a manager too, whatever it costs.")
@click.pass_obj
def leave(target: Target, /, force: bool) -> None:
    """Take this node out of its swarm; its tasks move to other nodes."""
    from swarmd.cli.client import Client, run

    async def work(client: Client) -> None:
        answer = await client.leave(force=force)
        click.echo("node left the swarm")
        _notes(answer.notes)

    run(target, work)


def _addresses(flags: dict[str, Any]) -> dict[str, Any]:
    from swarmd.rpc.pb import local as pb

    return {
        "listen_addr": flags["listen_addr"] or "",
        "advertise_addr": flags["advertise_addr"] or "",
        "data_addr": flags["data_addr"] or "",
        "availability": {
            "active": pb.AVAILABILITY_ACTIVE,
            "pause": pb.AVAILABILITY_PAUSE,
            "drain": pb.AVAILABILITY_DRAIN,
        }[flags["availability"]],
    }


def _document(answer: Any, info: pb.InfoResponse) -> dict[str, object]:
    """What programs are told about a node that became part of a swarm."""
    return {
        "NodeID": answer.node_id,
        "ClusterID": info.cluster_id,
        "Addr": info.addr,
        "Runtime": info.runtime,
        "Balancer": info.balancer,
        "Notes": list(answer.notes),
    }


def _choices(info: pb.InfoResponse) -> str:
    """`runtime process, balancing proxy (no privileges for …)`."""
    parts = (
        ("runtime", info.runtime, info.runtime_reason),
        ("balancing", info.balancer, info.balancer_reason),
    )
    return ", ".join(
        f"{word} {chosen}" + (f" ({reason})" if reason else "") for word, chosen, reason in parts
    )


def _notes(notes: Any) -> None:
    for note in notes:
        click.echo(f"note: {note}")


def _print_unit(target: Target, arguments: list[str]) -> None:
    from swarmd.cli.background import daemon_command
    from swarmd.cli.unit import systemd_unit
    from swarmd.node.paths import default_state_dir

    directory = target.state_dir or default_state_dir()
    command = [*daemon_command(target, directory), *arguments]
    click.echo(systemd_unit(command), nl=False)
