"""What-if questions: the answers, and that asking changes nothing."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from msgspec.structs import replace

from swarmd.model.env import Env
from swarmd.model.errors import Rejection
from swarmd.model.spec import Cron, GlobalMode, ReplicatedJob, ServiceMode, Stateful
from swarmd.model.states import Availability, Concurrency, NodeState
from swarmd.orchestrator.whatif import Outcome, rehearse
from swarmd.orchestrator.whatif.hypothesis import (
    Hypothesis,
    NodeDown,
    NodeDrained,
    NodesAdded,
    ServiceCreated,
    ServiceRemoved,
    ServiceScaled,
    ServiceUpdated,
)
from swarmd.runtime.chance import RandomIds
from tests.support.cluster import Swarm, a_node, a_service_spec, a_task_spec


def ask(swarm: Swarm, *hypotheses: Hypothesis) -> Outcome:
    """The answer, after which everything must be as it was."""
    before = swarm.store.records()
    env = Env(swarm.now, RandomIds(random.Random(7)), random.Random(8))
    outcome = rehearse(swarm.store.index, before, hypotheses, env)
    assert swarm.store.records() == before
    return outcome


def kinds(outcome: Outcome) -> Counter[str]:
    return Counter(shift.kind for shift in outcome.shifts)


def after(outcome: Outcome) -> dict[str, int]:
    return {load.hostname: load.tasks_after for load in outcome.loads}


def test_a_quiet_swarm_asked_nothing_stays_as_it_is() -> None:
    swarm = Swarm(nodes=3)
    swarm.create(a_service_spec(replicas=5))
    swarm.converge()
    outcome = ask(swarm)
    assert outcome.shifts == ()
    assert outcome.settled
    assert all(load.tasks_before == load.tasks_after for load in outcome.loads)


@pytest.mark.parametrize("what", [NodeDown, NodeDrained])
def test_the_tasks_of_a_node_that_goes_move_to_the_others(
    what: type[NodeDown] | type[NodeDrained],
) -> None:
    swarm = Swarm(nodes=3)
    swarm.create(a_service_spec(replicas=6))
    swarm.converge()
    outcome = ask(swarm, what("n2"))
    assert kinds(outcome) == {"moved": 2}
    assert {shift.from_node for shift in outcome.shifts} == {"n2"}
    assert all("n2" in shift.reason for shift in outcome.shifts)
    assert after(outcome) == {"n1": 3, "n2": 0, "n3": 3}
    assert outcome.pending == 0


def test_tasks_that_would_find_no_room_say_why() -> None:
    swarm = Swarm(nodes=2)
    swarm.create(a_service_spec(replicas=2, task=a_task_spec(cpus=4)))
    swarm.converge()
    outcome = ask(swarm, NodeDown("n1"))
    (shift,) = outcome.shifts
    assert (shift.kind, shift.from_node, shift.to_node) == ("pending", "n1", "")
    assert "insufficient resources on 1 node" in shift.reason
    assert outcome.pending == 1


def test_a_service_that_does_not_exist_yet_shows_where_it_would_be() -> None:
    swarm = Swarm(nodes=2)
    task = a_task_spec(cpus=2)
    outcome = ask(swarm, ServiceCreated(a_service_spec("new", replicas=5, task=task)))
    assert kinds(outcome) == {"started": 4, "pending": 1}
    assert after(outcome) == {"n1": 2, "n2": 2}
    assert [load.nano_cpus_after for load in outcome.loads] == [4 * 10**9, 4 * 10**9]


def test_scaling_shows_what_comes_and_what_goes() -> None:
    swarm = Swarm(nodes=2)
    swarm.create(a_service_spec(replicas=2))
    swarm.converge()
    assert kinds(ask(swarm, ServiceScaled("web", 5))) == {"started": 3}
    assert kinds(ask(swarm, ServiceScaled("web", 1))) == {"stopped": 1}
    assert kinds(ask(swarm, ServiceRemoved("web"))) == {"stopped": 2}


def test_an_update_runs_to_its_end() -> None:
    swarm = Swarm(nodes=2)
    service_id = swarm.create(a_service_spec(replicas=4))
    swarm.converge()
    spec = swarm.store.get_service(service_id).spec
    new = replace(spec, task_template=a_task_spec(image="web:2"))
    outcome = ask(swarm, ServiceUpdated("web", new))
    assert outcome.settled
    assert sum(kinds(outcome).values()) == 4
    assert not outcome.pending
    assert outcome.duration_ns > 0


def test_added_nodes_take_what_waits_for_room() -> None:
    swarm = Swarm()
    swarm.put_node(a_node("n1", labels={"disk": "ssd"}))
    task = a_task_spec(cpus=4)
    swarm.create(a_service_spec(replicas=3, task=task))
    swarm.converge()
    outcome = ask(swarm, NodesAdded(2, like="n1"))
    assert kinds(outcome) == {"started": 2}
    assert {shift.to_node for shift in outcome.shifts} == {"n1-new1", "n1-new2"}


def test_several_things_happen_together() -> None:
    swarm = Swarm(nodes=2)
    swarm.create(a_service_spec(replicas=2, task=a_task_spec(cpus=4)))
    swarm.converge()
    outcome = ask(swarm, NodesAdded(1, like="n1"), NodeDown("n1"))
    (shift,) = outcome.shifts
    assert (shift.kind, shift.from_node, shift.to_node) == ("moved", "n1", "n1-new1")


def test_preemption_shows_who_would_have_to_go() -> None:
    swarm = Swarm(nodes=1)
    swarm.create(a_service_spec("batch", task=a_task_spec(cpus=4)))
    swarm.converge()
    task = a_task_spec(cpus=4, priority=10)
    outcome = ask(swarm, ServiceCreated(a_service_spec("web", task=task)))
    assert [(s.service_name, s.kind) for s in outcome.shifts] == [
        ("batch", "pending"),
        ("web", "started"),
    ]


def test_every_mode_can_be_asked_about() -> None:
    swarm = Swarm(nodes=3)
    swarm.create(a_service_spec("everywhere", mode=ServiceMode(global_=GlobalMode())))
    stateful = ServiceMode(stateful=Stateful(replicas=3))
    swarm.create(a_service_spec("db", mode=stateful))
    job = ServiceMode(replicated_job=ReplicatedJob(total_completions=3))
    swarm.create(a_service_spec("job", mode=job))
    swarm.converge()
    outcome = ask(swarm, NodeDown("n1"))
    moved = Counter(shift.service_name for shift in outcome.shifts if shift.kind == "moved")
    assert moved == {"db": 1, "job": 1}
    assert [s.kind for s in outcome.shifts if s.service_name == "everywhere"] == ["stopped"]
    assert kinds(ask(swarm, ServiceScaled("db", 5))) == {"started": 2}
    with pytest.raises(Rejection, match="cannot be scaled"):
        ask(swarm, ServiceScaled("everywhere", 2))


def test_a_schedule_that_goes_on_for_ever_does_not_keep_the_answer() -> None:
    swarm = Swarm(nodes=1)
    swarm.create(
        a_service_spec(
            "tick", mode=ServiceMode(cron=Cron(schedule="* * * * *", concurrency=Concurrency.ALLOW))
        )
    )
    outcome = ask(swarm, NodesAdded(1, like="n1"))
    assert not outcome.settled


@pytest.mark.parametrize(
    "what",
    [
        pytest.param(NodeDown("nobody"), id="node down"),
        pytest.param(NodeDrained("nobody"), id="node drained"),
        pytest.param(NodesAdded(1, like="nobody"), id="like nobody"),
        pytest.param(NodesAdded(0, like="n1"), id="no nodes"),
        pytest.param(ServiceScaled("nothing", 1), id="scaled"),
        pytest.param(ServiceUpdated("nothing", a_service_spec()), id="updated"),
        pytest.param(ServiceRemoved("nothing"), id="removed"),
        pytest.param(ServiceCreated(a_service_spec("web")), id="name taken"),
    ],
)
def test_what_cannot_be_is_refused(what: Hypothesis) -> None:
    swarm = Swarm(nodes=1)
    swarm.create(a_service_spec("web"))
    with pytest.raises(Rejection):
        ask(swarm, what)


def test_the_answer_is_what_then_happens() -> None:
    swarm = Swarm(nodes=4)
    swarm.create(a_service_spec("a", replicas=7))
    swarm.create(a_service_spec("b", replicas=3, task=a_task_spec(cpus=1)))
    swarm.converge()
    expected = after(ask(swarm, NodeDown("n3"), NodeDrained("n4")))
    swarm.set_node("n3", state=NodeState.DOWN)
    swarm.set_node("n4", availability=Availability.DRAIN)
    swarm.converge()
    found = Counter(
        task.node_id
        for name in ("s-a", "s-b")
        for task in swarm.running(name)  # type: ignore[arg-type]
    )
    assert found == {node: count for node, count in expected.items() if count}
