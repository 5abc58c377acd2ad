"""The wanted tables of networks follow committed state, and tell exactly what changed."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace

from swarmd.model.ids import NetworkId, NodeId, ServiceId, TaskId
from swarmd.model.instant import Instant
from swarmd.model.network import (
    VXLAN_IDS_OPTION,
    IPAMConfig,
    IPAMOptions,
    Network,
    NetworkAttachment,
    NetworkSpec,
    VirtualIP,
)
from swarmd.model.node import Node, NodeDescription, NodeStatus
from swarmd.model.service import Endpoint as ServiceEndpoint
from swarmd.model.service import Service
from swarmd.model.spec import (
    ContainerSpec,
    Driver,
    EndpointSpec,
    NetworkAttachmentConfig,
    PortConfig,
    ServiceSpec,
    TaskSpec,
)
from swarmd.model.states import Balance, NodeState, ResolutionMode, TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.network.core.catalogue import NetworkCatalogue
from swarmd.network.core.deltas import NetworkDelta, advance, complete
from swarmd.network.core.tables import (
    Endpoint,
    NetworkTable,
    Peer,
    ServicePort,
    ServiceRow,
    Subnet,
)
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

BACK = NetworkId("back")


@dataclass
class Cluster:
    """A store with a catalogue that follows it."""

    store: Store = field(default_factory=Store)
    catalogue: NetworkCatalogue = field(init=False)

    def __post_init__(self) -> None:
        self.catalogue = NetworkCatalogue(self.store)
        self.store.subscribe(self.catalogue.observe)

    def commit(self, *actions: Action) -> None:
        entry = Entry(Instant(1), NodeId("m1"), (Transaction(actions, atomic=False),))
        self.store.apply(self.store.index + 1, entry)

    def put(self, *records: Object) -> None:
        for record in records:
            old = self.store.find(kind_of(record), record.id)
            self.commit(Create(record) if old is None else Update(record, base=old.version))

    def table(self, network_id: str = BACK) -> NetworkTable:
        self.catalogue.take(NetworkId(network_id))
        table = self.catalogue.table(NetworkId(network_id))
        assert table is not None
        return table

    def delta(self, network_id: str = BACK) -> NetworkDelta:
        delta = self.catalogue.take(NetworkId(network_id))
        assert delta is not None
        return delta


def network(
    name: str = "back", number: int = 1, *, ingress: bool = False, internal: bool = False
) -> Network:
    config = IPAMConfig(subnet=f"10.0.{number}.0/24", gateway=f"10.0.{number}.1")
    return Network(
        id=NetworkId(name),
        spec=NetworkSpec(name=name, ingress=ingress, internal=internal),
        ipam=IPAMOptions(configs=(config,)),
        driver_state=Driver(name="overlay", options={VXLAN_IDS_OPTION: f"{4096 + number}"}),
    )


def attachment(address: str, network_id: str = "back", *aliases: str) -> NetworkAttachment:
    return NetworkAttachment(
        network_id=NetworkId(network_id), addresses=(address,), aliases=aliases
    )


def node(name: str, *on: NetworkAttachment, state: NodeState = NodeState.READY) -> Node:
    return Node(
        id=NodeId(name),
        description=NodeDescription(hostname=f"host-{name}", data_addr=f"192.168.0.{name[1:]}"),
        status=NodeStatus(state=state),
        attachments=on,
    )


def service(
    name: str = "web",
    *networks: str,
    mode: ResolutionMode = ResolutionMode.VIP,
) -> Service:
    names = networks or ("back",)
    wanted = tuple(NetworkAttachmentConfig(target=one, aliases=("www",)) for one in names)
    has_vip = mode is ResolutionMode.VIP and BACK in names
    vips = (VirtualIP(network_id=BACK, addr="10.0.1.2/24"),) if has_vip else ()
    return Service(
        id=ServiceId(name),
        spec=ServiceSpec(
            name=name,
            task_template=TaskSpec(networks=wanted),
            endpoint_spec=EndpointSpec(mode=mode),
        ),
        endpoint=ServiceEndpoint(
            ports=(PortConfig(name="http", target_port=80, published_port=8080),),
            virtual_ips=vips,
        ),
    )


def task(
    name: str,
    address: str,
    on: str = "n1",
    state: TaskState = TaskState.RUNNING,
    hostname: str = "",
) -> Task:
    return Task(
        id=TaskId(name),
        service_id=ServiceId("web"),
        service_name="web",
        slot=ord(name) - ord("a") + 1,
        node_id=NodeId(on),
        spec=TaskSpec(container_spec=ContainerSpec(hostname=hostname)),
        desired_state=TaskState.RUNNING,
        status=TaskStatus(state=state),
        networks=(attachment(address, "back", "www"),),
    )


def a_cluster() -> Cluster:
    cluster = Cluster()
    cluster.put(
        network(),
        node("n1", attachment("10.0.1.3/24")),
        node("n2"),
        service(),
        task("a", "10.0.1.4/24"),
    )
    cluster.catalogue.take(BACK)
    return cluster


def test_a_table_holds_the_network_its_nodes_services_and_tasks() -> None:
    cluster = a_cluster()
    assert cluster.table() == NetworkTable(
        network_id=BACK,
        name="back",
        version=cluster.store.index,
        subnets=(Subnet("10.0.1.0/24", "10.0.1.1", 4097),),
        peers={NodeId("n1"): Peer(NodeId("n1"), "192.168.0.1", ("10.0.1.3",))},
        services={
            ServiceId("web"): ServiceRow(
                service_id=ServiceId("web"),
                name="web",
                aliases=("www",),
                virtual_ips=("10.0.1.2",),
                ports=(ServicePort(PortConfig().protocol, 80, 8080, "http"),),
            )
        },
        endpoints={
            TaskId("a"): Endpoint(
                task_id=TaskId("a"),
                service_id=ServiceId("web"),
                node_id=NodeId("n1"),
                addresses=("10.0.1.4",),
                names=("web.1.a", "a", "web.1"),
                aliases=("www",),
                ready=True,
            )
        },
    )


def test_options_of_the_driver_show_in_the_table() -> None:
    cluster = Cluster()
    options = {"encrypted": "", "com.docker.network.driver.mtu": "1400"}
    cluster.put(replace(network(internal=True), driver_state=Driver("overlay", options)))
    table = cluster.table()
    assert (table.encrypted, table.mtu, table.internal) == (True, 1400, True)


def test_a_task_can_be_reached_before_it_is_ready_and_while_it_stops() -> None:
    cluster = a_cluster()
    cluster.put(task("b", "10.0.1.5/24", state=TaskState.ASSIGNED))
    cluster.commit(SetDesiredState(TaskId("a"), TaskState.SHUTDOWN))
    endpoints = cluster.table().endpoints
    assert {name: row.ready for name, row in endpoints.items()} == {"a": False, "b": False}
    cluster.commit(SetTaskStatus(TaskId("b"), TaskStatus(state=TaskState.RUNNING)))
    cluster.commit(SetTaskStatus(TaskId("a"), TaskStatus(state=TaskState.SHUTDOWN)))
    endpoints = cluster.table().endpoints
    assert {name: row.ready for name, row in endpoints.items()} == {"b": True}


def test_a_node_that_is_down_takes_no_packets_and_its_tasks_no_connections() -> None:
    cluster = a_cluster()
    cluster.put(node("n1", attachment("10.0.1.3/24"), state=NodeState.DOWN))
    table = cluster.table()
    assert table.peers[NodeId("n1")].underlay == ""
    assert not table.endpoints[TaskId("a")].ready


def test_a_service_without_virtual_addresses_is_there_by_its_name() -> None:
    cluster = a_cluster()
    cluster.put(service("plain", mode=ResolutionMode.DNSRR))
    assert cluster.table().services[ServiceId("plain")].virtual_ips == ()


def test_a_hostname_from_a_template_is_a_name_of_the_task() -> None:
    cluster = a_cluster()
    cluster.put(task("c", "10.0.1.6/24", hostname="web-{{.Task.Slot}}-{{.Node.Hostname}}"))
    assert "web-3-host-n1" in cluster.table().endpoints[TaskId("c")].names


def test_an_ordinal_is_a_name_of_a_stateful_task() -> None:
    cluster = a_cluster()
    cluster.put(replace(task("c", "10.0.1.6/24"), lease_ns=1))
    assert cluster.table().endpoints[TaskId("c")].names[0] == "web-2"


def test_a_service_shows_its_balance_and_tasks_the_weight_of_their_node() -> None:
    cluster = a_cluster()
    spec = EndpointSpec(balance=Balance.LEAST_CONNECTION, weight_label="power")
    web, n1 = service(), cluster.store.find_node("n1")
    assert n1 is not None
    cluster.put(
        replace(web, spec=replace(web.spec, endpoint_spec=spec)),
        task("b", "10.0.1.5/24", on="n2"),
        replace(n1, spec=replace(n1.spec, labels={"power": "8"})),
    )
    table = cluster.table()
    assert table.services[ServiceId("web")].balance is Balance.LEAST_CONNECTION
    assert [row.weight for row in table.endpoints.values()] == [8, 1]
    cluster.put(web)
    assert [row.weight for row in cluster.table().endpoints.values()] == [1, 1]


def test_one_task_among_many_is_a_delta_about_that_task() -> None:
    cluster = a_cluster()
    cluster.put(task("b", "10.0.1.5/24"))
    delta = cluster.delta()
    assert [row.task_id for row in delta.endpoints] == ["b"]
    assert delta.rows == 1
    assert delta.head is None


def test_what_shows_in_no_row_is_no_change() -> None:
    cluster = a_cluster()
    before = cluster.store.find_node("n1")
    web = cluster.store.find_service("web")
    assert before is not None
    assert web is not None
    cluster.put(replace(before, spec=replace(before.spec, labels={"disk": "ssd"})))
    cluster.put(replace(web, spec=replace(web.spec, labels={"tier": "front"})))
    assert cluster.catalogue.changed == ()


def test_the_last_change_is_told_apart_from_later_commits() -> None:
    cluster = a_cluster()
    cluster.put(task("b", "10.0.1.5/24"))
    changed_at = cluster.store.index
    cluster.put(node("n7"))
    assert cluster.delta().results_in == cluster.store.index > changed_at
    assert cluster.catalogue.changed_at(BACK) == changed_at


def test_networks_that_nodes_make_for_themselves_have_no_table() -> None:
    cluster = Cluster()
    local = Network(
        id=NetworkId("host"), spec=NetworkSpec(name="host", driver_config=Driver("host"))
    )
    cluster.put(local, service("web", "host"))
    assert not cluster.catalogue.has(NetworkId("host"))


def test_publishing_services_are_on_the_ingress_network_once_it_is_there() -> None:
    cluster = Cluster()
    ports = EndpointSpec(ports=(PortConfig(target_port=80),))
    cluster.put(Service(id=ServiceId("web"), spec=ServiceSpec(name="web", endpoint_spec=ports)))
    cluster.put(network("in", ingress=True))
    assert tuple(cluster.table("in").services) == ("web",)


class Following(RuleBasedStateMachine):
    """Whatever happens, deltas lead a receiver to what a fresh scan of the store would say."""

    tasks = st.sampled_from(["a", "b", "c"])
    nodes = st.sampled_from(["n1", "n2"])
    services = st.sampled_from(["web", "db"])
    networks = st.sampled_from(["back", "front", "in"])
    modes = st.sampled_from(list(ResolutionMode))

    @initialize()
    def begin(self) -> None:
        self.cluster = Cluster()
        self.received: dict[NetworkId, NetworkTable] = {}

    @rule(name=networks, number=st.sampled_from([1, 2]))
    def network_is_there(self, name: str, number: int) -> None:
        self.cluster.put(network(name, number, ingress=name == "in"))

    @rule(name=nodes, state=st.sampled_from(list(NodeState)), on=st.sets(networks, max_size=2))
    def node_changes(self, name: str, state: NodeState, on: set[str]) -> None:
        attachments = (attachment(f"10.0.1.{name[1:]}/24", one) for one in sorted(on))
        self.cluster.put(node(name, *attachments, state=state))

    @rule(name=services, on=st.sets(networks, max_size=2), mode=modes)
    def service_changes(self, name: str, on: set[str], mode: ResolutionMode) -> None:
        self.cluster.put(service(name, *sorted(on), mode=mode))

    @rule(name=tasks, on=nodes, networks=st.sets(networks))
    def task_is_placed(self, name: str, on: str, networks: set[str]) -> None:
        placed = task(name, "", on, TaskState.ASSIGNED)
        attachments = tuple(attachment("10.0.1.9/24", one) for one in sorted(networks))
        self.cluster.commit(Create(replace(placed, networks=attachments)))

    @rule(name=tasks, state=st.sampled_from(list(TaskState)), unready=st.sampled_from(["", "ill"]))
    def task_reports(self, name: str, state: TaskState, unready: str) -> None:
        self.cluster.commit(SetTaskStatus(TaskId(name), TaskStatus(state=state, unready=unready)))

    @rule(name=tasks, state=st.sampled_from(list(TaskState)))
    def task_is_to(self, name: str, state: TaskState) -> None:
        self.cluster.commit(SetDesiredState(TaskId(name), state))

    @rule(
        kind=st.sampled_from([Kind.NODE, Kind.SERVICE, Kind.TASK, Kind.NETWORK]),
        name=tasks | nodes | services | networks,
    )
    def something_is_removed(self, kind: Kind, name: str) -> None:
        self.cluster.commit(Delete(kind, name))

    @rule()
    def deltas_are_received(self) -> None:
        catalogue = self.cluster.catalogue
        for network_id in catalogue.changed:
            delta = catalogue.take(network_id)
            if delta is None:
                self.received.pop(network_id, None)
            elif network_id not in self.received:
                table = catalogue.table(network_id)
                assert table is not None
                self.received[network_id] = advance(None, complete(table))
            else:
                self.received[network_id] = advance(self.received[network_id], delta)
        assert self.received == {
            row.id: catalogue.table(row.id) for row in self.cluster.store.networks()
        }

    @invariant()
    def the_catalogue_is_what_a_scan_says(self) -> None:
        catalogue, store = self.cluster.catalogue, self.cluster.store
        scanned = NetworkCatalogue(store)
        for row in store.networks():
            if row.id not in catalogue.changed:
                table = scanned.table(row.id)
                assert table is not None
                assert catalogue.table(row.id) == replace(table, version=catalogue.version(row.id))


TestFollowing = Following.TestCase
