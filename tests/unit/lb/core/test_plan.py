"""From a table and what is served to the steps in between."""

from __future__ import annotations

from msgspec.structs import replace

from swarmd.lb.core.plan import Frontend, FrontendCache, Plan, PortKey, diff
from swarmd.lb.core.rotation import Target
from swarmd.lb.core.tables import Backend, PortMapping, PublishedPort, ServiceEndpoints, Tables
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.states import Balance, Protocol

BOTH = frozenset({Protocol.TCP, Protocol.UDP})
WEB = PortKey(Protocol.TCP, 8080)
DNS = PortKey(Protocol.UDP, 53)


def frontend(key: PortKey = WEB, *tasks: str, service: str = "s1") -> Frontend:
    return Frontend(
        key=key,
        service_id=ServiceId(service),
        service_name=service,
        targets=tuple(Target(TaskId(task), "10.0.0.1", 80) for task in tasks),
    )


def serving(*frontends: Frontend) -> dict[PortKey, Frontend]:
    return {one.key: one for one in frontends}


def test_a_table_in_force_needs_nothing() -> None:
    one = frontend(WEB, "a")
    assert diff((one,), serving(one), protocols=BOTH) == Plan()


def test_equal_frontends_from_another_table_need_nothing() -> None:
    assert diff((frontend(WEB, "a"),), serving(frontend(WEB, "a")), protocols=BOTH) == Plan()


def test_new_ports_are_opened_and_old_ones_closed() -> None:
    new, old = frontend(WEB, "a"), frontend(DNS, "b")
    assert diff((new,), serving(old), protocols=BOTH) == Plan(close=(DNS,), open=(new,))


def test_other_targets_are_a_change_of_the_same_port() -> None:
    new = frontend(WEB, "a", "b")
    assert diff((new,), serving(frontend(WEB, "a")), protocols=BOTH) == Plan(change=(new,))


def test_a_port_that_changes_hands_is_not_closed_in_between() -> None:
    new = frontend(WEB, "b", service="s2")
    assert diff((new,), serving(frontend(WEB, "a")), protocols=BOTH) == Plan(change=(new,))


def test_the_older_of_two_claims_keeps_a_port() -> None:
    first, second = frontend(WEB, "a", service="s1"), frontend(WEB, "b", service="s2")
    plan = diff((second, first), {}, protocols=BOTH)
    assert plan.open == (first,)
    assert plan.refused == ("port 8080/tcp is claimed by services s1 and s2; s1 answers",)


def test_a_protocol_the_back_end_cannot_carry_is_refused_with_a_sentence() -> None:
    plan = diff((frontend(PortKey(Protocol.SCTP, 5000)),), {}, protocols=BOTH)
    assert plan.open == ()
    assert plan.refused == (
        "port 5000/sctp of service s1 is not answered on this node: "
        "its balancing back end cannot carry sctp",
    )


def row(*backends: Backend) -> ServiceEndpoints:
    return ServiceEndpoints(
        service_id=ServiceId("s1"),
        service_name="web",
        ports=(PublishedPort(Protocol.TCP, 8080, 80), PublishedPort(Protocol.UDP, 8080, 80)),
        backends=backends,
    )


def test_targets_are_where_the_tasks_say() -> None:
    backend = Backend(
        task_id=TaskId("a"),
        node_id=NodeId("n1"),
        address="10.0.0.7",
        ports=(PortMapping(Protocol.TCP, 80, 32_768),),
    )
    tcp, udp = FrontendCache().frontends(Tables(1, {ServiceId("s1"): row(backend)}))
    assert tcp.targets == (Target(TaskId("a"), "10.0.0.7", 32_768),)
    assert udp.targets == (Target(TaskId("a"), "10.0.0.7", 80),)


def test_weights_count_where_they_differ() -> None:
    a, b = (Backend(TaskId(name), NodeId("n1"), "10.0.0.7", weight=3) for name in "ab")
    for rows, weights in (((a, b), ()), ((a, replace(b, weight=1)), (3, 1))):
        service = replace(row(*rows), balance=Balance.LEAST_CONNECTION)
        tcp, _ = FrontendCache().frontends(Tables(1, {ServiceId("s1"): service}))
        assert (tcp.weights, tcp.balance) == (weights, Balance.LEAST_CONNECTION)


def test_frontends_of_an_unchanged_row_are_made_once() -> None:
    cache = FrontendCache()
    first = cache.frontends(Tables(1, {ServiceId("s1"): row()}))
    again = cache.frontends(Tables(2, {ServiceId("s1"): row()}))
    assert all(one is other for one, other in zip(first, again, strict=True))
    assert cache.frontends(Tables(3, {})) == ()


def test_a_port_that_is_to_answer_elsewhere_is_opened_anew() -> None:
    old, new = frontend(WEB, "a"), replace(frontend(WEB, "a"), addresses=("192.0.2.1",))
    plan = diff((new,), serving(old), protocols=BOTH)
    assert plan == Plan(close=(WEB,), open=(new,))
