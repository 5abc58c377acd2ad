"""Pausing, resuming and going back through the API, over a store without planner."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from swarmd.model.errors import Code, Rejection
from swarmd.model.instant import Instant
from swarmd.model.service import UpdateStatus
from swarmd.model.states import UpdateState
from swarmd.rpc.convert import service_spec_to_pb
from swarmd.rpc.pb import control, types, updates
from swarmd.store.changes import Update
from tests.support.api import Api
from tests.support.specs import a_spec, published


@pytest.fixture
async def api() -> Api:
    """A service that was updated from one to two to three replicas."""
    api = Api()
    spec = service_spec_to_pb(a_spec("web"))
    await api.call("CreateService", control.CreateServiceRequest(spec=spec))
    for replicas in (2, 3):
        await update(api, replicas=replicas)
    return api


async def update(api: Api, **fields: Any) -> None:
    request = control.UpdateServiceRequest(
        service_id="id1",
        service_version=version(api),
        spec=service_spec_to_pb(a_spec("web", **fields)),
    )
    await api.call("UpdateService", request)


def version(api: Api) -> types.Version:
    return types.Version(index=api.store.get_service("id1").version)


def put_state(api: Api, state: UpdateState) -> None:
    service = api.store.get_service("id1")
    status = UpdateStatus(state=state, started_at=Instant(5), message="due to failure", failures=3)
    api.writer.write(Update(replace(service, update_status=status), service.version))


def status(api: Api) -> UpdateStatus | None:
    return api.store.get_service("id1").update_status


async def refused(api: Api, method: str, request: Any) -> Rejection:
    with pytest.raises(Rejection) as refusal:
        await api.call(method, request)
    return refusal.value


@pytest.mark.parametrize(
    ("active", "paused"),
    [
        (UpdateState.UPDATING, UpdateState.PAUSED),
        (UpdateState.ROLLBACK_STARTED, UpdateState.ROLLBACK_PAUSED),
    ],
)
async def test_an_update_is_paused_and_resumed(api, active, paused):
    put_state(api, active)
    request = updates.PauseUpdateRequest(service_id="id1", service_version=version(api))
    await api.call("PauseUpdate", request)
    assert status(api).state is paused
    assert status(api).message.endswith("paused by a user")
    assert status(api).failures == 3
    request = updates.ResumeUpdateRequest(service_id="id1", service_version=version(api))
    await api.call("ResumeUpdate", request)
    assert status(api).state is active
    assert (status(api).started_at, status(api).resumed_at) == (5, api.clock.now())
    assert status(api).failures == 0


@pytest.mark.parametrize("method", ["PauseUpdate", "ResumeUpdate"])
@pytest.mark.parametrize("state", [None, UpdateState.COMPLETED, UpdateState.ROLLBACK_COMPLETED])
async def test_an_update_that_is_over_can_be_neither_paused_nor_resumed(api, method, state):
    if state is not None:
        put_state(api, state)
    message = getattr(updates, f"{method}Request")
    refusal = await refused(api, method, message(service_id="id1", service_version=version(api)))
    assert refusal.code is Code.FAILED_PRECONDITION
    assert "service web has no" in refusal.message


@pytest.mark.parametrize("method", ["PauseUpdate", "ResumeUpdate", "RollBackService"])
async def test_a_call_based_on_an_old_service_is_out_of_sequence(api, method):
    put_state(api, UpdateState.UPDATING)
    message = getattr(updates, f"{method}Request")
    request = message(service_id="id1", service_version=types.Version(index=1))
    refusal = await refused(api, method, request)
    assert "update out of sequence" in refusal.message


async def test_every_update_is_remembered_and_each_version_can_be_gone_back_to(api):
    service = api.store.get_service("id1")
    first = service.history[-1]
    assert [past.spec.mode.replicated.replicas for past in service.history] == [2, 1]
    request = updates.RollBackServiceRequest(service_id="id1", service_version=version(api))
    request.spec_version.index = first.spec_version
    await api.call("RollBackService", request)
    now = api.store.get_service("id1")
    assert (now.spec, now.spec_version) == (first.spec, first.spec_version)
    assert [past.spec.mode.replicated.replicas for past in now.history] == [3, 2]
    assert status(api).state is UpdateState.ROLLBACK_STARTED


async def test_without_a_version_the_previous_spec_is_meant(api):
    request = updates.RollBackServiceRequest(service_id="id1", service_version=version(api))
    await api.call("RollBackService", request)
    assert api.store.get_service("id1").spec.mode.replicated.replicas == 2


async def test_a_version_that_is_not_remembered_is_refused_with_those_that_are(api):
    request = updates.RollBackServiceRequest(service_id="id1", service_version=version(api))
    request.spec_version.index = 999
    refusal = await refused(api, "RollBackService", request)
    known = ", ".join(str(v.spec_version) for v in api.store.get_service("id1").history)
    assert refusal == Rejection(
        Code.FAILED_PRECONDITION,
        f"version 999 of service web is not remembered; versions to go back to: {known}",
    )
    request.spec_version.index = api.store.get_service("id1").spec_version
    refusal = await refused(api, "RollBackService", request)
    assert refusal.code is Code.INVALID_ARGUMENT


async def test_a_port_that_another_service_took_meanwhile_cannot_be_gone_back_to(api):
    await update(api, endpoint_spec=published(8080))
    await update(api)
    other = service_spec_to_pb(a_spec("other", endpoint_spec=published(8080)))
    await api.call("CreateService", control.CreateServiceRequest(spec=other))
    request = updates.RollBackServiceRequest(service_id="id1", service_version=version(api))
    refusal = await refused(api, "RollBackService", request)
    assert "port '8080' is already in use" in refusal.message


async def test_lists_leave_the_history_out(api):
    listed = (await api.call("ListServices", control.ListServicesRequest())).services
    assert [len(service.history) for service in listed] == [0]
    one = await api.call("GetService", control.GetServiceRequest(service_id="id1"))
    assert len(one.service.history) == 2
