"""A swarm without machines: the store, the planner and agents that obey, in virtual time.

Everything is pure and seeded. Agents do what their tasks' desired states ask, one state per step,
unless a test makes them fail. Every committed entry is checked against the store's invariants and
the promises of the planner.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from msgspec.structs import replace

from swarmd.model import defaults
from swarmd.model.cluster import Cluster, ClusterSpec
from swarmd.model.env import Env
from swarmd.model.ids import ClusterId, NodeId, ServiceId
from swarmd.model.instant import MILLISECOND, SECOND, Instant
from swarmd.model.node import (
    LEASE_PLUGIN,
    EngineDescription,
    Node,
    NodeDescription,
    NodeSpec,
    NodeStatus,
)
from swarmd.model.service import Service, UpdateStatus
from swarmd.model.spec import (
    ContainerSpec,
    Platform,
    Replicated,
    ResourceRequirements,
    Resources,
    ServiceMode,
    ServiceSpec,
    TaskSpec,
)
from swarmd.model.states import Availability, NodeState, TaskState, UpdateState
from swarmd.model.task import Task, TaskStatus
from swarmd.orchestrator import runs
from swarmd.orchestrator.planner import Planner
from swarmd.runtime.chance import RandomIds
from swarmd.store.changes import (
    Action,
    Applied,
    Committed,
    Create,
    Delete,
    Entry,
    Kind,
    SetTaskStatus,
    Transaction,
    Update,
)
from swarmd.store.invariants import check
from swarmd.store.store import Store

START = Instant(1_700_000_000 * SECOND)
LEADER = NodeId("leader")
COMING_UP = (
    TaskState.ACCEPTED,
    TaskState.PREPARING,
    TaskState.READY,
    TaskState.STARTING,
    TaskState.RUNNING,
)
PASSES_MAX = 200

Fate = Callable[[Task], TaskState | None]


def a_task_spec(
    *, image: str = "web:1", cpus: float = 0, memory: int = 0, **fields: object
) -> TaskSpec:
    """A task template; `fields` are those of TaskSpec."""
    resources = None
    if cpus or memory:
        reserved = Resources(nano_cpus=round(cpus * 10**9), memory_bytes=memory)
        resources = ResourceRequirements(reservations=reserved)
    return TaskSpec(
        container_spec=ContainerSpec(image=image),
        resources=resources,
        **fields,  # type: ignore[arg-type]
    )


def a_service_spec(
    name: str = "web", *, replicas: int = 1, task: TaskSpec | None = None, **fields: object
) -> ServiceSpec:
    """A replicated service; `fields` are those of ServiceSpec."""
    fields.setdefault("mode", ServiceMode(replicated=Replicated(replicas=replicas)))
    return ServiceSpec(name=name, task_template=task or a_task_spec(), **fields)  # type: ignore[arg-type]


def a_node(
    name: str,
    *,
    cpus: float = 4,
    memory: int = 8 << 30,
    labels: dict[str, str] | None = None,
    engine_labels: dict[str, str] | None = None,
    state: NodeState = NodeState.READY,
) -> Node:
    return Node(
        id=NodeId(name),
        spec=NodeSpec(labels=labels or {}),
        status=NodeStatus(state=state, addr="10.0.0.1"),
        description=NodeDescription(
            hostname=name,
            platform=Platform(architecture="x86_64", os="linux"),
            resources=Resources(nano_cpus=round(cpus * 10**9), memory_bytes=memory),
            engine=EngineDescription(labels=engine_labels or {}, plugins=(LEASE_PLUGIN,)),
        ),
    )


class Swarm:
    """The pure cluster: `step` lets agents act once, `converge` runs until nothing is left."""

    def __init__(self, *, nodes: int = 0, seed: int = 1, task_history: int = 5) -> None:
        self.now = START
        self.store = Store()
        self.skew_ns = 0  # by how much the leader's wall clock is ahead
        self.fate: Fate = lambda task: None
        self.log: list[Committed] = []
        self.checks_resources = True
        self._rng = random.Random(seed)
        self._ids = RandomIds(random.Random(seed + 1))
        self.store.subscribe(self._observed)
        self.planner: Planner | None = None
        spec = ClusterSpec()
        spec = replace(
            spec,
            orchestration=replace(spec.orchestration, task_history_retention_limit=task_history),
        )
        self.commit(Create(Cluster(id=ClusterId("cluster"), spec=spec)))
        for number in range(1, nodes + 1):
            self.commit(Create(a_node(f"n{number}")))
        self.elect()

    @property
    def env(self) -> Env:
        now = Instant(self.now + self.skew_ns)
        return Env(now, self._ids, self._rng, monotonic_ns=self.now)

    def elect(self) -> None:
        """A new leader: the planner starts over from the store."""
        self.planner = Planner(self.store, self.env)

    def commit(self, *actions: Action, atomic: bool = True) -> Applied:
        entry = Entry(self.now, LEADER, (Transaction(tuple(actions), atomic),))
        applied = self.store.apply(self.store.index + 1, entry)
        violations = check(self.store)
        assert not violations, violations
        return applied

    # What users and machines do.

    def create(self, spec: ServiceSpec) -> ServiceId:
        service_id = ServiceId(f"s-{spec.name}")
        self.accept(Create(runs.created(Service(id=service_id, spec=spec), self.now)))
        return service_id

    def update(self, service_id: ServiceId, spec: ServiceSpec) -> None:
        """Change the spec as the API does: a new version, the update status cleared."""
        old = self.store.get_service(service_id)
        new = replace(
            old,
            spec=spec,
            spec_version=old.version,
            previous_spec=old.spec,
            previous_spec_version=old.spec_version,
            update_status=None,
        )
        self.accept(Update(runs.after_spec_change(old, new, self.now), old.version))

    def roll_back(self, service_id: ServiceId) -> None:
        old = self.store.get_service(service_id)
        assert old.previous_spec is not None
        new = replace(
            old,
            spec=old.previous_spec,
            spec_version=old.previous_spec_version,
            previous_spec=old.spec,
            previous_spec_version=old.spec_version,
            update_status=UpdateStatus(state=UpdateState.ROLLBACK_STARTED, started_at=self.now),
        )
        self.accept(Update(new, old.version))

    def scale(self, service_id: ServiceId, replicas: int) -> None:
        spec = self.store.get_service(service_id).spec
        mode = ServiceMode(replicated=Replicated(replicas=replicas))
        self.update(service_id, replace(spec, mode=mode))

    def remove(self, service_id: ServiceId) -> None:
        self.accept(Delete(Kind.SERVICE, service_id))

    def put_node(self, node: Node) -> None:
        old = self.store.find_node(node.id)
        self.accept(Create(node) if old is None else Update(node, old.version))

    def set_node(
        self,
        name: str,
        *,
        state: NodeState | None = None,
        availability: Availability | None = None,
    ) -> None:
        node = self.store.get_node(name)
        if state is not None:
            since = node.status.since if state is node.status.state else self.now
            node = replace(node, status=replace(node.status, state=state, since=since))
        if availability is not None:
            node = replace(node, spec=replace(node.spec, availability=availability))
        self.put_node(node)

    def remove_node(self, name: str) -> None:
        self.accept(Delete(Kind.NODE, name))

    def report(self, task: Task, state: TaskState, err: str = "") -> None:
        """A status as the dispatcher writes it."""
        self.accept(SetTaskStatus(task.id, self._status(state, err)))

    def accept(self, action: Action) -> None:
        applied = self.commit(action)
        assert applied.refusals == (None,), applied.refusals

    # What the swarm makes of it.

    def plan(self) -> tuple[Action, ...]:
        """One pass of the planner, committed."""
        assert self.planner is not None
        actions = self.planner.plan(self.env)
        if actions:
            self.commit(*actions, atomic=False)
        else:
            assert not self.planner.dirty, "a planner with nothing to write would spin"
        return actions

    def settle(self) -> None:
        """Plan until there is nothing to plan now."""
        for _ in range(PASSES_MAX):
            if not self.plan():
                return
        raise AssertionError("the planner does not come to rest")

    def step(self) -> int:
        """Plan, then let every reachable agent move each of its tasks by one state."""
        self.settle()
        moves = [
            SetTaskStatus(task.id, self._status(state, "" if state < TaskState.FAILED else "boom"))
            for task in self.store.tasks()
            if (state := self._next_state(task)) is not None
        ]
        if moves:
            self.now = Instant(self.now + 10 * MILLISECOND)
            self.commit(*moves, atomic=False)
        return len(moves)

    def rest(self) -> None:
        """Let agents and planner act until both wait for time to pass."""
        for _ in range(PASSES_MAX):
            if not self.step() and not self.plan():
                return
        raise AssertionError("the swarm does not come to rest")

    def advance(self, duration_ns: int) -> None:
        """Let time pass, acting at every deadline on the way."""
        until = Instant(self.now + duration_ns)
        self.rest()
        while (at := self.deadline) is not None and at <= until:
            self.now = Instant(max(at, self.now))
            self.rest()
        self.now = Instant(max(until, self.now))
        self.rest()

    def converge(self, within_ns: int = 3600 * SECOND) -> None:
        """Act until nothing is left to do and no deadline is set."""
        until = self.now + within_ns
        self.rest()
        while (at := self.deadline) is not None:
            assert at <= until, "the swarm did not converge in time"
            self.now = Instant(max(at, self.now))
            self.rest()

    @property
    def deadline(self) -> Instant | None:
        assert self.planner is not None
        at = self.planner.next_deadline()
        return None if at is None else Instant(at - self.skew_ns)

    # What can be seen.

    def tasks(self, service_id: ServiceId) -> tuple[Task, ...]:
        return self.store.tasks_of_service(service_id)

    def running(self, service_id: ServiceId) -> list[Task]:
        """Tasks that run, are wanted to, and are where they could be reached."""
        return [
            task
            for task in self.tasks(service_id)
            if task.status.state is TaskState.RUNNING
            and task.desired_state is TaskState.RUNNING
            and self.store.get_node(task.node_id).status.state is NodeState.READY
        ]

    def wanted(self, service_id: ServiceId) -> list[Task]:
        return [t for t in self.tasks(service_id) if t.desired_state <= TaskState.RUNNING]

    def nodes_of(self, service_id: ServiceId) -> Counter[str]:
        """How many wanted tasks of the service each node has."""
        return Counter(task.node_id for task in self.wanted(service_id))

    def slots(self, service_id: ServiceId) -> list[int]:
        return sorted(task.slot for task in self.wanted(service_id))

    def status(self, service_id: ServiceId) -> UpdateState | None:
        status = self.store.get_service(service_id).update_status
        return status.state if status else None

    def _observed(self, committed: Committed) -> None:
        self.log.append(committed)
        for change in committed.changes:
            if isinstance(change.old, Task) and isinstance(change.new, Task):
                assert change.new.status.state >= change.old.status.state
                assert change.new.desired_state >= change.old.desired_state
        if self.planner is not None:
            self.planner.observe(committed)
        for node in self.store.nodes():
            self._assert_within_resources(node)

    def _assert_within_resources(self, node: Node) -> None:
        """Holds as long as no test shrinks a node below what it has accepted."""
        if not self.checks_resources:
            return
        if node.description is None or node.description.resources is None:
            return
        cpus = memory = 0
        for task in self.store.tasks_of_node(node.id):
            if TaskState.ASSIGNED <= task.status.state <= TaskState.RUNNING:
                reserved = defaults.reservations(task.spec)
                cpus += reserved.nano_cpus
                memory += reserved.memory_bytes
        assert cpus <= max(node.description.resources.nano_cpus, 0), node.id
        assert memory <= max(node.description.resources.memory_bytes, 0), node.id

    def _status(self, state: TaskState, err: str) -> TaskStatus:
        return TaskStatus(state=state, timestamp=self.now, message=state.word, err=err)

    def _next_state(self, task: Task) -> TaskState | None:
        state = task.status.state
        node = self.store.find_node(task.node_id)
        if node is None or node.status.state is NodeState.DOWN:
            return None
        if not TaskState.ASSIGNED <= state <= TaskState.RUNNING:
            return None
        if task.desired_state > TaskState.COMPLETE:
            return TaskState.SHUTDOWN
        doomed = self.fate(task)
        if doomed is not None:
            return doomed
        limit = TaskState.READY if task.desired_state <= TaskState.READY else TaskState.RUNNING
        return next((nxt for nxt in COMING_UP if state < nxt <= limit), None)
