"""Secrets and configs go to nodes whose tasks need them, to no others, and not for longer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from swarmd.dispatcher.core.assignments import AssignmentChain, concerns_the_node
from swarmd.dispatcher.core.files import FileKey, files_of
from swarmd.dispatcher.messages import assignments_message
from swarmd.model.ids import ConfigId, NetworkId, NodeId, SecretId, TaskId
from swarmd.model.network import Network, NetworkAttachment, NetworkSpec
from swarmd.model.registry_login import login_id
from swarmd.model.secret import Config, ConfigSpec, Secret, SecretSpec
from swarmd.model.spec import ConfigReference, ContainerSpec, SecretReference, TaskSpec
from swarmd.model.states import TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.rpc.pb import dispatcher as pb
from swarmd.store.changes import Create, Kind
from tests.support.manager import a_manager, a_task

N1 = NodeId("n1")
KEY, CONF = FileKey(Kind.SECRET, "key"), FileKey(Kind.CONFIG, "conf")


def needing(name: str, *secrets: str, configs: tuple[str, ...] = ()) -> Task:
    container = ContainerSpec(
        image="web:1",
        secrets=tuple(SecretReference(secret_id=secret) for secret in secrets),
        configs=tuple(ConfigReference(config_id=config) for config in configs),
    )
    return replace(a_task(name, node="n1"), spec=TaskSpec(container_spec=container))


def in_state(task: Task, state: TaskState) -> Task:
    return replace(task, status=TaskStatus(state=state))


def test_files_come_with_the_first_task_that_needs_them_and_go_with_the_last() -> None:
    chain = AssignmentChain(N1)
    one, two = needing("t1", "key", configs=("conf",)), needing("t2", "key")
    assert set(chain.begin([one]).files) == {KEY, CONF}
    tasks = {one.id: one, two.id: two}
    step = chain.advance([two.id], tasks.get)
    assert step is not None
    assert step.files == ()
    tasks[one.id] = in_state(one, TaskState.COMPLETE)
    step = chain.advance([one.id], tasks.get)
    assert step is not None
    assert (step.updates, step.removed_files) == ((), (CONF,))
    del tasks[two.id]
    step = chain.advance([two.id], tasks.get)
    assert step is not None
    assert step.removed_files == (KEY,)


def test_the_chain_does_not_count_messages_that_were_not_sent() -> None:
    chain = AssignmentChain(N1)
    task = needing("t1", "key")
    chain.begin([task])
    assert chain.advance([task.id], {task.id: task}.get) is None
    step = chain.advance([task.id], dict[TaskId, Task]().get)
    assert step is not None
    assert (step.applies_to, step.results_in) == ("1", "2")


def test_a_task_that_ends_concerns_its_node_only_if_it_had_files() -> None:
    plain, task = a_task("t1", node="n1", state=TaskState.RUNNING), needing("t2", "key")
    running = in_state(task, TaskState.RUNNING)
    assert not concerns_the_node(plain, in_state(plain, TaskState.COMPLETE))
    assert concerns_the_node(running, in_state(running, TaskState.FAILED))


def test_messages_carry_what_is_in_the_files_and_the_networks_whole() -> None:
    store, writer = a_manager()
    writer.write(
        Create(Secret(id=SecretId("key"), spec=SecretSpec(name="key", data=b"hidden"))),
        Create(Config(id=ConfigId("conf"), spec=ConfigSpec(name="conf", data=b"open"))),
        Create(Network(id=NetworkId("back"), spec=NetworkSpec(name="Back"))),
    )
    place = NetworkAttachment(network_id=NetworkId("back"), addresses=("10.0.0.2/24",))
    task = replace(needing("t1", "key", "gone", configs=("conf",)), networks=(place,))
    chain = AssignmentChain(N1)
    message = pb.AssignmentsMessage.FromString(assignments_message(chain.begin([task]), store))
    found = {change.assignment.WhichOneof("item"): change.assignment for change in message.changes}
    assert found["secret"].secret.spec.data == b"hidden"
    assert found["config"].config.spec.data == b"open"
    assert found["task"].task.networks[0].network.spec.annotations.name == "Back"
    assert found["task"].task.networks[0].addresses == ["10.0.0.2/24"]
    assert len(message.changes) == 3  # the secret that is gone can't be sent
    step = chain.advance([task.id], dict[TaskId, Task]().get)
    assert step is not None
    message = pb.AssignmentsMessage.FromString(assignments_message(step, store))
    removed = {
        (change.assignment.WhichOneof("item"), change.assignment.secret.spec.data)
        for change in message.changes
        if change.action == pb.AssignmentChange.REMOVE
    }
    assert removed == {("task", b""), ("secret", b""), ("config", b"")}


steps = st.lists(
    st.tuples(
        st.sampled_from(["t1", "t2", "t3"]),
        st.sets(st.sampled_from(["a", "b"]), max_size=2),
        st.sampled_from(
            [None, TaskState.ASSIGNED, TaskState.RUNNING, TaskState.COMPLETE, TaskState.PENDING]
        ),
    ),
    max_size=20,
)


@given(steps)
def test_a_node_always_has_exactly_the_files_of_its_live_tasks(
    history: list[tuple[str, set[str], TaskState | None]],
) -> None:
    chain, tasks, held = AssignmentChain(N1), dict[TaskId, Task](), set[FileKey]()
    chain.begin([])
    for name, secrets, state in history:
        tasks.pop(TaskId(name), None)
        if state is not None:
            tasks[TaskId(name)] = in_state(needing(name, *sorted(secrets)), state)
        step = chain.advance([TaskId(name)], tasks.get)
        if step is not None:
            assert not held & set(step.files)
            assert held >= set(step.removed_files)
            held = (held | set(step.files)) - set(step.removed_files)
        given_out = [task for task in tasks.values() if task.status.state >= TaskState.ASSIGNED]
        assert held == {key for task in given_out for key in files_of(task)}


def test_the_login_to_an_images_registry_comes_and_goes_with_its_tasks_and_is_renewed() -> None:
    versions: dict[str, int] = {}
    chain = AssignmentChain(N1, versions.get)
    task, login = needing("t1"), login_id("docker.io")
    assert chain.begin([task]).files == ()
    versions[login] = 7
    tasks = {task.id: task}
    step = chain.advance([task.id], tasks.get)
    assert step is not None
    assert (step.files, step.updates) == ((FileKey(Kind.SECRET, login, 7),), ())
    versions[login] = 9
    step = chain.advance([task.id], tasks.get)
    assert step is not None
    assert (step.files, step.removed_files) == ((FileKey(Kind.SECRET, login, 9),), ())
    tasks[task.id] = in_state(task, TaskState.FAILED)
    step = chain.advance([task.id], tasks.get)
    assert step is not None
    assert step.removed_files == (FileKey(Kind.SECRET, login, 9),)


def test_a_login_to_one_registry_is_not_for_images_of_another() -> None:
    versions = {login_id("reg.test"): 1}
    assert files_of(needing("t1"), versions.get) == frozenset()
