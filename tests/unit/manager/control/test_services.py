"""Services through the API: creation, updates, roll-back, removal, filters and counts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from swarmd.model.errors import Code, Rejection
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.instant import SECOND
from swarmd.model.spec import GlobalMode, ReplicatedJob, ServiceMode, ServiceSpec, UpdateConfig
from swarmd.model.states import TaskState, UpdateState
from swarmd.model.task import Task, TaskStatus
from swarmd.rpc.convert import service_spec_to_pb
from swarmd.rpc.pb import control, types
from swarmd.store.changes import Create
from tests.support.api import Api
from tests.support.specs import a_container, a_spec, a_task_spec, published

PREVIOUS = control.UpdateServiceRequest.PREVIOUS


@pytest.fixture
def api() -> Api:
    return Api()


async def create(api: Api, spec: ServiceSpec) -> Any:
    request = control.CreateServiceRequest(spec=service_spec_to_pb(spec))
    return (await api.call("CreateService", request)).service


def changed(service: Any, **fields: Any) -> control.UpdateServiceRequest:
    """A request that replaces parts of the service's spec, based on its version."""
    spec = a_spec(service.spec.annotations.name, **fields)
    return control.UpdateServiceRequest(
        service_id=service.id,
        service_version=service.meta.version,
        spec=service_spec_to_pb(spec),
    )


async def refused(api: Api, method: str, request: Any) -> Rejection:
    with pytest.raises(Rejection) as refusal:
        await api.call(method, request)
    return refusal.value


async def test_a_created_service_is_answered_as_stored(api):
    answer = await create(api, a_spec("web", replicas=3))
    stored = api.store.get_service("id1")
    assert stored.spec == a_spec("web", replicas=3)
    assert (answer.id, answer.meta.version.index) == ("id1", stored.version)
    assert answer.spec.replicated.replicas == 3


async def test_a_service_without_a_spec_is_refused(api):
    refusal = await refused(api, "CreateService", control.CreateServiceRequest())
    assert refusal == Rejection(Code.INVALID_ARGUMENT, "invalid argument: spec is missing")


async def test_names_are_unique_without_regard_to_case(api):
    await create(api, a_spec("web"))
    refusal = await refused(
        api, "CreateService", control.CreateServiceRequest(spec=service_spec_to_pb(a_spec("WEB")))
    )
    assert refusal.code is Code.ALREADY_EXISTS
    assert "name conflicts with an existing object" in refusal.message


async def test_what_a_process_cannot_have_is_refused_by_name(api):
    spec = service_spec_to_pb(a_spec())
    spec.task.container.privileges.no_new_privileges = True
    refusal = await refused(api, "CreateService", control.CreateServiceRequest(spec=spec))
    assert "container.privileges" in refusal.message
    assert api.store.services() == ()


async def test_a_job_begins_its_next_run_with_each_update(api):
    mode = ServiceMode(replicated_job=ReplicatedJob(total_completions=2))
    spec = service_spec_to_pb(a_spec(mode=mode))
    created = await api.call("CreateService", control.CreateServiceRequest(spec=spec))
    assert created.service.job_status.job_iteration.index == 0
    request = control.UpdateServiceRequest(
        service_id=created.service.id, service_version=created.service.meta.version, spec=spec
    )
    updated = await api.call("UpdateService", request)
    assert updated.service.job_status.job_iteration.index == 1


async def test_a_job_with_update_settings_is_refused(api):
    mode = ServiceMode(replicated_job=ReplicatedJob())
    spec = service_spec_to_pb(a_spec(mode=mode, update_config=UpdateConfig(parallelism=2)))
    refusal = await refused(api, "CreateService", control.CreateServiceRequest(spec=spec))
    assert refusal.code is Code.INVALID_ARGUMENT
    assert "update config cannot be used with mode replicated-job" in refusal.message


async def test_an_oversized_spec_is_refused(api):
    env = tuple(f"A{number}={'x' * 1000}" for number in range(1100))
    spec = a_spec(task_template=a_task_spec(container_spec=a_container(env=env)))
    refusal = await refused(
        api, "CreateService", control.CreateServiceRequest(spec=service_spec_to_pb(spec))
    )
    assert "the encoded service spec" in refusal.message


async def test_a_published_port_belongs_to_one_service(api):
    await create(api, a_spec("web", endpoint_spec=published(8080)))
    other = a_spec("other", endpoint_spec=published(8080))
    refusal = await refused(
        api, "CreateService", control.CreateServiceRequest(spec=service_spec_to_pb(other))
    )
    assert "port '8080' is already in use by service 'web' (id1)" in refusal.message


async def test_two_services_asking_for_one_port_at_once_do_not_both_get_it(api):
    outcomes: list[object] = []

    async def ask(name: str) -> None:
        try:
            outcomes.append((await create(api, a_spec(name, endpoint_spec=published(80)))).id)
        except Rejection as rejection:
            outcomes.append(rejection.code)

    async with asyncio.TaskGroup() as group:
        group.create_task(ask("one"))
        group.create_task(ask("two"))
    assert Code.INVALID_ARGUMENT in outcomes
    assert len(api.store.services()) == 1


async def test_an_update_keeps_the_previous_spec_and_forgets_the_last_update(api):
    before = await create(api, a_spec("web"))
    answer = (await api.call("UpdateService", changed(before, replicas=5))).service
    stored = api.store.get_service("id1")
    assert stored.spec.mode.replicated.replicas == 5
    assert stored.previous_spec == a_spec("web")
    assert stored.spec_version == before.meta.version.index
    assert stored.update_status is None
    assert answer.meta.version.index == stored.version > before.meta.version.index


async def test_every_update_gets_a_spec_version_of_its_own(api):
    service = await create(api, a_spec("web"))
    seen = {service.spec_version.index}
    for replicas in range(2, 6):
        service = (await api.call("UpdateService", changed(service, replicas=replicas))).service
        assert service.spec_version.index not in seen
        seen.add(service.spec_version.index)


async def test_an_update_of_an_old_version_is_out_of_sequence(api):
    service = await create(api, a_spec("web"))
    await api.call("UpdateService", changed(service, replicas=5))
    refusal = await refused(api, "UpdateService", changed(service, replicas=6))
    assert refusal == Rejection(Code.UNKNOWN, "update out of sequence")
    assert api.store.get_service("id1").spec.mode.replicated.replicas == 5


async def test_an_update_needs_an_id_a_version_and_a_spec(api):
    service = await create(api, a_spec("web"))
    for field in ("service_id", "service_version", "spec"):
        request = changed(service)
        request.ClearField(field)
        refusal = await refused(api, "UpdateService", request)
        assert refusal.code is Code.INVALID_ARGUMENT
        assert refusal.message.startswith("invalid argument")


async def test_a_service_may_keep_its_own_port_and_not_take_anothers(api):
    await create(api, a_spec("web", endpoint_spec=published(80)))
    other = await create(api, a_spec("other", endpoint_spec=published(81)))
    other = (
        await api.call("UpdateService", changed(other, endpoint_spec=published(81), replicas=2))
    ).service
    refusal = await refused(api, "UpdateService", changed(other, endpoint_spec=published(80)))
    assert "port '80' is already in use" in refusal.message


async def test_a_roll_back_swaps_the_specs_and_says_who_asked(api):
    service = await create(api, a_spec("web", replicas=1))
    service = (await api.call("UpdateService", changed(service, replicas=2))).service
    api.clock.advance(SECOND)
    request = control.UpdateServiceRequest(
        service_id=service.id, service_version=service.meta.version, rollback=PREVIOUS
    )
    answer = (await api.call("UpdateService", request)).service
    stored = api.store.get_service("id1")
    assert stored.spec == a_spec("web", replicas=1)
    assert stored.previous_spec == a_spec("web", replicas=2)
    assert stored.update_status is not None
    assert stored.update_status.state is UpdateState.ROLLBACK_STARTED
    assert stored.update_status.started_at == api.clock.now()
    assert answer.update_status.message == "manually requested rollback"


async def test_nothing_can_be_rolled_back_before_an_update(api):
    service = await create(api, a_spec("web"))
    request = control.UpdateServiceRequest(
        service_id=service.id, service_version=service.meta.version, rollback=PREVIOUS
    )
    refusal = await refused(api, "UpdateService", request)
    assert refusal.code is Code.FAILED_PRECONDITION
    assert "no previous spec" in refusal.message


async def test_a_removed_service_is_gone(api):
    await create(api, a_spec("web"))
    await api.call("RemoveService", control.RemoveServiceRequest(service_id="id1"))
    assert api.store.services() == ()
    request = control.RemoveServiceRequest(service_id="id1")
    assert await refused(api, "RemoveService", request) == Rejection(
        Code.NOT_FOUND, "service id1 not found"
    )


@pytest.mark.parametrize("method", ["GetService", "RemoveService"])
async def test_an_empty_id_is_an_invalid_argument(api, method):
    request = getattr(control, f"{method}Request")()
    assert (await refused(api, method, request)).code is Code.INVALID_ARGUMENT


async def test_defaults_are_shown_on_request_and_never_stored(api):
    await create(api, a_spec("web"))
    plain = await api.call("GetService", control.GetServiceRequest(service_id="id1"))
    assert not plain.service.spec.HasField("update")
    full = await api.call(
        "GetService", control.GetServiceRequest(service_id="id1", insert_defaults=True)
    )
    spec = full.service.spec
    assert spec.task.container.stop_grace_period.seconds == 10
    assert spec.task.restart.condition == types.RestartPolicy.ANY
    assert spec.task.restart.delay.seconds == 5
    assert (spec.update.parallelism, spec.update.monitor.seconds) == (1, 5)
    assert (spec.rollback.parallelism, spec.rollback.monitor.seconds) == (1, 5)
    assert api.store.get_service("id1").spec == a_spec("web")


async def test_reads_wait_for_what_was_acknowledged(api):
    await api.call("ListServices", control.ListServicesRequest())
    assert api.barriers == 1


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, ["web", "api", "api-2"]),
        ({"names": ["web", "api"]}, ["web", "api"]),
        ({"names": ["WEB"]}, []),
        ({"name_prefixes": ["api"]}, ["api", "api-2"]),
        ({"id_prefixes": ["id1"]}, ["web"]),
        ({"labels": {"tier": ""}}, ["web", "api"]),
        ({"labels": {"tier": "front"}}, ["web"]),
        ({"name_prefixes": ["api"], "labels": {"tier": "back"}}, ["api"]),
        ({"runtimes": ["container"]}, ["web", "api", "api-2"]),
        ({"runtimes": ["plugin"]}, []),
    ],
)
async def test_services_are_filtered(api, filters, found):
    await create(api, a_spec("web", labels={"tier": "front"}))
    await create(api, a_spec("api", labels={"tier": "back"}))
    await create(api, a_spec("api-2"))
    request = control.ListServicesRequest(filters=control.ListServicesRequest.Filters(**filters))
    answer = await api.call("ListServices", request)
    assert [service.spec.annotations.name for service in answer.services] == found


def add_task(api: Api, name: str, state: TaskState, desired: TaskState) -> None:
    api.writer.write(
        Create(
            Task(
                id=TaskId(name),
                service_id=ServiceId("id1"),
                slot=int(name[1:]),
                node_id=NodeId("n1"),
                desired_state=desired,
                status=TaskStatus(state=state),
            )
        )
    )


async def test_counts_of_services_come_without_their_tasks(api):
    await create(api, a_spec("web", replicas=4))
    add_task(api, "t1", TaskState.RUNNING, TaskState.RUNNING)
    add_task(api, "t2", TaskState.STARTING, TaskState.RUNNING)
    add_task(api, "t3", TaskState.FAILED, TaskState.SHUTDOWN)
    answer = await api.call(
        "ListServiceStatuses", control.ListServiceStatusesRequest(services=["id1", "nobody"])
    )
    first, second = answer.statuses
    assert (first.desired_tasks, first.running_tasks) == (4, 1)
    assert (second.service_id, second.desired_tasks, second.running_tasks) == ("nobody", 0, 0)


async def test_a_global_service_wants_as_many_tasks_as_it_was_given(api):
    await create(api, a_spec("web", mode=ServiceMode(global_=GlobalMode())))
    add_task(api, "t1", TaskState.RUNNING, TaskState.RUNNING)
    add_task(api, "t2", TaskState.NEW, TaskState.RUNNING)
    add_task(api, "t3", TaskState.RUNNING, TaskState.SHUTDOWN)
    answer = await api.call(
        "ListServiceStatuses", control.ListServiceStatusesRequest(services=["id1"])
    )
    assert (answer.statuses[0].desired_tasks, answer.statuses[0].running_tasks) == (2, 1)
