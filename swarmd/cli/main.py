"""The program: global options and the list of commands."""

from __future__ import annotations

import click

from swarmd.cli.lazy import Entry, LazyGroup

ENTRIES = {
    "init": Entry("swarmd.cli.swarm:init", "Found a swarm with this node as its first manager"),
    "join": Entry("swarmd.cli.swarm:join", "Make this node part of a swarm"),
    "leave": Entry("swarmd.cli.swarm:leave", "Take this node out of its swarm"),
    "update": Entry("swarmd.cli.cluster:update", "Change settings of the whole swarm"),
    "token": Entry("swarmd.cli.token:token", "Show or rotate the tokens that nodes join with"),
    "node": Entry("swarmd.cli.node:node", "Nodes of the swarm"),
    "service": Entry("swarmd.cli.service:service", "Services of the swarm"),
    "exec": Entry("swarmd.cli.exec:exec_", "Run a command beside a task, on whichever node"),
    "task": Entry("swarmd.cli.task:task", "Tasks of the swarm, one by one"),
    "attach": Entry("swarmd.cli.attach:attach", "See what a task prints, and type into it"),
    "top": Entry("swarmd.cli.top:top", "List the processes of a task"),
    "stats": Entry("swarmd.cli.stats:stats", "Show what tasks use, as they go"),
    "cp": Entry("swarmd.cli.cp:cp", "Copy files from a task or into one"),
    "network": Entry("swarmd.cli.network:network", "Networks of the swarm"),
    "secret": Entry("swarmd.cli.secret:secret", "Secrets that services are given"),
    "config": Entry("swarmd.cli.config:config", "Configs that services are given"),
    "image": Entry("swarmd.cli.image:image", "Images of this node"),
    "registry": Entry("swarmd.cli.registry:registry", "Logins of the swarm to registries"),
    "volume": Entry("swarmd.cli.volume:volume", "Volumes of the nodes"),
    "events": Entry("swarmd.cli.events:events", "Show what changes in the swarm, and why"),
    "doctor": Entry("swarmd.cli.doctor:doctor", "Examine nodes and the networks between them"),
    "rebalance": Entry("swarmd.cli.rebalance:rebalance", "Move tasks to where they fit best now"),
    "simulate": Entry("swarmd.cli.simulate:simulate", "Say what would happen if"),
    "info": Entry("swarmd.cli.info:info", "What this node is, what it chose and why"),
    "version": Entry("swarmd.cli.info:version", "Versions of this program and of the daemon"),
    "daemon": Entry("swarmd.cli.daemon:daemon", "Run the node's daemon in the foreground"),
    "stop": Entry("swarmd.cli.daemon:stop", "Stop the daemon; its tasks run on"),
    "completion": Entry("swarmd.cli.completion:completion", "Print the completion for a shell"),
}


@click.group(
    cls=LazyGroup,
    entries=ENTRIES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "-H",
    "--host",
    metavar="SOCKET",
    envvar="SWARMD_HOST",
    help="Socket of the daemon to talk to: a path, or unix:///path.",
)
@click.option(
    "--state-dir",
    metavar="DIR",
    envvar="SWARMD_STATE_DIR",
    help="State directory of the daemon, which also tells where its socket is.",
)
@click.pass_context
def cli(ctx: click.Context, host: str | None, state_dir: str | None) -> None:
    """Swarm mode: run services on many machines as if they were one."""
    from swarmd.cli.target import Target  # not needed for --help

    if ctx.obj is None:
        ctx.obj = Target.chosen(host=host, state_dir=state_dir)


def main() -> None:
    """Entry point of the `swarmd` command."""
    cli(prog_name="swarmd")
