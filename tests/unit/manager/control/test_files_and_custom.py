"""Secrets, configs, extensions and resources through the API, and references to them."""

from __future__ import annotations

from typing import Any

import pytest

from swarmd.model.errors import Code, Rejection
from swarmd.model.ids import SecretId
from swarmd.model.secret import Secret, SecretSpec
from swarmd.model.spec import (
    ConfigReference,
    FileTarget,
    NetworkAttachmentConfig,
    Replicated,
    RuntimeTarget,
    SecretReference,
    ServiceMode,
)
from swarmd.rpc.convert import service_spec_to_pb
from swarmd.rpc.pb import control, specs, types
from swarmd.store.changes import Create
from tests.support.api import Api
from tests.support.specs import a_container, a_spec, a_task_spec

FILE = FileTarget(name="f")
GOLANG = types.Driver(name="golang")


@pytest.fixture
def api() -> Api:
    return Api()


def secret_spec(name: str = "key", data: bytes = b"hidden", **fields: Any) -> specs.SecretSpec:
    spec = specs.SecretSpec(data=data, **fields)
    spec.annotations.name = name
    return spec


def config_spec(name: str = "conf", data: bytes = b"open", **fields: Any) -> specs.ConfigSpec:
    spec = specs.ConfigSpec(data=data, **fields)
    spec.annotations.name = name
    return spec


async def refused(api: Api, method: str, request: Any) -> Rejection:
    with pytest.raises(Rejection) as refusal:
        await api.call(method, request)
    return refusal.value


async def a_secret(api: Api, name: str = "key") -> Any:
    request = control.CreateSecretRequest(spec=secret_spec(name))
    return (await api.call("CreateSecret", request)).secret


async def a_config(api: Api, name: str = "conf") -> Any:
    request = control.CreateConfigRequest(spec=config_spec(name))
    return (await api.call("CreateConfig", request)).config


async def test_no_answer_holds_the_data_of_a_secret(api: Api) -> None:
    secret = await a_secret(api)
    update = control.UpdateSecretRequest(secret_id=secret.id, spec=secret_spec())
    update.secret_version.CopyFrom(secret.meta.version)
    answers = [
        secret,
        (await api.call("GetSecret", control.GetSecretRequest(secret_id=secret.id))).secret,
        (await api.call("ListSecrets", control.ListSecretsRequest())).secrets[0],
        (await api.call("UpdateSecret", update)).secret,
    ]
    assert not any(b"hidden" in answer.SerializeToString() for answer in answers)
    assert api.store.get_secret(secret.id).spec.data == b"hidden"


async def test_a_config_is_read_back_as_it_was_written(api: Api) -> None:
    config = await a_config(api)
    found = await api.call("GetConfig", control.GetConfigRequest(config_id=config.id))
    assert found.config.spec.data == b"open"


SIZES = [("Secret", secret_spec, 500 * 1024), ("Config", config_spec, 1000 * 1024)]


@pytest.mark.parametrize(("noun", "spec", "limit"), SIZES)
async def test_sizes_have_limits(api: Api, noun: str, spec: Any, limit: int) -> None:
    request = getattr(control, f"Create{noun}Request")
    for data in (b"", b"x" * limit):
        refusal = await refused(api, f"Create{noun}", request(spec=spec(data=data)))
        assert refusal.code is Code.INVALID_ARGUMENT
    await api.call(f"Create{noun}", request(spec=spec("least", b"x")))
    await api.call(f"Create{noun}", request(spec=spec("most", b"x" * (limit - 1))))


@pytest.mark.parametrize("noun", ["Secret", "Config"])
@pytest.mark.parametrize("name", ["", "x" * 65, ".a", "a-", "a b", "ü"])
async def test_names_have_rules(api: Api, noun: str, name: str) -> None:
    spec = secret_spec(name) if noun == "Secret" else config_spec(name)
    request = getattr(control, f"Create{noun}Request")(spec=spec)
    assert (await refused(api, f"Create{noun}", request)).code is Code.INVALID_ARGUMENT


async def test_a_name_at_the_limit_is_taken_once(api: Api) -> None:
    name = "a.b_c-" + "x" * 58
    await a_secret(api, name)
    request = control.CreateSecretRequest(spec=secret_spec(name.upper()))
    assert (await refused(api, "CreateSecret", request)).code is Code.ALREADY_EXISTS


@pytest.mark.parametrize(
    ("driver", "code"),
    [(types.Driver(), Code.INVALID_ARGUMENT), (types.Driver(name="vault"), Code.UNIMPLEMENTED)],
)
async def test_secret_drivers_are_refused_by_name(
    api: Api, driver: types.Driver, code: Code
) -> None:
    request = control.CreateSecretRequest(spec=secret_spec(data=b"", driver=driver))
    assert (await refused(api, "CreateSecret", request)).code is code


async def test_templating_is_golang_or_none(api: Api) -> None:
    await api.call(
        "CreateConfig",
        control.CreateConfigRequest(spec=config_spec(templating=types.Driver(name="golang"))),
    )
    other = config_spec("other", templating=types.Driver(name="jinja"))
    request = control.CreateConfigRequest(spec=other)
    assert (await refused(api, "CreateConfig", request)).code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        pytest.param(secret_spec("other"), Code.INVALID_ARGUMENT, id="name"),
        pytest.param(secret_spec(data=b"new"), Code.INVALID_ARGUMENT, id="data"),
        pytest.param(
            secret_spec(templating=types.Driver(name="golang")),
            Code.INVALID_ARGUMENT,
            id="template",
        ),
    ],
)
async def test_only_labels_of_a_secret_change(
    api: Api, changed: specs.SecretSpec, code: Code
) -> None:
    secret = await a_secret(api)
    request = control.UpdateSecretRequest(
        secret_id=secret.id, secret_version=secret.meta.version, spec=changed
    )
    assert (await refused(api, "UpdateSecret", request)).code is code
    labelled = secret_spec(data=b"")
    labelled.annotations.labels["a"] = "b"
    request.spec.CopyFrom(labelled)
    answer = await api.call("UpdateSecret", request)
    assert dict(answer.secret.spec.annotations.labels) == {"a": "b"}
    assert api.store.get_secret(secret.id).spec.data == b"hidden"


async def test_an_update_of_an_old_version_is_out_of_sequence(api: Api) -> None:
    secret, config = await a_secret(api), await a_config(api)
    stale = types.Version(index=1)
    for method, request in (
        (
            "UpdateSecret",
            control.UpdateSecretRequest(
                secret_id=secret.id, secret_version=stale, spec=secret_spec()
            ),
        ),
        (
            "UpdateConfig",
            control.UpdateConfigRequest(
                config_id=config.id, config_version=stale, spec=config_spec()
            ),
        ),
    ):
        refusal = await refused(api, method, request)
        assert (refusal.code, refusal.message) == (Code.UNKNOWN, "update out of sequence")


async def test_names_prefixes_and_ids_are_alternatives_and_labels_are_not(api: Api) -> None:
    key, _ = await a_secret(api, "key"), await a_secret(api, "other")
    own = Secret(id=SecretId("own"), spec=SecretSpec(name="own", data=b"x"), internal=True)
    api.writer.write(Create(own))

    async def names(**filters: Any) -> list[str]:
        request = control.ListSecretsRequest(filters=control.ListSecretsRequest.Filters(**filters))
        answer = await api.call("ListSecrets", request)
        return [secret.spec.annotations.name for secret in answer.secrets]

    assert await names() == ["key", "other"]
    assert await names(names=["other"], id_prefixes=[key.id]) == ["key", "other"]
    assert await names(name_prefixes=["k"]) == ["key"]
    assert await names(names=["key"], labels={"a": "b"}) == []


@pytest.mark.parametrize("noun", ["secret", "config"])
async def test_missing_and_unknown_ids_have_their_texts(api: Api, noun: str) -> None:
    title = noun.capitalize()
    for verb in ("Get", "Remove", "Update"):
        request = getattr(control, f"{verb}{title}Request")()
        refusal = await refused(api, f"{verb}{title}", request)
        assert refusal.code is Code.INVALID_ARGUMENT
        assert refusal.message == f"{noun} ID must be provided"
    get = getattr(control, f"Get{title}Request")(**{f"{noun}_id": "x"})
    assert (await refused(api, f"Get{title}", get)).message == f"{noun} x not found"
    remove = getattr(control, f"Remove{title}Request")(**{f"{noun}_id": "x"})
    refusal = await refused(api, f"Remove{title}", remove)
    assert (refusal.code, refusal.message) == (Code.NOT_FOUND, f"could not find {noun} x")


def referring(**fields: Any) -> Any:
    container = a_container(**fields)
    return service_spec_to_pb(a_spec("web", task_template=a_task_spec(container_spec=container)))


async def test_what_a_service_refers_to_is_kept_until_it_is_gone(api: Api) -> None:
    secret, config = await a_secret(api), await a_config(api)
    spec = referring(
        secrets=(SecretReference(secret_id=secret.id, secret_name="key", file=FILE),),
        configs=(ConfigReference(config_id=config.id, config_name="conf", file=FILE),),
    )
    answer = await api.call("CreateService", control.CreateServiceRequest(spec=spec))
    removals = (
        ("RemoveSecret", control.RemoveSecretRequest(secret_id=secret.id)),
        ("RemoveConfig", control.RemoveConfigRequest(config_id=config.id)),
    )
    for method, request in removals:
        refusal = await refused(api, method, request)
        assert refusal.code is Code.INVALID_ARGUMENT
        assert "in use by the following service: web" in refusal.message
    await api.call("RemoveService", control.RemoveServiceRequest(service_id=answer.service.id))
    for method, request in removals:
        await api.call(method, request)
    assert (api.store.secrets(), api.store.configs()) == ((), ())


BAD_REFERENCES: dict[str, dict[str, Any]] = {
    "no id": {"secrets": (SecretReference(secret_name="key", file=FILE),)},
    "no name": {"secrets": (SecretReference(secret_id="x", file=FILE),)},
    "no target": {"secrets": (SecretReference(secret_id="x", secret_name="key"),)},
    "no file name": {
        "secrets": (SecretReference(secret_id="x", secret_name="key", file=FileTarget()),)
    },
    "bad mode": {
        "secrets": (
            SecretReference(
                secret_id="x", secret_name="k", file=FileTarget(name="f", mode=0o10000)
            ),
        )
    },
    "one file twice": {
        "configs": (
            ConfigReference(config_id="x", config_name="a", file=FILE),
            ConfigReference(config_id="y", config_name="b", file=FILE),
        )
    },
    "unknown": {"secrets": (SecretReference(secret_id="x", secret_name="key", file=FILE),)},
    "unknown config": {
        "configs": (ConfigReference(config_id="x", config_name="c", runtime=RuntimeTarget()),)
    },
}


@pytest.mark.parametrize("case", BAD_REFERENCES)
async def test_references_are_whole_and_name_what_exists(api: Api, case: str) -> None:
    request = control.CreateServiceRequest(spec=referring(**BAD_REFERENCES[case]))
    assert (await refused(api, "CreateService", request)).code is Code.INVALID_ARGUMENT
    assert api.store.services() == ()


async def test_a_reference_by_another_name_names_nothing(api: Api) -> None:
    secret = await a_secret(api)
    spec = referring(secrets=(SecretReference(secret_id=secret.id, secret_name="no", file=FILE),))
    refusal = await refused(api, "CreateService", control.CreateServiceRequest(spec=spec))
    assert refusal.message == "secret(s) not found: no"


@pytest.mark.parametrize(
    ("targets", "code", "words"),
    [
        (["nothing"], Code.INVALID_ARGUMENT, "network(s) not found: nothing"),
        (["ingress"], Code.INVALID_ARGUMENT, "cannot use the ingress network"),
        ([""], Code.INVALID_ARGUMENT, "without a target"),
        (["back", "back"], Code.INVALID_ARGUMENT, "twice"),
        (["back", "id-of-back"], Code.INVALID_ARGUMENT, "not found: id-of-back"),
        (["tiny"], Code.RESOURCE_EXHAUSTED, "needs 3 addresses on network tiny, which has 2"),
    ],
)
async def test_networks_of_services_exist_and_have_room(
    api: Api, targets: list[str], code: Code, words: str
) -> None:
    from swarmd.model.network import IPAMConfig, IPAMOptions

    api.add_network("back")
    api.add_network("tiny", ipam=IPAMOptions(configs=(IPAMConfig(subnet="10.7.0.0/30"),)))
    networks = tuple(NetworkAttachmentConfig(target=target) for target in targets)
    mode = ServiceMode(replicated=Replicated(replicas=3))
    spec = a_spec("web", task_template=a_task_spec(networks=networks), mode=mode)
    create = control.CreateServiceRequest(spec=service_spec_to_pb(spec))
    refusal = await refused(api, "CreateService", create)
    assert refusal.code is code
    assert words in refusal.message


async def test_an_address_that_is_asked_for_is_one(api: Api) -> None:
    api.add_network("back")
    networks = (NetworkAttachmentConfig(target="back", addresses=("10.0.1.x",)),)
    spec = service_spec_to_pb(a_spec("web", task_template=a_task_spec(networks=networks)))
    refusal = await refused(api, "CreateService", control.CreateServiceRequest(spec=spec))
    assert refusal.code is Code.INVALID_ARGUMENT
    assert "'10.0.1.x' on back, which is no address" in refusal.message


async def test_extensions_and_resources_live_together(api: Api) -> None:
    create = control.CreateExtensionRequest(description="things")
    assert (await refused(api, "CreateExtension", create)).code is Code.INVALID_ARGUMENT
    create.annotations.name = "widget"
    extension = (await api.call("CreateExtension", create)).extension
    resource_request = control.CreateResourceRequest(kind="gadget")
    resource_request.annotations.name = "bolt"
    refusal = await refused(api, "CreateResource", resource_request)
    assert refusal.code is Code.INVALID_ARGUMENT
    resource_request.kind = "widget"
    resource_request.payload.type_url, resource_request.payload.value = "t", b"one"
    resource = (await api.call("CreateResource", resource_request)).resource
    assert (await refused(api, "CreateResource", resource_request)).code is Code.ALREADY_EXISTS
    remove = control.RemoveExtensionRequest(extension_id=extension.id)
    refusal = await refused(api, "RemoveExtension", remove)
    assert refusal.code is Code.INVALID_ARGUMENT
    assert "bolt" in refusal.message
    listing = control.ListResourcesRequest()
    listing.filters.kind = "widget"
    assert [row.id for row in (await api.call("ListResources", listing)).resources] == [resource.id]
    await api.call("RemoveResource", control.RemoveResourceRequest(resource_id=resource.id))
    await api.call("RemoveExtension", remove)
    assert (await refused(api, "RemoveExtension", remove)).code is Code.NOT_FOUND


async def test_a_resource_keeps_what_an_update_does_not_give(api: Api) -> None:
    create = control.CreateExtensionRequest()
    create.annotations.name = "widget"
    await api.call("CreateExtension", create)
    made = control.CreateResourceRequest(kind="widget")
    made.annotations.name = "bolt"
    made.payload.value = b"one"
    resource = (await api.call("CreateResource", made)).resource
    update = control.UpdateResourceRequest(
        resource_id=resource.id, resource_version=resource.meta.version
    )
    update.annotations.labels["a"] = "b"
    changed = (await api.call("UpdateResource", update)).resource
    assert changed.payload.value == b"one"
    assert dict(changed.annotations.labels) == {"a": "b"}
    refusal = await refused(api, "UpdateResource", update)
    assert (refusal.code, refusal.message) == (Code.INVALID_ARGUMENT, "update out of sequence")
    update.resource_version.CopyFrom(changed.meta.version)
    update.annotations.name = "nut"
    assert (await refused(api, "UpdateResource", update)).code is Code.INVALID_ARGUMENT


async def test_payloads_have_a_limit(api: Api) -> None:
    create = control.CreateExtensionRequest()
    create.annotations.name = "widget"
    await api.call("CreateExtension", create)
    made = control.CreateResourceRequest(kind="widget")
    made.annotations.name = "bolt"
    made.payload.value = b"x" * (1024 * 1024 + 1)
    assert (await refused(api, "CreateResource", made)).code is Code.INVALID_ARGUMENT
    made.payload.value = b"x" * (1024 * 1024)
    await api.call("CreateResource", made)
