"""Networks: create them with their addresses, read and remove them; they are never changed."""

from __future__ import annotations

from swarmd.manager.control.core import Calls, read_spec, require
from swarmd.manager.control.filters import Common, NamedAs
from swarmd.manager.validate.network import check_network_spec, check_not_predefined
from swarmd.model.errors import Code, Rejection, failed_precondition, invalid, not_found
from swarmd.model.ids import NetworkId
from swarmd.model.network import Network, NetworkSpec
from swarmd.model.states import TaskState
from swarmd.model.task import Task
from swarmd.orchestrator.allocator.encryption import with_mechanism
from swarmd.orchestrator.allocator.subnets import Conflict, allocate_network
from swarmd.orchestrator.allocator.wanted import needs_ingress
from swarmd.orchestrator.attaching import Exhausted
from swarmd.rpc.call import Call
from swarmd.rpc.convert.network import NETWORK, NETWORK_SPEC
from swarmd.rpc.pb import control
from swarmd.store.changes import Create, Delete, Kind, Transaction


class NetworkCalls(Calls):
    async def CreateNetwork(
        self, call: Call, request: control.CreateNetworkRequest
    ) -> control.CreateNetworkResponse:
        """The answer holds the subnets and VXLAN ids that the network got."""
        require(request, "spec")
        spec: NetworkSpec = read_spec(NETWORK_SPEC, request.spec)
        check_network_spec(spec)
        await self._synchronize()
        async with self._references:
            self._check_only_ingress(spec)
            network = self._allocated(Network(id=NetworkId(self._env.ids.new()), spec=spec))
            await self._env.writer.submit(Transaction((Create(network, "created by a user"),)))
        stored = self._view.find_network(network.id) or network
        return control.CreateNetworkResponse(network=NETWORK.to_pb(stored))

    async def GetNetwork(
        self, call: Call, request: control.GetNetworkRequest
    ) -> control.GetNetworkResponse:
        if not request.network_id and not request.name:
            raise invalid("invalid argument: the network id is missing")
        await self._synchronize()
        return control.GetNetworkResponse(
            network=NETWORK.to_pb(self._network(request.network_id, request.name))
        )

    async def ListNetworks(
        self, call: Call, request: control.ListNetworksRequest
    ) -> control.ListNetworksResponse:
        await self._synchronize()
        wanted = request.filters
        common = Common(
            names=wanted.names,
            name_prefixes=tuple(wanted.name_prefixes),
            id_prefixes=tuple(wanted.id_prefixes),
            labels=wanted.labels,
        )
        return control.ListNetworksResponse(
            networks=[
                NETWORK.to_pb(network)
                for network in self._view.networks()
                if common.match(NamedAs(network.id, network.spec.name, network.spec.labels))
            ]
        )

    async def RemoveNetwork(
        self, call: Call, request: control.RemoveNetworkRequest
    ) -> control.RemoveNetworkResponse:
        if not request.network_id and not request.name:
            raise invalid("invalid argument: the network id is missing")
        await self._synchronize()
        async with self._references:
            network = self._network(request.network_id, request.name)
            check_not_predefined(network.spec, network.id)
            self._check_unused(network)
            remove = Delete(Kind.NETWORK, network.id, reason="removed by a user")
            await self._env.writer.submit(Transaction((remove,)))
        return control.RemoveNetworkResponse()

    def _network(self, network_id: str, name: str) -> Network:
        if network_id:
            return self._view.get_network(network_id)
        network = self._view.find_network_by_name(name)
        if network is None:
            raise not_found("network", name)
        return network

    def _check_only_ingress(self, spec: NetworkSpec) -> None:
        present = self._view.find_ingress_network() if spec.ingress else None
        if present is not None:
            raise Rejection(
                Code.ALREADY_EXISTS,
                f"ingress network ({present.id}) is already present as {present.spec.name}; remove "
                "it first",
            )

    def _allocated(self, network: Network) -> Network:
        try:
            made = allocate_network(network, self._view.networks(), self._view.find_cluster())
        except Conflict as conflict:
            raise invalid(str(conflict)) from None
        except Exhausted as exhausted:
            raise Rejection(Code.RESOURCE_EXHAUSTED, str(exhausted)) from None
        return with_mechanism(made, self._view.nodes())

    def _check_unused(self, network: Network) -> None:
        services = (
            [row for row in self._view.services() if needs_ingress(row.spec)]
            if network.spec.ingress
            else self._view.services_using_network(network.id)
        )
        for service in services:
            raise failed_precondition(
                f"network {network.id} is in use by service {service.id} ({service.spec.name}); "
                "remove that service, or take it off the network"
            )
        for task in self._view.tasks():
            if not network.spec.ingress and _uses(task, network.id):
                raise failed_precondition(
                    f"network {network.id} is in use by task {task.id} ({task.name}); "
                    "wait for it to stop"
                )


def _uses(task: Task, network_id: str) -> bool:
    """Whether a task that is wanted and may run takes part in the network."""
    if task.desired_state > TaskState.RUNNING or task.status.state > TaskState.RUNNING:
        return False
    return any(place.network_id == network_id for place in task.networks) or any(
        wish.target == network_id for wish in task.spec.networks
    )
