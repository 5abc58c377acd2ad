"""Whole operations, as a person and the machines would have them happen, one after another.

A story is told to a swarm of three nodes in virtual time, with elections around each pass or
without.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from swarmd.model.cluster import RebalanceConfig
from swarmd.model.ids import SecretId, ServiceId
from swarmd.model.instant import SECOND, Instant
from swarmd.model.spec import (
    ContainerSpec,
    Cron,
    GlobalJob,
    NetworkAttachmentConfig,
    Placement,
    ReplicatedJob,
    RestartPolicy,
    SecretReference,
    ServiceMode,
    ServiceSpec,
    Stateful,
    UpdateConfig,
)
from swarmd.model.states import (
    Availability,
    NodeState,
    RestartCondition,
    StartOrder,
    TaskState,
    UpdateOrder,
    UpdateState,
)
from swarmd.model.task import Task
from swarmd.store.changes import Update
from tests.support.cluster import Swarm, a_node, a_service_spec, a_task_spec
from tests.support.networks import add_network, an_ipam

Story = Callable[["Told"], None]
RETRY = RestartPolicy(condition=RestartCondition.ON_FAILURE, delay_ns=SECOND, max_attempts=2)
BACK_OFF = RestartPolicy(delay_ns=SECOND, max_delay_ns=8 * SECOND)


class Told:
    """A swarm in which a story happens, with elections around each pass or without."""

    def __init__(self, *, elections: bool) -> None:
        self.swarm = Swarm(nodes=3)
        self.elections = elections
        self.service = ServiceId("s-x")

    def create(
        self,
        mode: ServiceMode,
        policy: RestartPolicy = RETRY,
        *,
        cpus: float = 0,
        placement: Placement | None = None,
        **fields: object,
    ) -> None:
        task = a_task_spec(cpus=cpus, restart_policy=policy, placement=placement)
        self.service = self.swarm.create(a_service_spec("x", mode=mode, task=task, **fields))

    def update(self, change: Callable[[ServiceSpec], ServiceSpec], *, seconds: int = 40) -> None:
        self.swarm.update(self.service, change(self.swarm.store.get_service(self.service).spec))
        self.go_on(seconds)

    def steer(self, state: UpdateState) -> None:
        """Pause or resume the update as the API does."""
        service = self.swarm.store.get_service(self.service)
        assert service.update_status is not None
        status = replace(service.update_status, state=state)
        if state is UpdateState.UPDATING:
            status = replace(status, failures=0, resumed_at=self.swarm.now)
        self.swarm.accept(Update(replace(service, update_status=status), service.version))

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
        """Ends of tasks by place, what runs, and how the last update ended."""
        tasks = sorted(
            (t.slot, t.node_id if not t.slot else "", t.job_iteration or 0, t.status.state.word,
             t.desired_state.word)
            for t in self.swarm.tasks(self.service)
        )  # fmt: skip
        runs = sorted(
            (t.node_id, t.spec.container_spec.image if t.spec.container_spec else "")
            for t in self.swarm.running(self.service)
        )
        return (*tasks, runs, self.swarm.status(self.service))


def image(name: str) -> Callable[[ServiceSpec], ServiceSpec]:
    return lambda spec: replace(spec, task_template=a_task_spec(image=name, restart_policy=RETRY))


def following(secret: str) -> Callable[[ServiceSpec], ServiceSpec]:
    """The spec with this version of its secret."""
    uses = (SecretReference(secret_id=SecretId(secret), secret_name=secret),)
    container = ContainerSpec(image="web:1", secrets=uses)
    task = replace(a_task_spec(restart_policy=RETRY), container_spec=container)
    return lambda spec: replace(spec, task_template=task)


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


def an_update_that_is_paused_resumed_and_taken_back(told: Told) -> None:
    watched = UpdateConfig(parallelism=1, delay_ns=3 * SECOND)
    told.create(a_service_spec(replicas=4).mode, RETRY, update_config=watched)
    told.go_on(1)
    told.update(image("web:2"), seconds=4)
    told.steer(UpdateState.PAUSED)
    told.go_on()
    told.steer(UpdateState.UPDATING)
    told.go_on(4)
    told.swarm.roll_back(told.service)
    told.go_on()


def a_secret_that_is_replaced(told: Told) -> None:
    """A new version is one transaction with the new specs of those who follow it."""
    slowly = UpdateConfig(parallelism=1, delay_ns=3 * SECOND, order=UpdateOrder.START_FIRST)
    told.create(a_service_spec(replicas=3).mode, RETRY, update_config=slowly)
    told.go_on(1)
    for version in ("secret-1", "secret-2"):
        told.update(following(version))


def a_start_first_update_that_finds_no_room(told: Told) -> None:
    """First no node has room beside the old tasks, then no network an address."""
    add_network(told.swarm, "tiny", **an_ipam("10.7.0.0/29"))
    at_once = UpdateConfig(parallelism=0, order=UpdateOrder.START_FIRST)
    told.create(a_service_spec(replicas=2).mode, RETRY, update_config=at_once)
    told.go_on(1)
    told.update(lambda spec: replace(spec, task_template=a_task_spec(image="web:2", cpus=3)))
    told.update(lambda spec: replace(spec, task_template=a_task_spec(image="web:3", cpus=3)))
    tiny = (NetworkAttachmentConfig(target="tiny"),)
    told.update(lambda spec: replace(spec, task_template=a_task_spec(networks=tiny)))
    told.update(lambda spec: replace(spec, task_template=a_task_spec(image="web:4", networks=tiny)))


def nodes_that_are_drained(told: Told) -> None:
    """One stops first, one starts first, and some have to stay for the sake of the service."""
    told.create(a_service_spec(replicas=5).mode, RETRY, min_available=4)
    told.go_on(1)
    told.swarm.set_node("n1", availability=Availability.DRAIN)
    told.go_on(5)
    node = told.swarm.store.get_node("n2")
    first = replace(node.spec, availability=Availability.DRAIN, drain_order=UpdateOrder.START_FIRST)
    told.swarm.put_node(replace(node, spec=first))
    told.go_on()


def a_node_that_is_lost_and_one_that_labels_forbid(told: Told) -> None:
    placement = Placement(constraints=("node.labels.old!=yes",))
    told.create(a_service_spec(replicas=5).mode, BACK_OFF, placement=placement)
    told.go_on(1)
    told.swarm.set_node("n1", state=NodeState.DOWN)
    told.go_on()
    node = told.swarm.store.get_node("n2")
    told.swarm.put_node(replace(node, spec=replace(node.spec, labels={"old": "yes"})))
    told.go_on()
    told.swarm.set_node("n1", state=NodeState.READY)
    told.update(lambda spec: replace(spec, mode=a_service_spec(replicas=2).mode))


def tasks_that_make_room_for_more_important_ones(told: Told) -> None:
    told.create(a_service_spec(replicas=6).mode, BACK_OFF, min_available=2, cpus=2)
    told.go_on(1)
    high = a_service_spec("high", replicas=3, task=a_task_spec(cpus=3, priority=5))
    important = told.swarm.create(high)
    told.go_on()
    told.swarm.remove(important)
    told.go_on()


def tasks_that_move_to_a_node_that_joins(told: Told) -> None:
    cluster = told.swarm.store.cluster()
    policy = RebalanceConfig(enabled=True, cooldown_ns=5 * SECOND, max_moves=2)
    scheduling = replace(cluster.spec.scheduling, rebalance=policy)
    spec = replace(cluster.spec, scheduling=scheduling)
    told.swarm.accept(Update(replace(cluster, spec=spec), cluster.version))
    told.create(a_service_spec(replicas=12).mode, RETRY)
    told.go_on(1)
    told.swarm.put_node(a_node("n4"))
    told.go_on(60)


def a_drain_over_a_full_network(told: Told) -> None:
    """Six addresses: the gateway, the service, a node, and three tasks, all on that node."""
    for name in ("n2", "n3"):
        told.swarm.set_node(name, availability=Availability.PAUSE)
    add_network(told.swarm, "tiny", **an_ipam("10.7.0.0/29"))
    told.create(a_service_spec(replicas=0).mode, RETRY)
    tiny = (NetworkAttachmentConfig(target="tiny"),)
    three = a_service_spec(replicas=3).mode
    told.update(lambda spec: replace(spec, mode=three, task_template=a_task_spec(networks=tiny)))
    told.swarm.set_node("n2", availability=Availability.ACTIVE)
    node = told.swarm.store.get_node("n1")
    first = replace(node.spec, availability=Availability.DRAIN, drain_order=UpdateOrder.START_FIRST)
    told.swarm.put_node(replace(node, spec=first))
    told.go_on()


STORIES: tuple[Story, ...] = (
    a_job_with_a_place_that_fails,
    a_global_job_and_a_node_that_comes_late,
    a_schedule_that_is_followed,
    ordinals_that_start_scale_update_and_lose_a_node,
    a_service_that_fails_now_and_then,
    an_update_that_is_paused_resumed_and_taken_back,
    a_secret_that_is_replaced,
    a_start_first_update_that_finds_no_room,
    nodes_that_are_drained,
    a_node_that_is_lost_and_one_that_labels_forbid,
    tasks_that_make_room_for_more_important_ones,
    tasks_that_move_to_a_node_that_joins,
    a_drain_over_a_full_network,
)
