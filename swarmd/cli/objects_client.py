"""What commands ask about networks, secrets and configs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from swarmd.model.network import Network, NetworkSpec
from swarmd.model.secret import Config, ConfigSpec, Secret, SecretSpec
from swarmd.rpc.convert.network import NETWORK, NETWORK_SPEC
from swarmd.rpc.convert.secret import CONFIG, CONFIG_SPEC, SECRET, SECRET_SPEC
from swarmd.rpc.pb import control, doctor

if TYPE_CHECKING:
    from swarmd.cli.client import Client


DOCTOR = "swarmd.v1.Doctor"
ANSWER_S = 15.0


class Usage(NamedTuple):
    """Who holds addresses on a network, as far as the answers of a moment tell."""

    services: int = 0
    tasks: int = 0
    nodes: int = 0


async def networks(client: Client) -> list[Network]:
    answer = await client.ask("ListNetworks", control.ListNetworksRequest())
    return [NETWORK.from_pb(network) for network in answer.networks]


async def in_force(client: Client, network_id: str) -> Sequence[doctor.NodeTable]:
    """What the nodes of a network have said of it."""
    request = doctor.InspectTableRequest(network_id=network_id)
    call = client.stub(DOCTOR).InspectTable(request, timeout_s=ANSWER_S)
    answer: doctor.InspectTableResponse = await call
    return answer.nodes


async def create_network(client: Client, spec: NetworkSpec) -> Network:
    request = control.CreateNetworkRequest(spec=NETWORK_SPEC.to_pb(spec))
    return NETWORK.from_pb((await client.ask("CreateNetwork", request)).network)


async def remove_network(client: Client, network_id: str) -> None:
    await client.ask("RemoveNetwork", control.RemoveNetworkRequest(network_id=network_id))


async def secrets(client: Client) -> list[Secret]:
    answer = await client.ask("ListSecrets", control.ListSecretsRequest())
    return [SECRET.from_pb(secret) for secret in answer.secrets]


async def create_secret(client: Client, spec: SecretSpec) -> Secret:
    request = control.CreateSecretRequest(spec=SECRET_SPEC.to_pb(spec))
    return SECRET.from_pb((await client.ask("CreateSecret", request)).secret)


async def remove_secret(client: Client, secret_id: str) -> None:
    await client.ask("RemoveSecret", control.RemoveSecretRequest(secret_id=secret_id))


async def new_secret_version(client: Client, base: Secret, spec: SecretSpec) -> Secret:
    """The version after `base`, made unless that holds the same; services that follow get it."""
    request = control.UpdateSecretRequest(
        secret_id=base.id, spec=SECRET_SPEC.to_pb(spec), new_version=True
    )
    request.secret_version.index = base.version
    return SECRET.from_pb((await client.ask("UpdateSecret", request)).secret)


async def new_config_version(client: Client, base: Config, spec: ConfigSpec) -> Config:
    """As `new_secret_version`."""
    request = control.UpdateConfigRequest(
        config_id=base.id, spec=CONFIG_SPEC.to_pb(spec), new_version=True
    )
    request.config_version.index = base.version
    return CONFIG.from_pb((await client.ask("UpdateConfig", request)).config)


async def configs(client: Client) -> list[Config]:
    answer = await client.ask("ListConfigs", control.ListConfigsRequest())
    return [CONFIG.from_pb(config) for config in answer.configs]


async def create_config(client: Client, spec: ConfigSpec) -> Config:
    request = control.CreateConfigRequest(spec=CONFIG_SPEC.to_pb(spec))
    return CONFIG.from_pb((await client.ask("CreateConfig", request)).config)


async def remove_config(client: Client, config_id: str) -> None:
    await client.ask("RemoveConfig", control.RemoveConfigRequest(config_id=config_id))


async def usage(client: Client) -> dict[str, Usage]:
    """By network, how many services, tasks and nodes hold addresses on it."""
    counted: dict[str, Usage] = {}

    def count(network_id: str, field: str) -> None:
        present = counted.get(network_id, Usage())
        counted[network_id] = present._replace(**{field: getattr(present, field) + 1})

    for service in await client.services():
        for vip in service.endpoint.virtual_ips if service.endpoint else ():
            count(vip.network_id, "services")
    for task in await client.tasks():
        if not task.status.state.terminal:
            for place in task.networks:
                count(place.network_id, "tasks")
    for listed in await client.nodes():
        for place in listed.node.attachments:
            if place.addresses:
                count(place.network_id, "nodes")
    return counted
