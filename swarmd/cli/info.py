"""`swarmd info` and `swarmd version`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from swarmd.cli.target import Target

if TYPE_CHECKING:
    from swarmd.rpc.pb import local as pb

STATES = ("inactive", "pending", "active", "locked", "error")


@click.command()
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text")
@click.pass_obj
def info(target: Target, /, output: str) -> None:
    """Show what this node is, what it chose and why."""
    from swarmd.cli import render
    from swarmd.cli.client import Client, run
    from swarmd.cli.errors import NO_SWARM_HINT

    async def work(client: Client) -> None:
        answer = await client.info()
        if output == "json":
            render.as_json(document(answer))
            return
        render.fields(lines(answer))
        for warning in answer.warnings:
            click.echo(f"WARNING: {warning}", err=True)
        if answer.state == 0:
            click.echo(f"\nnot part of a swarm: {NO_SWARM_HINT}")

    run(target, work)


@click.command()
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text")
@click.pass_obj
def version(target: Target, /, output: str) -> None:
    """Show the versions of this program and of the daemon."""
    from swarmd import __version__
    from swarmd.cli import render
    from swarmd.cli.client import Client, run
    from swarmd.cli.errors import CliError

    async def work(client: Client) -> str:
        return (await client.info()).version

    try:
        daemon = run(target, work)
    except CliError:
        daemon = ""
    if output == render.JSON:
        socket = str(target.socket)
        render.as_json({"Program": __version__, "Daemon": daemon or None, "Socket": socket})
        return
    click.echo(f"swarmd {__version__}")
    click.echo(f"daemon {daemon or 'not running'} at {target.socket}")


def lines(answer: pb.InfoResponse) -> dict[str, str]:
    """What `info` prints; what is empty is left out."""
    role = "leader" if answer.is_leader else "manager" if answer.is_manager else "worker"
    active = answer.state == STATES.index("active")
    return dict(
        [
            ("State", _state(answer)),
            ("Node", answer.node_id),
            ("Role", role if active else ""),
            ("Cluster", answer.cluster_id),
            *_managers(answer),
            ("Nodes", str(answer.nodes) if answer.nodes else ""),
            ("Leader", answer.leader_addr or ("none known" if active else "")),
            ("Address", answer.addr),
            ("Data address", answer.data_addr),
            ("Runtime", _chosen(answer.runtime, answer.runtime_reason)),
            ("Balancing", _chosen(answer.balancer, answer.balancer_reason)),
            ("Without", "; ".join(answer.lacking)),
            ("Allowed to tasks", _allowed(answer)),
            ("Raft", _raft(answer)),
            ("State directory", answer.state_dir),
            ("Daemon", f"swarmd {answer.version}, pid {answer.pid}"),
        ]
    )


def document(answer: pb.InfoResponse) -> dict[str, object]:
    """The same for programs, with every field present."""
    raft = answer.raft
    return {
        "State": STATES[answer.state],
        "Error": answer.error,
        "NodeID": answer.node_id,
        "ClusterID": answer.cluster_id,
        "IsManager": answer.is_manager,
        "IsLeader": answer.is_leader,
        "LeaderAddr": answer.leader_addr,
        "Managers": answer.managers,
        "Nodes": answer.nodes,
        "Addr": answer.addr,
        "DataAddr": answer.data_addr,
        "Version": answer.version,
        "Runtime": answer.runtime,
        "RuntimeReason": answer.runtime_reason,
        "Balancer": answer.balancer,
        "BalancerReason": answer.balancer_reason,
        "Lacking": list(answer.lacking),
        "StateDir": answer.state_dir,
        "Allow": list(answer.allow),
        "SwarmAllow": list(answer.swarm_allow),
        "Pid": answer.pid,
        "Raft": {
            "Term": raft.term,
            "CommitIndex": raft.commit_index,
            "AppliedIndex": raft.applied_index,
            "Members": raft.members,
        }
        if answer.HasField("raft")
        else None,
        "RemoteManagers": [
            {
                "NodeID": peer.node_id,
                "Addr": peer.addr,
                "Leader": peer.leader,
                "Reachable": peer.reachable,
            }
            for peer in answer.managers_list
        ],
        "Warnings": list(answer.warnings),
    }


def _state(answer: pb.InfoResponse) -> str:
    state = STATES[answer.state]
    return f"{state}: {answer.error}" if answer.error else state


def _chosen(choice: str, reason: str) -> str:
    return f"{choice} ({reason})" if reason else choice


def _allowed(answer: pb.InfoResponse) -> str:
    """What tasks may have of this node beyond the usual; empty for nothing."""
    if answer.allow:
        return f"{', '.join(answer.allow)} (this node's own word)"
    return f"{', '.join(answer.swarm_allow)} (as the swarm says)" if answer.swarm_allow else ""


def _managers(answer: pb.InfoResponse) -> list[tuple[str, str]]:
    """How many there are, and a row for each."""
    rows = [("Managers", str(answer.managers) if answer.managers else "")]
    for number, peer in enumerate(answer.managers_list, start=1):
        standing = "leader" if peer.leader else "reachable" if peer.reachable else "unreachable"
        rows.append((f"  manager {number}", f"{peer.addr} {standing} ({peer.node_id})"))
    return rows


def _raft(answer: pb.InfoResponse) -> str:
    if not answer.HasField("raft"):
        return ""
    raft = answer.raft
    members = "1 member" if raft.members == 1 else f"{raft.members} members"
    return (
        f"term {raft.term}, {members}, committed {raft.commit_index}, applied {raft.applied_index}"
    )
