"""Records: values named as the Docker API names them, with secrets kept out of sight."""

from __future__ import annotations

import typing

import msgspec
import pytest

from swarmd.model import cluster, node, service, spec, task
from swarmd.model.cluster import JoinTokens, RootCA
from swarmd.model.record import Record, docker_name
from swarmd.model.spec import Resources, RestartPolicy, TaskSpec
from tests.support.cluster import a_task_spec

RECORDS = [
    value
    for module in (cluster, node, service, spec, task)
    for value in vars(module).values()
    if isinstance(value, type) and issubclass(value, Record) and value is not Record
]


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("id", "ID"),
        ("nano_cpus", "NanoCPUs"),
        ("service_id", "ServiceID"),
        ("delay_ns", "Delay"),
        ("stop_grace_period_ns", "StopGracePeriod"),
        ("ca_cert", "CACert"),
        ("max_attempts", "MaxAttempts"),
        ("global_", "Global"),
    ],
)
def test_fields_are_encoded_under_their_docker_names(field: str, name: str) -> None:
    assert docker_name(field) == name


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_no_two_fields_share_an_encoded_name(record: type[Record]) -> None:
    names = [field.encode_name for field in msgspec.structs.fields(record)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_records_hold_nothing_that_can_change(record: type[Record]) -> None:
    assert record.__struct_config__.frozen
    for name, hint in typing.get_type_hints(record).items():
        assert typing.get_origin(hint) not in (list, dict, set), name


def test_only_what_differs_from_the_default_is_encoded() -> None:
    policy = RestartPolicy(delay_ns=5, max_attempts=0)
    assert msgspec.json.encode(policy) == b'{"Delay":5}'
    assert msgspec.json.decode(b'{"Delay":5}', type=RestartPolicy) == policy


def test_records_are_values() -> None:
    assert a_task_spec(cpus=1) == a_task_spec(cpus=1)
    assert Resources(nano_cpus=1) != Resources(nano_cpus=2)
    with pytest.raises(AttributeError):
        TaskSpec().force_update = 1  # type: ignore[misc]


def test_keys_and_tokens_do_not_show_in_logs() -> None:
    tokens = JoinTokens(worker="SWMTKN-worker", manager="SWMTKN-manager")
    root = RootCA(ca_key=b"private", ca_cert=b"public", ca_cert_hash="digest", join_tokens=tokens)
    assert "SWMTKN" not in repr(tokens) + repr(root)
    assert "private" not in repr(root)
    assert "digest" in repr(root)
