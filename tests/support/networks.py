"""Networks for simulated swarms, and the check that books and records agree."""

from __future__ import annotations

from swarmd.model.ids import NetworkId
from swarmd.model.network import IPAMConfig, IPAMOptions, Network, NetworkSpec
from swarmd.model.spec import EndpointSpec, NetworkAttachmentConfig, PortConfig, ServiceSpec
from swarmd.orchestrator.allocator.book import AddressBook
from swarmd.orchestrator.allocator.networks import Networks
from swarmd.orchestrator.allocator.pool import Holder
from swarmd.orchestrator.allocator.subnets import allocate_network
from swarmd.store.changes import Create
from swarmd.store.held_addresses import bare, held_addresses
from swarmd.store.view import View
from tests.support.cluster import Swarm, a_service_spec, a_task_spec

PUBLISHED = EndpointSpec(ports=(PortConfig(target_port=80),))


def an_ipam(subnet: str, range_: str = "", gateway: str = "") -> dict[str, object]:
    """The field `ipam` of a network spec with one block."""
    config = IPAMConfig(subnet=subnet, range=range_, gateway=gateway)
    return {"ipam": IPAMOptions(configs=(config,))}


def add_network(swarm: Swarm, name: str, **fields: object) -> Network:
    """Create a network as the API does; its id is its name."""
    spec = NetworkSpec(name=name, **fields)  # type: ignore[arg-type]
    network = allocate_network(
        Network(id=NetworkId(name), spec=spec), swarm.store.networks(), swarm.store.find_cluster()
    )
    swarm.accept(Create(network))
    return swarm.store.get_network(name)


def on(*networks: str, name: str = "web", replicas: int = 1, **fields: object) -> ServiceSpec:
    """A service on these networks."""
    attachments = tuple(NetworkAttachmentConfig(target=network) for network in networks)
    task = a_task_spec(networks=attachments)
    return a_service_spec(name, replicas=replicas, task=task, **fields)


def networks_of(swarm: Swarm) -> Networks:
    assert swarm.planner is not None
    return swarm.planner._observer.networks


def assert_books_agree(swarm: Swarm) -> None:
    """What the allocator holds is what the store says is held: no more and no less."""
    book = networks_of(swarm).book
    assert _held(book) == _stored(swarm.store)


def _held(book: AddressBook) -> set[tuple[str, str, str]]:
    return {
        (f"{kind} {holder_id}", place.network_id, bare(place.address))
        for kind, holder_id in book.holders()
        for place in book.held_by(Holder(kind, holder_id))
    }


def _stored(view: View) -> set[tuple[str, str, str]]:
    return {
        (held.holder, held.network_id, held.address)
        for held in held_addresses(view)
        if not held.holder.startswith("gateway") and view.find_network(held.network_id)
    }
