"""Calls of simulated clients on secrets and configs, which are alike but for their words."""

from __future__ import annotations

from typing import Any

from swarmd.model.secret import Config, ConfigSpec, Secret, SecretSpec
from swarmd.rpc.convert.secret import CONFIG, CONFIG_SPEC, SECRET, SECRET_SPEC
from swarmd.rpc.pb import control as pb
from swarmd.sim.client import Client, Outcome

File = Secret | Config


async def list_files(client: Client) -> tuple[File, ...] | None:
    """All there are; None if nobody could be asked."""
    secrets = await client.call("ListSecrets", pb.ListSecretsRequest())
    configs = await client.call("ListConfigs", pb.ListConfigsRequest())
    if secrets.outcome is not Outcome.DONE or configs.outcome is not Outcome.DONE:
        return None
    return (
        *(SECRET.from_pb(message) for message in secrets.message.secrets),
        *(CONFIG.from_pb(message) for message in configs.message.configs),
    )


async def create_files(client: Client, name: str, data: bytes) -> None:
    """A secret and a config of the same name."""
    secret = SECRET_SPEC.to_pb(SecretSpec(name=name, data=data))
    config = CONFIG_SPEC.to_pb(ConfigSpec(name=name, data=data))
    await client.call("CreateSecret", pb.CreateSecretRequest(spec=secret))
    await client.call("CreateConfig", pb.CreateConfigRequest(spec=config))


async def renew_file(client: Client, file: File, data: bytes) -> None:
    """Make the next version of a file, which services that follow it then refer to."""
    request: Any
    if isinstance(file, Secret):
        secret = SECRET_SPEC.to_pb(SecretSpec(data=data))
        request = pb.UpdateSecretRequest(secret_id=file.id, spec=secret, new_version=True)
        request.secret_version.index = file.version
        await client.call("UpdateSecret", request)
    else:
        config = CONFIG_SPEC.to_pb(ConfigSpec(data=data))
        request = pb.UpdateConfigRequest(config_id=file.id, spec=config, new_version=True)
        request.config_version.index = file.version
        await client.call("UpdateConfig", request)


async def remove_file(client: Client, file: File) -> None:
    if isinstance(file, Secret):
        await client.call("RemoveSecret", pb.RemoveSecretRequest(secret_id=file.id))
    else:
        await client.call("RemoveConfig", pb.RemoveConfigRequest(config_id=file.id))
