"""Whatever a store holds, the planner comes to rest: it writes what is to be written, and stops.

Records get into a store in other ways than through the API: a snapshot of an older version, a
client of the wire contract, a mistake. A planner that goes on writing over them would take the
leader's whole time, and fill the log, so it must come to rest on anything. Agents do nothing here.
"""

from __future__ import annotations

import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarmd.model.cluster import Cluster, RebalanceConfig, SchedulingConfig
from swarmd.model.env import Env
from swarmd.model.ids import NetworkId, ServiceId
from swarmd.model.instant import SECOND, Instant
from swarmd.model.network import IPAMConfig, IPAMOptions, Network, NetworkAttachment, NetworkSpec
from swarmd.model.node import Node, NodeDescription, NodeSpec
from swarmd.model.service import CronRun, CronStatus, Endpoint, JobStatus, Service, UpdateStatus
from swarmd.model.spec import (
    ContainerSpec,
    Cron,
    Driver,
    EndpointSpec,
    GlobalJob,
    GlobalMode,
    NetworkAttachmentConfig,
    Placement,
    PortConfig,
    Replicated,
    ReplicatedJob,
    ResourceRequirements,
    Resources,
    RestartPolicy,
    ServiceMode,
    ServiceSpec,
    Stateful,
    TaskSpec,
    UpdateConfig,
)
from swarmd.model.states import TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.orchestrator.planner import Planner
from swarmd.runtime.chance import RandomIds
from swarmd.store.changes import Create, Entry, Object, Transaction
from swarmd.store.invariants import DESIRED_STATES
from swarmd.store.store import Store
from tests.support.cluster import LEADER, START
from tests.support.records import records

PASSES_MAX = 120  # a cron service may catch up with a hundred runs, one in each
DEADLINES_MAX = 8

NODE_IDS = ("n1", "n2", "n3")
NETWORK_IDS = ("ingress", "front", "back", "local")
SERVICE_IDS = ("s1", "s2", "s3")
TASK_IDS = tuple(f"t{number}" for number in range(8))

instants = st.integers(-100, 2).map(lambda seconds: Instant(START + seconds * SECOND))
durations = st.sampled_from([0, 1, SECOND, 60 * SECOND])
addresses = st.sampled_from(["10.1.0.2/24", "10.1.0.3/24", "10.2.0.2/30", "10.9.9.9/24"])
blocks = st.sampled_from(["10.1.0.0/24", "10.2.0.0/30", "fd00::/120"])


def some(items: st.SearchStrategy[Any], most: int = 2) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(items, max_size=most).map(tuple)


attachments = st.builds(
    NetworkAttachment,
    network_id=st.sampled_from((*NETWORK_IDS, "gone")),
    addresses=some(addresses),
)
ipams = st.none() | st.builds(
    IPAMOptions, configs=some(st.builds(IPAMConfig, subnet=blocks), most=2)
)


@st.composite
def networks(draw: st.DrawFn, network_id: str) -> Network:
    driver = Driver(name="host") if network_id == "local" else None
    spec = NetworkSpec(
        name=network_id,
        ingress=network_id == "ingress",
        driver_config=draw(st.sampled_from([None, driver])),
    )
    return Network(id=NetworkId(network_id), spec=spec, ipam=draw(ipams))


@st.composite
def nodes(draw: st.DrawFn, node_id: str) -> Node:
    return draw(
        records(
            Node,
            id=st.just(node_id),
            spec=records(NodeSpec, taints=some(st.sampled_from(["a:no-execute", "b:no-schedule"]))),
            description=st.none()
            | records(
                NodeDescription,
                resources=st.just(Resources(nano_cpus=4 * 10**9, memory_bytes=8 << 30)),
            ),
            attachments=some(attachments),
            created_at=instants,
        )
    )


jobs = st.builds(
    ReplicatedJob,
    max_concurrent=st.none() | st.integers(0, 3),
    total_completions=st.none() | st.integers(0, 3),
)
counts = st.none() | st.integers(0, 4)
modes = st.one_of(
    st.builds(Replicated, replicas=counts).map(lambda mode: ServiceMode(replicated=mode)),
    st.just(ServiceMode(global_=GlobalMode())),
    jobs.map(lambda mode: ServiceMode(replicated_job=mode)),
    st.just(ServiceMode(global_job=GlobalJob())),
    st.builds(Stateful, replicas=counts).map(lambda mode: ServiceMode(stateful=mode)),
    records(Cron, schedule=st.sampled_from(["@every 30s", "@hourly", "never"]), job=jobs).map(
        lambda mode: ServiceMode(cron=mode)
    ),
    st.just(ServiceMode()),
)
ports = st.builds(
    PortConfig,
    target_port=st.sampled_from([80, 81]),
    published_port=st.sampled_from([0, 30000, 30001, 8080]),
)
endpoint_specs = st.none() | records(EndpointSpec, ports=some(ports))
templates = st.builds(
    TaskSpec,
    container_spec=st.just(ContainerSpec(image="web:1")),
    resources=st.sampled_from(
        [None, ResourceRequirements(reservations=Resources(nano_cpus=3 * 10**9))]
    ),
    restart_policy=st.none() | records(RestartPolicy, delay_ns=st.none() | durations),
    placement=st.none() | records(Placement, constraints=some(st.sampled_from(["node.id==n1"]), 1)),
    networks=some(
        st.builds(
            NetworkAttachmentConfig,
            target=st.sampled_from((*NETWORK_IDS, "gone")),
            addresses=some(st.sampled_from(["10.1.0.2", "10.9.9.9"]), 1),
        )
    ),
    priority=st.sampled_from([0, 0, 5]),
)
update_configs = st.none() | records(
    UpdateConfig, delay_ns=durations, monitor_ns=st.none() | durations, task_timeout_ns=durations
)
specs = st.builds(
    ServiceSpec,
    task_template=templates,
    mode=modes,
    update_config=update_configs,
    rollback_config=update_configs,
    endpoint_spec=endpoint_specs,
    min_available=st.integers(0, 2),
)
iterations = st.integers(0, 3)


@st.composite
def services(draw: st.DrawFn, service_id: str) -> Service:
    runs = st.builds(
        CronRun,
        iteration=iterations,
        due_at=instants,
        started_at=instants,
        ended_at=st.sampled_from([Instant(0), START]),
    )
    return draw(
        st.builds(
            Service,
            id=st.just(service_id),
            spec=specs.map(lambda spec: _named(spec, service_id)),
            spec_version=st.integers(0, 2),
            previous_spec=st.none() | specs.map(lambda spec: _named(spec, service_id)),
            previous_spec_version=st.integers(0, 2),
            endpoint=st.none() | records(Endpoint, ports=some(ports)),
            update_status=st.none() | records(UpdateStatus, started_at=instants),
            job_status=st.none() | st.builds(JobStatus, job_iteration=iterations),
            cron_status=st.none()
            | st.builds(CronStatus, considered_until=instants, runs=some(runs, 3)),
        )
    )


def _named(spec: ServiceSpec, name: str) -> ServiceSpec:
    return ServiceSpec(**{**{f: getattr(spec, f) for f in spec.__struct_fields__}, "name": name})


@st.composite
def tasks(draw: st.DrawFn, task_id: str, made: dict[str, Service]) -> Task:
    service_id = draw(st.sampled_from((*SERVICE_IDS, "gone")))
    service = made.get(service_id)
    spec = service.spec.task_template if service is not None and draw(st.booleans()) else None
    return draw(
        st.builds(
            Task,
            id=st.just(task_id),
            service_id=st.just(service_id),
            service_name=st.just(service_id),
            slot=st.integers(0, 3),
            node_id=st.sampled_from(("", *NODE_IDS, "gone")),
            spec=st.just(spec) if spec is not None else templates,
            spec_version=st.integers(0, 2),
            desired_state=st.sampled_from(sorted(DESIRED_STATES)),
            status=st.builds(
                TaskStatus,
                state=st.sampled_from(TaskState),
                timestamp=instants,
                applied_at=instants,
                unready=st.sampled_from(["", "ill"]),
            ),
            networks=some(attachments, 1),
            job_iteration=st.none() | iterations,
            ran_at=st.sampled_from([Instant(0), START]),
            lease_ns=st.sampled_from([0, 0, 15 * SECOND]),
            reserved_node_id=st.sampled_from(("", "", *NODE_IDS, "gone")),
            replaces=st.sampled_from(("", "", *TASK_IDS)),
        )
    )


@st.composite
def contents(draw: st.DrawFn) -> list[Object]:
    """Records of every kind that concerns the planner, and of no particular sense."""
    scheduling = records(
        SchedulingConfig,
        rebalance=st.builds(
            RebalanceConfig,
            enabled=st.booleans(),
            max_moves=st.integers(0, 2),
            cooldown_ns=durations,
        ),
    )
    cluster = draw(st.builds(Cluster, id=st.just("c")))
    made: list[Object] = []
    if draw(st.integers(0, 9)):
        spec = cluster.spec.__class__(scheduling=draw(scheduling))
        made.append(Cluster(id=cluster.id, spec=spec))
    made += [draw(networks(i)) for i in NETWORK_IDS if draw(st.booleans())]
    made += [draw(nodes(i)) for i in NODE_IDS if draw(st.integers(0, 3))]
    found = {i: draw(services(i)) for i in SERVICE_IDS if draw(st.integers(0, 3))}
    made += found.values()
    made += [draw(tasks(i, found)) for i in TASK_IDS if draw(st.booleans())]
    return made


class Lonely:
    """A leader whose agents never answer."""

    def __init__(self, made: list[Object]) -> None:
        self.store = Store()
        self.now = Instant(START)
        self._rng = random.Random(1)
        self._ids = RandomIds(random.Random(2))
        self._apply([Create(record) for record in made])
        self.planner = Planner(self.store, self._env())
        self.store.subscribe(lambda committed: self.planner.observe(committed))

    def rest(self) -> None:
        """Plan until there is nothing to write."""
        for _ in range(PASSES_MAX):
            actions = self.planner.plan(self._env())
            if not actions:
                assert not self.planner.dirty, "it would be asked again at once"
                return
            self._apply(list(actions))
        raise AssertionError(f"the planner does not come to rest: {actions}")

    def pass_on(self) -> bool:
        """Wait for the next deadline; False if there is none."""
        at = self.planner.next_deadline()
        if at is None:
            return False
        assert at > self.now, "a deadline that has passed would be looked at for ever"
        self.now = at
        return True

    def elect(self) -> None:
        self.planner = Planner(self.store, self._env())

    def _env(self) -> Env:
        return Env(self.now, self._ids, self._rng, monotonic_ns=self.now)

    def _apply(self, actions: list[Any]) -> None:
        transaction = Transaction(tuple(actions), atomic=False)
        self.store.apply(self.store.index + 1, Entry(self.now, LEADER, (transaction,)))


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(contents())
def test_the_planner_comes_to_rest_on_any_store(made: list[Object]) -> None:
    leader = Lonely(made)
    leader.rest()
    for _ in range(DEADLINES_MAX):
        if not leader.pass_on():
            break
        leader.rest()
    leader.elect()
    leader.rest()


def test_a_network_without_addresses_leaves_a_service_as_it_is() -> None:
    network = Network(id=NetworkId("front"), spec=NetworkSpec(name="front"))
    wish = NetworkAttachmentConfig(target="front")
    spec = ServiceSpec(
        name="web",
        task_template=TaskSpec(networks=(wish,)),
        mode=ServiceMode(replicated=Replicated(replicas=0)),
    )
    leader = Lonely([network, Service(id=ServiceId("s1"), spec=spec)])
    leader.rest()
    assert leader.store.index == 1
