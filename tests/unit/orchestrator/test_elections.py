"""A leader lost at any moment: the next one, knowing the store alone, comes to the same end.

Each operation is told twice, once by one leader and once with a new one before and after every
pass. What may differ are times; what the swarm has come to may not.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from swarmd.model.ids import ServiceId
from swarmd.model.instant import SECOND, Instant
from swarmd.model.spec import (
    Cron,
    GlobalJob,
    ReplicatedJob,
    RestartPolicy,
    ServiceMode,
    ServiceSpec,
    Stateful,
)
from swarmd.model.states import NodeState, RestartCondition, StartOrder, TaskState
from swarmd.model.task import Task
from tests.support.cluster import Swarm, a_node, a_service_spec, a_task_spec

Story = Callable[["Told"], None]
RETRY = RestartPolicy(condition=RestartCondition.ON_FAILURE, delay_ns=SECOND, max_attempts=2)
BACK_OFF = RestartPolicy(delay_ns=SECOND, max_delay_ns=8 * SECOND)


class Told:
    """A swarm in which a story happens, with elections around each pass or without."""

    def __init__(self, *, elections: bool) -> None:
        self.swarm = Swarm(nodes=3)
        self.elections = elections
        self.service = ServiceId("s-x")

    def create(self, mode: ServiceMode, policy: RestartPolicy = RETRY) -> None:
        self.service = self.swarm.create(spec_of(mode, policy))

    def update(self, change: Callable[[ServiceSpec], ServiceSpec]) -> None:
        self.swarm.update(self.service, change(self.swarm.store.get_service(self.service).spec))
        self.go_on()

    def go_on(self, seconds: int = 40) -> None:
        """Let everything happen that happens in this time."""
        until = self.swarm.now + seconds * SECOND
        while True:
            for number in range(400):
                # Who waited for a deadline is there when it comes: the wait for a lease is a
                # leader's own, so leaders that follow each other faster never see its end.
                if number:
                    self._elect()
                planned = self.swarm.plan()
                self._elect()
                if not self.swarm.step() and not planned:
                    break
            self.swarm.plan()
            at = self.swarm.deadline
            if at is None or at > until:
                break
            self.swarm.now = Instant(max(at, self.swarm.now))
        self.swarm.now = Instant(max(until, self.swarm.now))

    def _elect(self) -> None:
        if self.elections:
            self.swarm.elect()

    def outcome(self) -> tuple[object, ...]:
        """Ends of tasks by place, and what runs."""
        tasks = sorted(
            (t.slot, t.node_id if not t.slot else "", t.job_iteration or 0, t.status.state.word,
             t.desired_state.word)
            for t in self.swarm.tasks(self.service)
        )  # fmt: skip
        return tuple(tasks)


def spec_of(mode: ServiceMode, policy: RestartPolicy) -> ServiceSpec:
    return a_service_spec("x", mode=mode, task=a_task_spec(restart_policy=policy))


def finishing(task: Task) -> TaskState | None:
    return TaskState.COMPLETE if task.status.state is TaskState.RUNNING else None


def failing_in_slot_2(task: Task) -> TaskState | None:
    if task.status.state is not TaskState.RUNNING:
        return None
    return TaskState.FAILED if task.slot == 2 else TaskState.COMPLETE


def a_job_with_a_place_that_fails(told: Told) -> None:
    told.swarm.fate = failing_in_slot_2
    told.create(ServiceMode(replicated_job=ReplicatedJob(2, 4)))
    told.go_on()
    told.update(lambda spec: spec)


def a_global_job_and_a_node_that_comes_late(told: Told) -> None:
    told.swarm.fate = finishing
    told.create(ServiceMode(global_job=GlobalJob()))
    told.go_on()
    told.swarm.put_node(a_node("n4"))
    told.go_on()


def a_schedule_that_is_followed(told: Told) -> None:
    told.swarm.fate = failing_in_slot_2
    told.create(ServiceMode(cron=Cron(schedule="@every 20s", job=ReplicatedJob(1, 3))))
    told.go_on(110)


def ordinals_that_start_scale_update_and_lose_a_node(told: Told) -> None:
    told.create(ServiceMode(stateful=Stateful(3, StartOrder.ORDERED, 10 * SECOND)), BACK_OFF)
    told.go_on()
    told.update(lambda spec: replace(spec, task_template=a_task_spec(image="web:2")))
    told.go_on(60)
    told.swarm.set_node(told.swarm.running(told.service)[0].node_id, state=NodeState.DOWN)
    told.go_on(60)
    told.update(
        lambda spec: replace(spec, mode=ServiceMode(stateful=Stateful(1, lease_ns=10 * SECOND)))
    )


def a_service_that_fails_now_and_then(told: Told) -> None:
    told.create(a_service_spec(replicas=2).mode, BACK_OFF)
    for _ in range(4):
        told.go_on(20)
        for task in told.swarm.running(told.service):
            told.swarm.report(task, TaskState.FAILED, "boom")
    told.go_on(20)


@pytest.mark.parametrize(
    "story",
    [
        a_job_with_a_place_that_fails,
        a_global_job_and_a_node_that_comes_late,
        a_schedule_that_is_followed,
        ordinals_that_start_scale_update_and_lose_a_node,
        a_service_that_fails_now_and_then,
    ],
    ids=lambda story: story.__name__,
)
def test_elections_around_every_pass_change_nothing(story: Story) -> None:
    calm, restless = Told(elections=False), Told(elections=True)
    story(calm)
    story(restless)
    assert restless.outcome() == calm.outcome()
    assert calm.outcome() != ()
