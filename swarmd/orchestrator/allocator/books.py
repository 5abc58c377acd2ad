"""Who holds what, as one term's leader believes: for questions, not to be written in."""

from __future__ import annotations

from typing import NamedTuple

from swarmd.orchestrator.allocator.book import AddressBook
from swarmd.orchestrator.allocator.ports import PortBook


class Books(NamedTuple):
    """The addresses of all networks, and the published ports of the whole cluster."""

    addresses: AddressBook
    ports: PortBook
