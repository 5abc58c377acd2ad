"""Finding the one thing a person means: by id, by name, or by the beginning of its id. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from swarmd.cli.errors import CliError
from swarmd.model.network import Network
from swarmd.model.node import Node
from swarmd.model.secret import Config, Secret
from swarmd.model.service import Service
from swarmd.model.task import Task

R = TypeVar("R", Node, Service, Task, Network, Secret, Config)
SHOWN_MAX = 8


def find_service(services: Iterable[Service], word: str) -> Service:
    return find("service", services, word, lambda service: service.spec.name)


def find_node(nodes: Iterable[Node], word: str) -> Node:
    return find("node", nodes, word, lambda node: node.hostname)


def find(kind: str, records: Iterable[R], word: str, name_of: Callable[[R], str]) -> R:
    """The record whose id, name or beginning of the id is `word`, in this order of preference.

    Raises:
        CliError: none is, or several are; then they are listed.
    """
    rows = list(records)
    for matches in (
        [row for row in rows if row.id == word],
        [row for row in rows if name_of(row) == word],
        [row for row in rows if word and row.id.startswith(word)],
    ):
        if len(matches) == 1:
            return matches[0]
        if matches:
            shown = ", ".join(f"{row.id} ({name_of(row)})" for row in matches[:SHOWN_MAX])
            more = f" and {len(matches) - SHOWN_MAX} more" if len(matches) > SHOWN_MAX else ""
            raise CliError(
                f"{kind} {word!r} is ambiguous: {shown}{more}", hint="give more of the id"
            )
    raise CliError(f"no such {kind}: {word}", hint=f"`swarmd {kind} ls` lists them")
