"""Networks, secrets, configs, extensions and resources in the store."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from swarmd.model.custom import Extension, Resource
from swarmd.model.errors import Code, Rejection
from swarmd.model.ids import (
    ConfigId,
    ExtensionId,
    NetworkId,
    NodeId,
    ResourceId,
    SecretId,
    ServiceId,
)
from swarmd.model.instant import Instant
from swarmd.model.network import Network, NetworkSpec
from swarmd.model.secret import Config, ConfigSpec, Secret, SecretSpec
from swarmd.model.service import Service
from swarmd.model.spec import (
    ConfigReference,
    ContainerSpec,
    NetworkAttachmentConfig,
    SecretReference,
    TaskSpec,
)
from swarmd.store.changes import Action, Create, Delete, Entry, Kind, Object, Transaction, Update
from swarmd.store.codec import Decoder, encode_entry, encode_records
from swarmd.store.store import Store
from tests.support.cluster import a_service_spec

NETWORK = Network(id=NetworkId("n1"), spec=NetworkSpec(name="Back"))
SECRET = Secret(id=SecretId("s1"), spec=SecretSpec(name="Key", data=b"hidden"))
CONFIG = Config(id=ConfigId("c1"), spec=ConfigSpec(name="Conf", data=b"open"))
EXTENSION = Extension(id=ExtensionId("e1"), name="Widget")
RESOURCE = Resource(id=ResourceId("r1"), name="Bolt", kind="Widget", payload=b"x")
ALL: tuple[Object, ...] = (NETWORK, SECRET, CONFIG, EXTENSION, RESOURCE)


def apply(store: Store, *actions: Action) -> Rejection | None:
    entry = Entry(Instant(7), NodeId("leader"), (Transaction(actions),))
    return store.apply(store.index + 1, entry).refusals[0]


def a_store() -> Store:
    store = Store()
    assert apply(store, *(Create(record) for record in ALL)) is None
    return store


def test_each_is_found_by_id_and_by_name_whatever_the_case() -> None:
    store = a_store()
    found: list[Any] = [
        store.find_network_by_name("back"),
        store.find_secret_by_name("KEY"),
        store.find_config_by_name("conf"),
        store.find_extension_by_name("WIDGET"),
        store.find_resource_by_name("bolt"),
    ]
    assert [record.id for record in found] == ["n1", "s1", "c1", "e1", "r1"]
    assert store.get_secret("s1").version == 1
    with pytest.raises(Rejection, match="config nothing not found"):
        store.get_config("nothing")


@pytest.mark.parametrize(
    ("twin", "code"),
    [
        pytest.param(
            replace(NETWORK, id=NetworkId("n2"), spec=NetworkSpec(name="BACK")),
            Code.UNKNOWN,
            id="network",
        ),
        pytest.param(
            replace(SECRET, id=SecretId("s2"), spec=SecretSpec(name="key")),
            Code.ALREADY_EXISTS,
            id="secret",
        ),
        pytest.param(
            replace(CONFIG, id=ConfigId("c2"), spec=ConfigSpec(name="conf")),
            Code.ALREADY_EXISTS,
            id="config",
        ),
        pytest.param(
            replace(EXTENSION, id=ExtensionId("e2"), name="widget"),
            Code.ALREADY_EXISTS,
            id="extension",
        ),
        pytest.param(
            replace(RESOURCE, id=ResourceId("r2"), name="BOLT"), Code.ALREADY_EXISTS, id="resource"
        ),
    ],
)
def test_names_are_unique_within_a_kind(twin: Object, code: Code) -> None:
    refusal = apply(a_store(), Create(twin))
    assert refusal is not None
    assert refusal.code is code
    assert refusal.message.startswith("name conflicts with an existing object: ")


def test_a_name_may_be_kept_by_its_holder_and_shared_by_other_kinds() -> None:
    store = a_store()
    kept = replace(SECRET, spec=SecretSpec(name="Key", data=b"hidden", labels={"a": "b"}))
    assert apply(store, Update(kept, base=1)) is None
    namesake = Config(id=ConfigId("c2"), spec=ConfigSpec(name="Key"))
    assert apply(store, Create(namesake)) is None


@pytest.mark.parametrize("name", ["task", "Service", "volume", "resource"])
def test_an_extension_may_not_be_called_like_a_built_in_kind(name: str) -> None:
    refusal = apply(Store(), Create(Extension(id=ExtensionId("e"), name=name)))
    assert refusal is not None
    assert refusal.code is Code.INVALID_ARGUMENT


def test_a_resource_needs_its_extension_and_keeps_it() -> None:
    store = a_store()
    orphan = Resource(id=ResourceId("r2"), name="nut", kind="gadget")
    refusal = apply(store, Create(orphan))
    assert refusal is not None
    assert "no extension names" in refusal.message
    refusal = apply(store, Delete(Kind.EXTENSION, "e1"))
    assert refusal is not None
    assert "Bolt (r1)" in refusal.message
    assert apply(store, Delete(Kind.RESOURCE, "r1"), Delete(Kind.EXTENSION, "e1")) is None


def test_services_are_found_by_what_they_refer_to() -> None:
    store = a_store()
    container = ContainerSpec(
        image="web:1",
        secrets=(SecretReference(secret_id="s1"), SecretReference(secret_id="s1")),
        configs=(ConfigReference(config_id="c1"),),
    )
    task = TaskSpec(container_spec=container, networks=(NetworkAttachmentConfig(target="n1"),))
    service = Service(id=ServiceId("web"), spec=a_service_spec("web", task=task))
    apply(store, Create(service))
    for found in (
        store.services_using_network("n1"),
        store.services_using_secret("s1"),
        store.services_using_config("c1"),
    ):
        assert [row.id for row in found] == ["web"]
    apply(store, Update(replace(service, spec=a_service_spec("web")), base=2))
    assert store.services_using_secret("s1") == ()
    old = a_service_spec("old", networks=(NetworkAttachmentConfig(target="n1"),))
    apply(store, Create(Service(id=ServiceId("old"), spec=old)))
    assert [row.id for row in store.services_using_network("n1")] == ["old"]
    apply(store, Delete(Kind.SERVICE, "old"))
    assert store.services_using_network("n1") == ()


def test_entries_and_snapshots_carry_every_kind() -> None:
    decoder = Decoder()
    entry = Entry(Instant(7), NodeId("l"), (Transaction(tuple(Create(row) for row in ALL)),))
    assert decoder.entry(encode_entry(entry)) == entry
    store, copy = a_store(), Store()
    chunks = encode_records(store.records())
    copy.restore(store.index, [record for chunk in chunks for record in decoder.records(chunk)])
    assert copy.records() == store.records()
    assert copy.find_network_by_name("back") == store.find_network("n1")


def test_a_secret_does_not_show_its_data() -> None:
    assert "hidden" not in repr(SECRET).replace("bytes hidden", "")
