"""Explanations of services and tasks, over a swarm in virtual time."""

from __future__ import annotations

from msgspec.structs import replace

from swarmd.model.instant import SECOND
from swarmd.model.service import Service
from swarmd.model.spec import GlobalMode, Placement, RestartPolicy, ServiceMode
from swarmd.model.states import (
    Availability,
    FailureAction,
    NodeState,
    RestartCondition,
    TaskState,
)
from swarmd.orchestrator.explain import NAMED_MAX, Explanation, explain_service, explain_task
from tests.support.cluster import Swarm, a_service_spec, a_task_spec

SSD = Placement(constraints=("node.labels.disk==ssd",))


def explained(swarm: Swarm, service_id: str) -> Explanation:
    service = swarm.store.get_service(service_id)
    return explain_service(service, swarm.store, swarm.now)


def fails(task: object) -> TaskState:
    return TaskState.FAILED


def test_a_service_that_runs_needs_no_remedy():
    swarm = Swarm(nodes=2)
    web = swarm.create(a_service_spec("web", replicas=2))
    swarm.converge()
    answer = explained(swarm, web)
    assert answer.reasons == (
        "2 of 2 tasks of web run",
        "one more task fits on 2 of 2 nodes",
    )
    assert (answer.causes, answer.findings, answer.remedies) == ((), (), ())


def test_tasks_that_no_node_takes_share_a_cause_and_each_filter_names_its_nodes():
    swarm = Swarm(nodes=3)
    swarm.set_node("n1", availability=Availability.DRAIN)
    web = swarm.create(a_service_spec("web", replicas=2, task=a_task_spec(placement=SSD)))
    swarm.converge()
    answer = explained(swarm, web)
    (cause,) = answer.causes
    assert (cause.tasks, cause.count) == (("web.1", "web.2"), 2)
    assert cause.reason.startswith("no suitable node (scheduling constraints not satisfied on 2")
    assert [(item.filter, item.nodes) for item in answer.findings] == [
        ("constraints", ("n2", "n3")),
        ("not ready", ("n1",)),
    ]
    assert (answer.running, answer.wanted, answer.able, answer.nodes) == (0, 2, 0, 3)
    assert answer.remedies == (
        "add a node with node.labels.disk==ssd or relax the constraints",
        "bring nodes back or set their availability to active",
    )


def test_a_swarm_without_nodes_says_so():
    swarm = Swarm(nodes=0)
    web = swarm.create(a_service_spec("web"))
    swarm.converge()
    assert explained(swarm, web).reasons[-1] == "the swarm has no nodes"


def test_room_counts_what_the_service_already_reserves():
    swarm = Swarm(nodes=2)
    web = swarm.create(a_service_spec("web", replicas=1, task=a_task_spec(cpus=3)))
    swarm.converge()
    answer = explained(swarm, web)
    assert answer.able == 1
    assert answer.reasons[-1] == (
        "one more task fits on 1 of 2 nodes (insufficient resources on 1 node)"
    )
    assert answer.remedies == ()  # nothing is missing, so nothing has to be done


def test_a_task_that_waits_after_a_failure_says_how_long_and_what_failed():
    swarm = Swarm(nodes=1)
    web = swarm.create(a_service_spec("web"))
    swarm.converge()
    (first,) = swarm.tasks(web)
    swarm.report(first, TaskState.FAILED, "boom")
    swarm.rest()
    (cause,) = explained(swarm, web).causes
    assert cause.reason == "starts in 5.0 s, after the last attempt failed: boom"
    assert "see what the tasks print: swarmd service logs web" in explained(swarm, web).remedies


def test_a_task_that_fails_before_its_start_is_tried_again_when_that_was_due():
    swarm = Swarm(nodes=1)
    swarm.fate = fails
    web = swarm.create(a_service_spec("web"))
    swarm.rest()
    (cause,) = explained(swarm, web).causes
    assert cause.reason.startswith("failed: boom; tried again in ")


def test_a_slot_whose_restarts_are_used_up_says_so_and_how_to_start_again():
    swarm = Swarm(nodes=1)
    swarm.fate = fails
    policy = RestartPolicy(condition=RestartCondition.ON_FAILURE, max_attempts=2, delay_ns=0)
    web = swarm.create(a_service_spec("web", task=a_task_spec(restart_policy=policy)))
    swarm.converge()
    answer = explained(swarm, web)
    assert [cause.reason for cause in answer.causes] == ["failed: boom; its 2 restarts are used up"]
    assert answer.remedies[-1] == ("start the ended tasks again: swarmd service update --force web")


def test_a_task_that_is_not_restarted_by_policy_says_so():
    swarm = Swarm(nodes=1)
    swarm.fate = lambda task: TaskState.COMPLETE
    policy = RestartPolicy(condition=RestartCondition.ON_FAILURE)
    web = swarm.create(a_service_spec("web", task=a_task_spec(restart_policy=policy)))
    swarm.converge()
    (cause,) = explained(swarm, web).causes
    assert cause.reason == "complete: complete; its restart condition is on-failure"


def test_a_paused_update_says_why_and_both_ways_out():
    swarm = Swarm(nodes=1)
    spec = a_service_spec("web")
    web = swarm.create(spec)
    swarm.converge()
    swarm.fate = lambda task: TaskState.FAILED if task.spec_version else None
    config = replace(swarm.store.get_service(web).spec, task_template=a_task_spec(image="web:2"))
    swarm.update(web, config)
    swarm.advance(10 * SECOND)
    service = swarm.store.get_service(web)
    assert service.update_status is not None
    assert FailureAction.PAUSE.value in service.update_status.message
    answer = explained(swarm, web)
    assert any(reason.startswith("its last update is paused:") for reason in answer.reasons)
    assert "swarmd service rollback web" in answer.remedies[-1]


def test_many_tasks_of_one_cause_are_counted_and_a_few_are_named():
    swarm = Swarm(nodes=1)
    count = NAMED_MAX + 3
    web = swarm.create(a_service_spec("web", replicas=count, task=a_task_spec(placement=SSD)))
    swarm.converge()
    answer = explained(swarm, web)
    (cause,) = answer.causes
    assert (len(cause.tasks), cause.count) == (NAMED_MAX, count)
    assert f"web.{NAMED_MAX} and 3 more: no suitable node" in answer.reasons[1]


def test_a_global_service_wants_one_task_for_each_fitting_node():
    swarm = Swarm(nodes=3)
    swarm.set_node("n3", availability=Availability.PAUSE)
    mode = ServiceMode(global_=GlobalMode())
    web = swarm.create(a_service_spec("web", mode=mode))
    swarm.converge()
    answer = explained(swarm, web)
    assert answer.reasons[0] == "2 of 2 tasks of web run"


def test_a_service_without_tasks_yet_says_that_they_will_be_made():
    swarm = Swarm(nodes=1)
    service = Service(id=swarm.create(a_service_spec("web", replicas=3)), spec=a_service_spec())
    assert "3 tasks are yet to be made" in explained(swarm, service.id).reasons


def test_a_failed_task_names_the_one_in_its_place():
    swarm = Swarm(nodes=1)
    web = swarm.create(a_service_spec("web"))
    swarm.converge()
    (first,) = swarm.tasks(web)
    swarm.report(first, TaskState.FAILED, "exit code 3")
    swarm.converge()
    second = next(task for task in swarm.tasks(web) if task.id != first.id)
    service = swarm.store.get_service(web)
    answer = explain_task(swarm.store.get_task(first.id), service, swarm.store, swarm.now)
    assert answer.reasons[:3] == (
        f"task web.1 ({first.id}) is failed on n1, wanted shutdown",
        "failed: exit code 3",
        f"task {second.id} has taken its place",
    )


def test_a_running_task_needs_no_reason():
    swarm = Swarm(nodes=1)
    web = swarm.create(a_service_spec("web"))
    swarm.converge()
    (task,) = swarm.tasks(web)
    answer = explain_task(task, swarm.store.get_service(web), swarm.store, swarm.now)
    assert answer.reasons[:2] == (
        f"task web.1 ({task.id}) is running on n1, wanted running",
        "1 of 1 tasks of web run",
    )


def test_what_the_scheduler_knows_of_the_nodes_gives_the_same_answer() -> None:
    swarm = Swarm(nodes=3)
    web = swarm.create(a_service_spec(replicas=5, task=a_task_spec(cpus=1)))
    big = swarm.create(a_service_spec("big", replicas=4, task=a_task_spec(cpus=3)))
    swarm.converge()
    swarm.set_node("n2", state=NodeState.DOWN)
    swarm.settle()
    assert swarm.planner is not None
    for service_id in (web, big):
        service = swarm.store.get_service(service_id)
        asked = explain_service(service, swarm.store, swarm.now, swarm.planner.fleet)
        assert asked == explain_service(service, swarm.store, swarm.now)
