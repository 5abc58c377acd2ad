"""What flags do to a spec."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from swarmd.cli.changes import Changes, apply, scaled
from swarmd.model.spec import (
    ContainerSpec,
    EndpointSpec,
    GlobalMode,
    LogDriver,
    Placement,
    PortConfig,
    Resources,
    RestartPolicy,
    ServiceMode,
    ServiceSpec,
    UpdateConfig,
)
from swarmd.model.states import (
    FailureAction,
    Protocol,
    ResolutionMode,
    RestartCondition,
    UpdateOrder,
)
from tests.support.specs import a_container, a_spec, a_task_spec


def container_of(spec: ServiceSpec) -> ContainerSpec:
    container = spec.task_template.container_spec
    assert container is not None
    return container


def with_container(**fields: object) -> ServiceSpec:
    return a_spec(task_template=a_task_spec(container_spec=a_container(**fields)))


def test_no_flags_change_nothing():
    spec = a_spec(labels={"a": "b"}, endpoint_spec=EndpointSpec(ports=(PortConfig(target_port=1),)))
    assert apply(spec, Changes()) == spec


def test_labels_are_removed_before_they_are_added():
    spec = a_spec(labels={"a": "1", "b": "2", "c": "3"})
    changed = apply(spec, Changes(labels={"b": "new"}, labels_removed=("a", "b")))
    assert changed.labels == {"b": "new", "c": "3"}


def test_a_variable_that_is_set_again_keeps_its_place():
    spec = with_container(env=("A=1", "B=2", "C=3"))
    changed = apply(spec, Changes(env=("A=9", "D=4"), env_removed=("B",)))
    assert container_of(changed).env == ("A=9", "C=3", "D=4")


def test_container_fields_are_replaced_and_lists_extended():
    spec = with_container(groups=("a", "b"), labels={"x": "1"})
    changed = container_of(
        apply(
            spec,
            Changes(
                container={"user": "nobody", "image": "nginx"},
                container_labels={"y": "2"},
                container_labels_removed=("x",),
                groups=("c",),
                groups_removed=("a",),
            ),
        )
    )
    assert (changed.user, changed.image) == ("nobody", "nginx")
    assert changed.labels == {"y": "2"}
    assert changed.groups == ("b", "c")


def test_resources_change_one_by_one():
    spec = apply(a_spec(), Changes(limits={"nano_cpus": 1, "pids": 5}))
    spec = apply(spec, Changes(limits={"memory_bytes": 2}, reservations={"nano_cpus": 3}))
    resources = spec.task_template.resources
    assert resources is not None
    assert resources.limits == Resources(nano_cpus=1, memory_bytes=2, pids=5)
    assert resources.reservations == Resources(nano_cpus=3)


def test_a_restart_policy_begins_as_the_default():
    task = apply(a_spec(), Changes(restart={"max_attempts": 3})).task_template
    assert task.restart_policy == RestartPolicy(condition=RestartCondition.ANY, max_attempts=3)


def test_an_update_policy_begins_with_one_task_at_a_time():
    spec = apply(a_spec(), Changes(update={"order": UpdateOrder.START_FIRST}))
    assert spec.update_config == UpdateConfig(parallelism=1, order=UpdateOrder.START_FIRST)
    assert spec.rollback_config is None
    spec = apply(spec, Changes(update={"parallelism": 0}, rollback={"delay_ns": 5}))
    assert spec.update_config == UpdateConfig(parallelism=0, order=UpdateOrder.START_FIRST)
    assert spec.rollback_config == UpdateConfig(
        parallelism=1, delay_ns=5, failure_action=FailureAction.PAUSE
    )


def test_constraints_are_a_set_that_keeps_its_order():
    spec = a_spec(task_template=a_task_spec(placement=Placement(constraints=("a==1", "b==2"))))
    changes = Changes(constraints=("b==2", "c==3"), constraints_removed=("a==1",), max_replicas=2)
    assert apply(spec, changes).task_template.placement == Placement(
        constraints=("b==2", "c==3"), max_replicas=2
    )


def test_ports_are_removed_by_target_and_by_published_port_where_given():
    first, second = (PortConfig(target_port=80, published_port=n) for n in (8080, 8081))
    udp = PortConfig(target_port=80, published_port=8080, protocol=Protocol.UDP)
    spec = a_spec(endpoint_spec=EndpointSpec(ports=(first, second, udp)))

    def left(*removed: PortConfig) -> tuple[PortConfig, ...]:
        endpoint = apply(spec, Changes(ports_removed=removed)).endpoint_spec
        assert endpoint is not None
        return endpoint.ports

    assert left(PortConfig(target_port=80)) == (udp,)
    assert left(PortConfig(target_port=80, published_port=8081)) == (first, udp)
    assert left(PortConfig(target_port=81)) == (first, second, udp)


def test_ports_are_added_once():
    added = PortConfig(target_port=80, published_port=8080)
    spec = apply(a_spec(), Changes(ports=(added,), endpoint_mode=ResolutionMode.VIP))
    assert apply(spec, Changes(ports=(added,))) == spec
    assert spec.endpoint_spec == EndpointSpec(ports=(added,))


def test_log_options_belong_to_their_driver():
    spec = apply(a_spec(), Changes(log_options={"max-size": "1m"}))
    assert spec.task_template.log_driver == LogDriver(name="json-file", options={"max-size": "1m"})
    spec = apply(spec, Changes(log_driver="none"))
    assert spec.task_template.log_driver == LogDriver(name="none")


def test_force_makes_the_task_spec_another_one():
    assert apply(a_spec(), Changes(force=True)).task_template.force_update == 1


def test_only_replicated_services_have_replicas():
    assert scaled(a_spec(), 4) == a_spec(replicas=4)
    everywhere = replace(a_spec(), mode=ServiceMode(global_=GlobalMode()))
    with pytest.raises(ValueError, match="global"):
        scaled(everywhere, 4)
    with pytest.raises(ValueError, match="global"):
        apply(everywhere, Changes(replicas=4))
