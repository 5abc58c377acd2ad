"""Tasks through the API: reading, filters, removal."""

from __future__ import annotations

from typing import Any

import pytest

from swarmd.model.errors import Code, Rejection
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.service import Service
from swarmd.model.states import TaskState
from swarmd.model.task import Task
from swarmd.rpc.pb import control
from swarmd.store.changes import Create
from tests.support.api import Api
from tests.support.specs import a_container, a_spec, a_task_spec

NEW = a_task_spec()
OLD = a_task_spec(container_spec=a_container(command=("old",)))


@pytest.fixture
def api() -> Api:
    api = Api()
    spec = a_spec("web", task_template=NEW)
    tasks = (
        a_task("t1", slot=1, spec=NEW, spec_version=7, desired=TaskState.RUNNING),
        a_task("t2", slot=2, spec=OLD, spec_version=5, desired=TaskState.SHUTDOWN, node="n2"),
        a_task("t3", slot=3, spec=NEW, spec_version=5, desired=TaskState.RUNNING),
        a_task("x1", slot=1, spec=OLD, spec_version=7, service="gone"),
    )
    api.writer.write(
        Create(Service(id=ServiceId("web"), spec=spec, spec_version=7)),
        *(Create(task) for task in tasks),
    )
    return api


def a_task(name: str, *, service: str = "web", node: str = "n1", **fields: Any) -> Task:
    desired = fields.pop("desired", TaskState.RUNNING)
    return Task(
        id=TaskId(name),
        service_id=ServiceId(service),
        service_name=service,
        service_labels={"of": service},
        node_id=NodeId(node),
        desired_state=desired,
        **fields,
    )


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, ["t1", "t2", "t3", "x1"]),
        ({"names": ["web.1.t1"]}, ["t1"]),
        ({"name_prefixes": ["web.", "gone."]}, ["t1", "t2", "t3", "x1"]),
        ({"id_prefixes": ["t"]}, ["t1", "t2", "t3"]),
        ({"labels": {"of": "gone"}}, ["x1"]),
        ({"service_ids": ["web"]}, ["t1", "t2", "t3"]),
        ({"service_ids": ["gone", "web", "web"]}, ["x1", "t1", "t2", "t3"]),
        ({"node_ids": ["n2"]}, ["t2"]),
        ({"service_ids": ["web"], "node_ids": ["n1"]}, ["t1", "t3"]),
        ({"desired_states": [TaskState.SHUTDOWN.value]}, ["t2"]),
        ({"runtimes": ["attachment"]}, []),
        # A task of an older spec version that would be made the same way today is up to date.
        ({"up_to_date": True}, ["t1", "t3"]),
    ],
)
async def test_tasks_are_filtered(api, filters, found):
    request = control.ListTasksRequest(filters=control.ListTasksRequest.Filters(**filters))
    assert [task.id for task in (await api.call("ListTasks", request)).tasks] == found


async def test_a_task_is_read_with_its_spec(api):
    task = (await api.call("GetTask", control.GetTaskRequest(task_id="t2"))).task
    assert list(task.spec.container.command) == ["old"]
    assert (task.slot, task.service_id, task.node_id) == (2, "web", "n2")


async def test_a_removed_task_is_gone_at_once(api):
    await api.call("RemoveTask", control.RemoveTaskRequest(task_id="t1"))
    assert api.store.find_task("t1") is None


@pytest.mark.parametrize("method", ["GetTask", "RemoveTask"])
async def test_an_unknown_task_is_not_found(api, method):
    request = getattr(control, f"{method}Request")(task_id="nobody")
    with pytest.raises(Rejection) as refusal:
        await api.call(method, request)
    assert refusal.value == Rejection(Code.NOT_FOUND, "task nobody not found")
