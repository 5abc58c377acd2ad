"""Finding nodes for commands on several of them, with `self` for the one that is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from swarmd.cli.client import Client
from swarmd.cli.lookup import find_node
from swarmd.cli.standing import Listed

SELF = "self"


async def node_finder(client: Client, words: Sequence[str]) -> Callable[[str], Listed]:
    """A function from one of `words` to the node it means; it raises `CliError` if there is none.

    All is asked beforehand, so that the function sees the same nodes for every word.
    """
    listed = {one.node.id: one for one in await client.nodes()}
    own_id = (await client.info()).node_id if SELF in words else ""
    present = [one.node for one in listed.values()]

    def find(word: str) -> Listed:
        return listed[find_node(present, own_id if word == SELF else word).id]

    return find
