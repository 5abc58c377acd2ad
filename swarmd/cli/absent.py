"""Nodes that did not answer a question put to all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import click

from swarmd.rpc.pb import errands as pb


def tell_absent(absent: Iterable[pb.AbsentNode], names: Mapping[str, str], what: str) -> None:
    """Name them on standard error; `what` of theirs is not known."""
    for node in absent:
        name = names.get(node.node_id, node.node_id)
        click.echo(f"the {what} of node {name} are not known: {node.reason}", err=True)
