"""Single decisions of the conversion: presence, defaults, refusals."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from swarmd.model.cluster import DEFAULT_HEARTBEAT_NS, Cluster, RootCA
from swarmd.model.errors import Code, Rejection
from swarmd.model.ids import ClusterId, TaskId
from swarmd.model.spec import ContainerSpec, Replicated, RestartPolicy, ServiceMode, TaskSpec
from swarmd.model.states import RestartCondition, TaskState
from swarmd.model.task import Task
from swarmd.rpc import convert
from swarmd.rpc.convert.task import SpecBytes
from swarmd.rpc.convert.wire import length_delimited, varint
from swarmd.rpc.pb import objects, specs, types


def test_a_task_has_every_part_that_an_engine_reads_without_asking() -> None:
    message = convert.task_to_pb(Task(id=TaskId("t1")))
    for part in ("spec", "status", "endpoint", "annotations", "service_annotations"):
        assert message.HasField(part), part
    assert message.status.HasField("timestamp")


def test_an_absent_grace_period_differs_from_none_at_all() -> None:
    absent = convert.task_spec_from_pb(specs.TaskSpec(container=specs.ContainerSpec()))
    zero = specs.TaskSpec(container=specs.ContainerSpec())
    zero.container.stop_grace_period.SetInParent()
    assert absent.container_spec == ContainerSpec(stop_grace_period_ns=None)
    assert convert.task_spec_from_pb(zero).container_spec == ContainerSpec(stop_grace_period_ns=0)


def test_a_negative_duration_keeps_its_sign_in_both_parts() -> None:
    spec = TaskSpec(container_spec=ContainerSpec(stop_grace_period_ns=-1_500_000_000))
    period = convert.task_spec_to_pb(spec).container.stop_grace_period
    assert (period.seconds, period.nanos) == (-1, -500_000_000)
    assert convert.task_spec_from_pb(convert.task_spec_to_pb(spec)) == spec


def test_a_restart_policy_left_open_is_written_as_any() -> None:
    message = convert.task_spec_to_pb(TaskSpec(restart_policy=RestartPolicy()))
    assert message.restart.condition == types.RestartPolicy.ANY


def test_a_restart_policy_on_the_wire_means_what_it_says() -> None:
    never = convert.task_spec_from_pb(specs.TaskSpec(restart=types.RestartPolicy()))
    assert never.restart_policy == RestartPolicy(condition=RestartCondition.NONE)
    assert convert.task_spec_from_pb(specs.TaskSpec()).restart_policy is None


def test_zero_replicas_on_the_wire_are_zero_replicas() -> None:
    spec = convert.service_spec_from_pb(
        specs.ServiceSpec(replicated=specs.ReplicatedService(replicas=0))
    )
    assert spec.mode == ServiceMode(replicated=Replicated(replicas=0))


def test_a_spec_without_a_heartbeat_period_gets_the_default() -> None:
    spec = convert.cluster_spec_from_pb(specs.ClusterSpec(dispatcher=types.DispatcherConfig()))
    assert spec.dispatcher.heartbeat_period_ns == DEFAULT_HEARTBEAT_NS


def test_the_signing_key_stays_at_home() -> None:
    cluster = Cluster(id=ClusterId("c1"), root_ca=RootCA(ca_cert=b"cert", ca_key=b"secret"))
    message = convert.cluster_to_pb(cluster)
    assert message.root_ca.ca_cert == b"cert"
    assert b"secret" not in message.SerializeToString()


def test_an_unknown_enum_value_is_refused_with_its_name_and_the_known_ones() -> None:
    with pytest.raises(Rejection) as refusal:
        convert.task_from_pb(objects.Task(id="t1", desired_state=777))
    assert refusal.value.code is Code.INVALID_ARGUMENT
    assert "Task.desired_state has the unknown value 777" in refusal.value.message
    assert "512 (RUNNING)" in refusal.value.message


@pytest.mark.parametrize(
    ("message", "names"),
    [
        pytest.param(specs.ServiceSpec(), (), id="nothing"),
        pytest.param(
            specs.ServiceSpec(
                task=specs.TaskSpec(
                    container=specs.ContainerSpec(
                        image="nginx",
                        pidsLimit=5,
                        dns_config=specs.ContainerSpec.DNSConfig(),
                        privileges=types.Privileges(),
                    )
                )
            ),
            (),
            id="empty parts ask for nothing",
        ),
        pytest.param(
            specs.ServiceSpec(
                task=specs.TaskSpec(
                    container=specs.ContainerSpec(
                        isolation=1, mounts=[types.Mount(target="/data")]
                    ),
                )
            ),
            ("task.container.isolation",),
            id="isolation",
        ),
        pytest.param(
            specs.ServiceSpec(task=specs.TaskSpec(generic=specs.GenericRuntimeSpec())),
            ("task.generic",),
            id="an empty choice",
        ),
        pytest.param(
            specs.ServiceSpec(
                task=specs.TaskSpec(
                    container=specs.ContainerSpec(
                        secrets=[types.SecretReference(secret_id="s1")],
                        privileges=types.Privileges(
                            selinux_context=types.Privileges.SELinuxContext(level="s0")
                        ),
                    )
                )
            ),
            ("task.container.privileges.selinux_context.level",),
            id="something deep inside",
        ),
    ],
)
def test_what_can_not_be_done_is_named(message: specs.ServiceSpec, names: tuple[str, ...]) -> None:
    assert convert.unsupported_fields(convert.SERVICE_SPEC, message) == names


def test_a_field_of_a_newer_client_is_named_by_its_number() -> None:
    message = specs.ServiceSpec()
    message.task.SetInParent()
    data = message.SerializeToString() + length_delimited(77, b"?")
    newer = specs.ServiceSpec.FromString(data)
    refusal = convert.unsupported(convert.SERVICE_SPEC, newer)
    assert refusal is not None
    assert refusal.message == (
        "ServiceSpec asks for field 77, which this version of swarmd doesn't support; leave it out"
    )


def test_a_supported_spec_is_not_refused() -> None:
    message = convert.service_spec_to_pb(
        convert.service_spec_from_pb(specs.ServiceSpec(replicated=specs.ReplicatedService()))
    )
    assert convert.unsupported(convert.SERVICE_SPEC, message) is None


def test_one_spec_is_serialized_once_for_all_tasks_that_share_it() -> None:
    kept = SpecBytes()
    spec = TaskSpec(container_spec=ContainerSpec(image="nginx"))
    assert kept.of(spec) is kept.of(spec)
    assert len(kept) == 1


def test_the_specs_kept_are_bounded_and_the_oldest_goes_first() -> None:
    kept = SpecBytes(kept_max=2)
    first, second, third = (
        TaskSpec(container_spec=ContainerSpec(image=name)) for name in ("a", "b", "c")
    )
    bytes_of_first = kept.of(first)
    kept.of(second)
    assert kept.of(first) is bytes_of_first
    kept.of(third)
    assert kept.of(first) is bytes_of_first
    assert len(kept) == 2


def test_a_changed_task_shares_the_bytes_of_its_spec() -> None:
    task = Task(id=TaskId("t1"), spec=TaskSpec(container_spec=ContainerSpec(image="nginx")))
    later = replace(task, desired_state=TaskState.SHUTDOWN)
    assert objects.Task.FromString(convert.task_to_bytes(later)).spec == (
        convert.task_to_pb(task).spec
    )


@pytest.mark.parametrize(
    ("number", "data"),
    [(0, b"\x00"), (127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02")],
)
def test_numbers_are_written_in_base_128(number: int, data: bytes) -> None:
    assert varint(number) == data
