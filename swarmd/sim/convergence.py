"""What must come about once the faults have stopped: desired equals observed, and nothing leaks.

`problems` says what is still missing, so that a swarm that does not converge says why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from swarmd.dispatcher.core.files import files_of
from swarmd.model.states import NodeState, Role, TaskState
from swarmd.model.task import Task
from swarmd.sim.agreement import state_digest
from swarmd.sim.machine import Machine
from swarmd.sim.networking import book_problems, network_problems
from swarmd.sim.settled import service_problems
from swarmd.sim.world import World
from swarmd.store.store import Store

ASYNCIO_TASKS_MAX = 250
CONNECTIONS_MAX = 60


def problems(world: World) -> Iterator[str]:
    """Everything that keeps the swarm from being what it should be."""
    store = world.store()
    if store is None:
        yield "there is no leader"
        return
    yield from _managers(world, store)
    yield from _nodes(world, store)
    for service in store.services():
        yield from service_problems(service, store)
    yield from network_problems(store)
    yield from _tasks(store)
    for machine in world.machines.values():
        yield from _machine(machine, store)


def _managers(world: World, store: Store) -> Iterator[str]:
    leader = world.leader()
    assert leader is not None
    assert leader.manager is not None
    books = leader.manager.books
    if books is None:
        yield f"{leader.name} leads and does not plan"
    else:
        yield from book_problems(books, store)
    members = {member.node_id for member in leader.manager.raft.members}
    managers = {str(node.id) for node in store.nodes() if node.role is Role.MANAGER}
    if members != managers:
        yield f"{sorted(members)} are members, {sorted(managers)} are managers"
    digest = state_digest(store)
    for machine in world.machines.values():
        manager = machine.manager
        if machine.node_id not in members:
            if manager is not None or not machine.disk.is_empty:
                yield f"{machine.name} is no member, but behaves like one"
        elif manager is None:
            yield f"manager {machine.name} has not started"
        elif manager.store.index != store.index or state_digest(manager.store) != digest:
            yield f"manager {machine.name} is at {manager.store.index}, the leader at {store.index}"


def _nodes(world: World, store: Store) -> Iterator[str]:
    for machine in world.machines.values():
        if store.find_node(machine.node_id) is None:
            yield f"{machine.name} has not joined"
    for node in store.nodes():
        if node.status.state is not NodeState.READY:
            yield f"node {node.id} is {node.status.state.value}: {node.status.message}"
        home = world.machine_of(node.id)
        if home is None:
            yield f"node {node.id} has no machine"
            continue
        if home.daemon is not None and home.daemon.session.manager is None:
            yield f"node {node.id} has no session"
        roles = {node.spec.role, node.role, home.papers.role if home.papers else None}
        if len(roles) > 1:
            yield f"node {node.id} is to be a {node.spec.role.value}, and is not altogether"


def _tasks(store: Store) -> Iterator[str]:
    for task in store.tasks():
        if store.find_service(task.service_id) is None:
            yield f"task {task.name} has outlived its service"
        if task.desired_state > TaskState.RUNNING and not task.status.state.terminal:
            yield f"task {task.name} is {task.status.state.word} but wanted to end"


def _machine(machine: Machine, store: Store) -> Iterator[str]:
    daemon, loop = machine.daemon, machine.loop
    if daemon is None or loop is None:
        yield f"{machine.name} is down"
        return
    tasks = {task.id: task for task in store.tasks_of_node(machine.node_id)}
    for container in machine.containers.running():
        task = tasks.get(container.task.id)
        if task is None or not _may_run(task):
            yield f"{machine.name} runs {container.task.name}, which should not run"
    for container in machine.containers.all():
        if container.task.id not in tasks:
            yield f"{machine.name} keeps {container.task.name}, which is no more"
    running = {container.task.id for container in machine.containers.running()}
    for task in tasks.values():
        if task.status.state is TaskState.RUNNING and task.id not in running:
            yield f"{machine.name} does not run {task.name}, which counts as running"
    known = {task_id for task_id, _ in daemon.worker.statuses()}
    if not known <= set(tasks):
        yield f"{machine.name} remembers {len(known - set(tasks))} tasks that are no more"
    needed = {file for task in tasks.values() for file in files_of(task)}
    if len(daemon.files) > len(needed):
        yield f"{machine.name} knows {len(daemon.files)} secrets and configs, needs {len(needed)}"
    if len(loop.tasks) > ASYNCIO_TASKS_MAX:
        yield f"{machine.name} has {len(loop.tasks)} asyncio tasks: {Counter(loop.tasks)}"
    if loop.connections > CONNECTIONS_MAX:
        yield f"{machine.name} has {loop.connections} open connections"


def _may_run(task: Task) -> bool:
    return (
        task.desired_state is TaskState.RUNNING
        and not task.status.state.terminal
        and task.status.state >= TaskState.STARTING
    )
