"""New versions of secrets and configs, and the services that follow them."""

from __future__ import annotations

from typing import Any

import pytest

from swarmd.model import file_versions
from swarmd.model.errors import Code, Rejection
from swarmd.model.spec import ConfigReference, FileTarget, SecretReference
from swarmd.rpc.convert import service_spec_to_pb
from swarmd.rpc.pb import control, specs
from tests.support.api import Api
from tests.support.specs import a_container, a_spec, a_task_spec

FILE = FileTarget(name="f")


@pytest.fixture
def api() -> Api:
    return Api()


async def a_secret(api: Api, name: str = "key", data: bytes = b"one") -> Any:
    spec = specs.SecretSpec(data=data)
    spec.annotations.name = name
    return (await api.call("CreateSecret", control.CreateSecretRequest(spec=spec))).secret


async def updated(api: Api, base: Any, data: bytes) -> Any:
    request = control.UpdateSecretRequest(
        secret_id=base.id,
        secret_version=base.meta.version,
        spec=specs.SecretSpec(data=data),
        new_version=True,
    )
    return (await api.call("UpdateSecret", request)).secret


async def a_service(api: Api, name: str, **container: Any) -> Any:
    task = a_task_spec(container_spec=a_container(**container))
    spec = service_spec_to_pb(a_spec(name, task_template=task))
    return (await api.call("CreateService", control.CreateServiceRequest(spec=spec))).service


def reference(secret: Any, *, latest: bool) -> SecretReference:
    return SecretReference(
        secret_id=secret.id, secret_name=secret.spec.annotations.name, file=FILE, latest=latest
    )


def used_by(api: Api, service: Any) -> str:
    stored = api.store.get_service(service.id)
    assert stored.spec.task_template.container_spec is not None
    return stored.spec.task_template.container_spec.secrets[0].secret_name


async def test_a_new_version_is_a_secret_of_its_own_that_followers_are_updated_to(
    api: Api,
) -> None:
    first = await a_secret(api)
    follower = await a_service(api, "web", secrets=(reference(first, latest=True),))
    pinned = await a_service(api, "db", secrets=(reference(first, latest=False),))
    second = await updated(api, first, b"two")
    assert second.spec.annotations.name == "key@2"
    assert api.store.get_secret(first.id).spec.data == b"one"
    assert api.store.get_secret(second.id).spec.data == b"two"
    assert used_by(api, follower) == "key@2"
    assert used_by(api, pinned) == "key"
    stored = api.store.get_service(follower.id)
    assert stored.previous_spec is not None
    request = control.UpdateServiceRequest(
        service_id=follower.id, rollback=control.UpdateServiceRequest.PREVIOUS
    )
    request.service_version.index = stored.version
    await api.call("UpdateService", request)
    assert used_by(api, follower) == "key"
    third = await updated(api, second, b"three")
    assert used_by(api, follower) == third.spec.annotations.name == "key@3"


async def test_the_same_data_again_makes_no_version(api: Api) -> None:
    first = await a_secret(api)
    assert (await updated(api, first, b"one")).id == first.id
    assert len(api.store.secrets()) == 1


async def test_only_the_latest_version_has_a_next_one(api: Api) -> None:
    first = await a_secret(api)
    await updated(api, first, b"two")
    with pytest.raises(Rejection, match="out of sequence"):
        await updated(api, first, b"three")


async def test_data_over_the_limit_is_refused(api: Api) -> None:
    first = await a_secret(api)
    with pytest.raises(Rejection) as refusal:
        await updated(api, first, b"x" * 512_000)
    assert refusal.value.code is Code.INVALID_ARGUMENT


async def test_old_versions_that_no_service_could_go_back_to_are_dropped(api: Api) -> None:
    latest = first = await a_secret(api)
    await a_service(api, "db", secrets=(reference(first, latest=False),))
    for number in range(2, file_versions.KEPT + 4):
        latest = await updated(api, latest, f"{number}".encode())
    names = [file.spec.name for file in file_versions.members(api.store.secrets(), "key")]
    assert names == ["key", *(f"key@{number}" for number in range(4, file_versions.KEPT + 4))]


async def test_a_family_keeps_its_name_when_its_first_version_is_gone(api: Api) -> None:
    first = await a_secret(api)
    await updated(api, first, b"two")
    await api.call("RemoveSecret", control.RemoveSecretRequest(secret_id=first.id))
    with pytest.raises(Rejection, match="there are versions of secret key"):
        await a_secret(api)


async def test_users_cannot_name_a_secret_like_a_version(api: Api) -> None:
    with pytest.raises(Rejection, match="name"):
        await a_secret(api, "key@2")


async def test_configs_have_versions_as_well(api: Api) -> None:
    spec = specs.ConfigSpec(data=b"one")
    spec.annotations.name = "conf"
    first = (await api.call("CreateConfig", control.CreateConfigRequest(spec=spec))).config
    row = ConfigReference(config_id=first.id, config_name="conf", file=FILE, latest=True)
    service = await a_service(api, "web", configs=(row,))
    request = control.UpdateConfigRequest(
        config_id=first.id,
        config_version=first.meta.version,
        spec=specs.ConfigSpec(data=b"two"),
        new_version=True,
    )
    second = (await api.call("UpdateConfig", request)).config
    stored = api.store.get_service(service.id)
    assert stored.spec.task_template.container_spec is not None
    assert stored.spec.task_template.container_spec.configs[0].config_id == second.id
