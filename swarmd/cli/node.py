"""`swarmd node`: the list of its commands."""

from __future__ import annotations

import click

from swarmd.cli.lazy import Entry, LazyGroup


@click.group(
    cls=LazyGroup,
    entries={
        "ls": Entry("swarmd.cli.node_read:ls", "List nodes"),
        "ps": Entry("swarmd.cli.node_read:ps", "List the tasks of nodes"),
        "inspect": Entry("swarmd.cli.node_read:inspect", "Show nodes in full"),
        "update": Entry("swarmd.cli.node_write:update", "Change a node"),
        "drain": Entry("swarmd.cli.node_drain:drain", "Lead all tasks away from a node"),
        "promote": Entry("swarmd.cli.node_write:promote", "Make nodes managers"),
        "demote": Entry("swarmd.cli.node_write:demote", "Make managers workers"),
        "rm": Entry("swarmd.cli.node_write:rm", "Remove nodes that are gone"),
    },
)
def node() -> None:
    """Nodes of the swarm."""
