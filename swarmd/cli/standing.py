"""Nodes together with what only the Raft group knows of them."""

from __future__ import annotations

from typing import NamedTuple

from swarmd.model.node import Node


class Standing(NamedTuple):
    """A manager's place in the Raft group."""

    addr: str
    leader: bool
    reachable: bool


class Listed(NamedTuple):
    """A node with its standing; None for a worker."""

    node: Node
    standing: Standing | None
