"""The wanted endpoint table follows committed state, and tells exactly what changed."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace

from swarmd.lb.core.desired import EndpointCatalogue
from swarmd.lb.core.tables import Backend, BackendChange, PortMapping, Tables, advance
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.instant import Instant
from swarmd.model.node import Node, NodeDescription, NodeStatus
from swarmd.model.service import Endpoint, Service
from swarmd.model.spec import EndpointSpec, PortConfig, ServiceSpec
from swarmd.model.states import Balance, NodeState, Protocol, PublishMode, TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.store.changes import (
    Action,
    Create,
    Delete,
    Entry,
    Kind,
    Object,
    SetDesiredState,
    SetTaskStatus,
    Transaction,
    Update,
    kind_of,
)
from swarmd.store.store import Store

WEB = ServiceId("web")
PUBLISHED = PortConfig(target_port=80, published_port=8080)


@dataclass
class Cluster:
    """A store with a catalogue that follows it."""

    store: Store = field(default_factory=Store)
    catalogue: EndpointCatalogue = field(init=False)

    def __post_init__(self) -> None:
        self.catalogue = EndpointCatalogue(self.store)
        self.store.subscribe(self.catalogue.observe)

    def commit(self, *actions: Action) -> None:
        entry = Entry(Instant(1), NodeId("m1"), (Transaction(actions, atomic=False),))
        self.store.apply(self.store.index + 1, entry)

    def put(self, *records: Object) -> None:
        for record in records:
            old = self.store.find(kind_of(record), record.id)
            self.commit(Create(record) if old is None else Update(record, base=old.version))

    def backends(self, service_id: str = "web") -> list[str]:
        self.catalogue.take_delta()
        return [one.task_id for one in self.catalogue.tables().services[service_id].backends]


def node(name: str, address: str = "", state: NodeState = NodeState.READY) -> Node:
    return Node(
        id=NodeId(name),
        description=NodeDescription(data_addr=address or f"10.0.0.{name[1:]}"),
        status=NodeStatus(state=state),
    )


def service(name: str = "web", *ports: PortConfig) -> Service:
    return Service(
        id=ServiceId(name),
        spec=ServiceSpec(name=name),
        endpoint=Endpoint(ports=ports or (PUBLISHED,)),
    )


def task(
    name: str, on: str = "n1", service_id: str = "web", state: TaskState = TaskState.RUNNING
) -> Task:
    return Task(
        id=TaskId(name),
        service_id=ServiceId(service_id),
        node_id=NodeId(on),
        desired_state=TaskState.RUNNING,
        status=TaskStatus(state=state),
    )


def a_cluster() -> Cluster:
    cluster = Cluster()
    cluster.put(node("n1"), node("n2"), service(), task("a"), task("b", on="n2"))
    cluster.catalogue.take_delta()
    return cluster


def test_running_tasks_of_a_published_service_are_its_backends() -> None:
    cluster = a_cluster()
    (row,) = cluster.catalogue.tables().services.values()
    assert row.service_name == "web"
    assert row.backends == (
        Backend(TaskId("a"), NodeId("n1"), "10.0.0.1"),
        Backend(TaskId("b"), NodeId("n2"), "10.0.0.2"),
    )


def test_a_service_that_publishes_nothing_has_no_row() -> None:
    cluster = Cluster()
    host = PortConfig(target_port=80, published_port=80, publish_mode=PublishMode.HOST)
    cluster.put(node("n1"), service("plain", host), task("a", service_id="plain"))
    assert not cluster.catalogue.changed
    assert cluster.catalogue.tables().services == {}


def test_a_port_is_published_once_its_number_is_chosen() -> None:
    cluster = Cluster()
    cluster.put(service("web", PortConfig(target_port=80)))
    assert not cluster.catalogue.changed
    cluster.put(service("web", PUBLISHED))
    assert cluster.catalogue.changed


def test_tasks_that_are_not_running_yet_or_any_more_are_no_backends() -> None:
    cluster = a_cluster()
    cluster.put(task("c", state=TaskState.STARTING))
    cluster.commit(SetTaskStatus(TaskId("a"), TaskStatus(state=TaskState.FAILED)))
    assert cluster.backends() == ["b"]


def test_a_task_that_is_to_stop_leaves_before_it_stops() -> None:
    cluster = a_cluster()
    cluster.commit(SetDesiredState(TaskId("a"), TaskState.SHUTDOWN))
    assert cluster.backends() == ["b"]


def test_a_task_that_is_unready_runs_on_without_connections_until_it_is_ready() -> None:
    cluster = a_cluster()
    unready = TaskStatus(state=TaskState.RUNNING, unready="unready: no answer")
    cluster.commit(SetTaskStatus(TaskId("a"), unready))
    assert cluster.backends() == ["b"]
    cluster.commit(SetTaskStatus(TaskId("a"), TaskStatus(state=TaskState.RUNNING)))
    assert cluster.backends() == ["a", "b"]


def test_tasks_leave_with_their_node_and_come_back_with_it() -> None:
    cluster = a_cluster()
    cluster.put(node("n1", state=NodeState.DOWN))
    assert cluster.backends() == ["b"]
    cluster.put(node("n1", state=NodeState.UNKNOWN))
    assert cluster.backends() == ["a", "b"]
    cluster.commit(Delete(Kind.NODE, "n2"))
    assert cluster.backends() == ["a"]


def test_backends_follow_the_address_of_their_node() -> None:
    cluster = a_cluster()
    cluster.put(node("n1", address="192.168.0.1"))
    delta = cluster.catalogue.take_delta()
    assert delta is not None
    moved = Backend(TaskId("a"), NodeId("n1"), "192.168.0.1")
    assert delta.changes == (BackendChange(WEB, backends=(moved,)),)


def test_ports_of_a_task_are_where_it_reports_them() -> None:
    cluster = a_cluster()
    ports = (
        PortConfig(target_port=80, published_port=32_768),
        PortConfig(target_port=53, published_port=53, protocol=Protocol.UDP),
    )
    status = TaskStatus(state=TaskState.RUNNING, ports=ports)
    cluster.commit(SetTaskStatus(TaskId("a"), status))
    cluster.catalogue.take_delta()
    (first, _) = cluster.catalogue.tables().services[WEB].backends
    assert first.ports == (PortMapping(Protocol.TCP, 80, 32_768),)


def test_what_a_task_answers_over_ipv6_is_told_by_port() -> None:
    cluster = a_cluster()
    status = TaskStatus(
        state=TaskState.RUNNING,
        ports=(PortConfig(target_port=80, published_port=32_768),),
        ipv6_ports=(
            PortConfig(target_port=80),
            PortConfig(target_port=53, protocol=Protocol.UDP),
        ),
    )
    cluster.commit(SetTaskStatus(TaskId("a"), status))
    cluster.catalogue.take_delta()
    (first, second) = cluster.catalogue.tables().services[WEB].backends
    assert first.ports == (
        PortMapping(Protocol.TCP, 80, 32_768, ipv6=True),
        PortMapping(Protocol.UDP, 53, 53, ipv6=True),
    )
    assert first.answers_ipv6(Protocol.TCP, 80)
    assert not first.answers_ipv6(Protocol.TCP, 53)
    assert not second.answers_ipv6(Protocol.TCP, 80)


def test_one_task_among_many_is_a_delta_about_that_task() -> None:
    cluster = a_cluster()
    cluster.put(task("c"))
    delta = cluster.catalogue.take_delta()
    assert delta is not None
    came = Backend(TaskId("c"), NodeId("n1"), "10.0.0.1")
    assert (delta.services, delta.removed) == ((), ())
    assert delta.changes == (BackendChange(WEB, backends=(came,)),)


def test_what_does_not_show_in_the_table_is_no_change() -> None:
    cluster = a_cluster()
    before = cluster.store.find_node("n1")
    assert before is not None
    cluster.put(replace(before, spec=replace(before.spec, labels={"disk": "ssd"})))
    web = cluster.store.find_service("web")
    assert web is not None
    cluster.put(replace(web, spec=replace(web.spec, labels={"tier": "front"})))
    assert cluster.catalogue.take_delta() is None


def test_tasks_have_the_weight_that_a_label_of_their_node_says() -> None:
    cluster = a_cluster()
    weighted = ServiceSpec(name="web", endpoint_spec=EndpointSpec(weight_label="power"))
    cluster.put(replace(service(), spec=weighted))
    for value, weight in {"3": 3, "0": 1, "101": 1, "much": 1, "100": 100}.items():
        before = cluster.store.find_node("n1")
        assert before is not None
        cluster.put(replace(before, spec=replace(before.spec, labels={"power": value})))
        cluster.catalogue.take_delta()
        rows = cluster.catalogue.tables().services[WEB].backends
        assert [(row.task_id, row.weight) for row in rows] == [("a", weight), ("b", 1)]
    cluster.put(replace(service(), spec=ServiceSpec(name="web")))
    cluster.catalogue.take_delta()
    assert {row.weight for row in cluster.catalogue.tables().services[WEB].backends} == {1}


def test_a_service_is_balanced_as_its_spec_says() -> None:
    cluster = a_cluster()
    hashed = EndpointSpec(balance=Balance.SOURCE_HASH)
    cluster.put(replace(service(), spec=ServiceSpec(name="web", endpoint_spec=hashed)))
    delta = cluster.catalogue.take_delta()
    assert delta is not None
    assert [row.balance for row in delta.services] == [Balance.SOURCE_HASH]


def test_a_removed_service_takes_its_row_along() -> None:
    cluster = a_cluster()
    cluster.commit(Delete(Kind.SERVICE, "web"))
    delta = cluster.catalogue.take_delta()
    assert delta is not None
    assert delta.removed == (WEB,)
    assert cluster.catalogue.tables().services == {}


def test_a_catalogue_made_later_holds_the_same() -> None:
    cluster = a_cluster()
    late = EndpointCatalogue(cluster.store)
    assert late.tables() == cluster.catalogue.tables()


class Following(RuleBasedStateMachine):
    """Whatever happens, deltas lead a receiver to what a fresh scan of the store would say."""

    @initialize()
    def begin(self) -> None:
        self.cluster = Cluster()
        self.received = self.cluster.catalogue.tables()

    names = st.sampled_from(["a", "b", "c", "d"])
    nodes = st.sampled_from(["n1", "n2"])
    services = st.sampled_from(["web", "db"])

    @rule(
        name=nodes,
        state=st.sampled_from(list(NodeState)),
        address=st.sampled_from(["", "::1"]),
        power=st.sampled_from(["", "2"]),
    )
    def node_changes(self, name: str, state: NodeState, address: str, power: str) -> None:
        changed = node(name, address, state)
        spec = replace(changed.spec, labels={"power": power})
        self.cluster.put(replace(changed, spec=spec))

    @rule(
        name=services,
        port=st.sampled_from([0, 8080, 8081]),
        label=st.sampled_from(["", "power"]),
    )
    def service_changes(self, name: str, port: int, label: str) -> None:
        changed = service(name, PortConfig(target_port=80, published_port=port))
        spec = replace(changed.spec, endpoint_spec=EndpointSpec(weight_label=label))
        self.cluster.put(replace(changed, spec=spec))

    @rule(name=names, on=nodes, of=services)
    def task_is_created(self, name: str, on: str, of: str) -> None:
        self.cluster.commit(Create(task(name, on, of, TaskState.ASSIGNED)))

    @rule(name=names, state=st.sampled_from(list(TaskState)), port=st.sampled_from([80, 3000]))
    def task_reports(self, name: str, state: TaskState, port: int) -> None:
        ports = (PortConfig(target_port=80, published_port=port),)
        self.cluster.commit(SetTaskStatus(TaskId(name), TaskStatus(state=state, ports=ports)))

    @rule(name=names, state=st.sampled_from(list(TaskState)))
    def task_is_to(self, name: str, state: TaskState) -> None:
        self.cluster.commit(SetDesiredState(TaskId(name), state))

    @rule(kind=st.sampled_from([Kind.NODE, Kind.SERVICE, Kind.TASK]), name=names | nodes | services)
    def something_is_removed(self, kind: Kind, name: str) -> None:
        self.cluster.commit(Delete(kind, name))

    @rule()
    def a_delta_is_received(self) -> None:
        delta = self.cluster.catalogue.take_delta()
        if delta is not None:
            self.received = advance(self.received, delta)
        assert self.received == self.cluster.catalogue.tables()

    @invariant()
    def the_catalogue_is_what_a_scan_says(self) -> None:
        catalogue = self.cluster.catalogue
        if not catalogue.changed:
            scanned = EndpointCatalogue(self.cluster.store).tables()
            assert catalogue.tables() == Tables(catalogue.version, scanned.services)


TestFollowing = Following.TestCase
TestFollowing.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
