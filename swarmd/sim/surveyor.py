"""A client that makes and removes networks, and services that take part in them.

Its networks are few and some of them small, their names and subnets come again and again, and its
services go from one to another: what is not given back is soon missed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from msgspec.structs import replace

from swarmd.model.network import IPAMConfig, IPAMOptions, Network, NetworkSpec
from swarmd.model.spec import (
    ContainerSpec,
    EndpointSpec,
    NetworkAttachmentConfig,
    PortConfig,
    RestartPolicy,
    ServiceSpec,
    TaskSpec,
    UpdateConfig,
)
from swarmd.model.states import ResolutionMode, UpdateOrder
from swarmd.rpc.convert.network import NETWORK, NETWORK_SPEC
from swarmd.rpc.pb import control as pb
from swarmd.sim.client import REVISION, Client, Outcome
from swarmd.sim.specs import STEADY, replicated
from swarmd.sim.workload import Patron

NETWORKS = ("net-1", "net-2", "net-3", "net-4")
# None has the swarm choose. Two of them share addresses, so only one can be had at a time.
SUBNETS = (None, None, "10.30.0.0/26", "10.30.0.32/27", "10.31.0.0/24")
REPLICAS_MAX = 3


class Surveyor(Patron):
    """Has two services, and networks for them."""

    pause_s = (0.2, 2.0)

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._names = [f"{client.name}-{number}" for number in range(2)]

    async def act(self) -> None:
        networks = await self._networks()
        if networks is None:
            return
        drawn = self.rng.random()
        if len(networks) < 2 or drawn < 0.25:
            await self._make_network()
        elif drawn < 0.4:
            request = pb.RemoveNetworkRequest(network_id=self.rng.choice(networks).id)
            await self.client.call("RemoveNetwork", request)
        else:
            await self._change_service(self.rng.choice(self._names), networks)

    def last_steps(self) -> list[Callable[[], Awaitable[bool]]]:
        return [partial(self._look, name) for name in self._names]

    async def _look(self, name: str) -> bool:
        return (await self.client.find(name))[0]

    async def _networks(self) -> list[Network] | None:
        """Its own that there are; None if nobody could be asked."""
        answer = await self.client.call("ListNetworks", pb.ListNetworksRequest())
        if answer.outcome is not Outcome.DONE:
            return None
        found = [NETWORK.from_pb(message) for message in answer.message.networks]
        return [network for network in found if network.spec.name in NETWORKS]

    async def _make_network(self) -> None:
        subnet = self.rng.choice(SUBNETS)
        ipam = IPAMOptions(configs=(IPAMConfig(subnet=subnet),)) if subnet else None
        spec = NetworkSpec(
            name=self.rng.choice(NETWORKS), ipam=ipam, ipv6_enabled=self.rng.random() < 0.3
        )
        await self.client.call(
            "CreateNetwork", pb.CreateNetworkRequest(spec=NETWORK_SPEC.to_pb(spec))
        )

    async def _change_service(self, name: str, networks: Sequence[Network]) -> None:
        certain, service = await self.client.find(name)
        if not certain:
            return
        if service is None:
            await self.client.create(self._spec(name, networks))
        elif self.rng.random() < 0.15:
            await self.client.remove(service)
        elif self.rng.random() < 0.3:
            mode = replicated(self.rng.randrange(REPLICAS_MAX + 1))
            labels = {REVISION: self.client.revision()}
            await self.client.update(service, replace(service.spec, mode=mode, labels=labels))
        else:
            await self.client.update(service, self._spec(name, networks))

    def _spec(self, name: str, networks: Sequence[Network]) -> ServiceSpec:
        rng = self.rng
        chosen = rng.sample(list(networks), rng.randrange(min(2, len(networks)) + 1))
        return ServiceSpec(
            name=name,
            labels={REVISION: self.client.revision()},
            task_template=TaskSpec(
                container_spec=ContainerSpec(command=STEADY),
                networks=tuple(NetworkAttachmentConfig(target=network.id) for network in chosen),
                restart_policy=RestartPolicy(delay_ns=0),
            ),
            mode=replicated(rng.randrange(1, REPLICAS_MAX + 1)),
            update_config=UpdateConfig(
                parallelism=rng.choice((0, 1)),
                monitor_ns=10**8,
                order=rng.choice(tuple(UpdateOrder)),
            ),
            endpoint_spec=self._endpoint(),
        )

    def _endpoint(self) -> EndpointSpec | None:
        """Ports that the swarm chooses, or none; now and then no virtual address."""
        drawn = self.rng.random()
        if drawn < 0.3:
            return None
        if drawn < 0.45:
            return EndpointSpec(mode=ResolutionMode.DNSRR)
        ports = (PortConfig(target_port=80), PortConfig(target_port=81))
        return EndpointSpec(ports=ports[: self.rng.randrange(3)])
