"""A simulated swarm: machines on a network, managers and workers, all from one seed."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from swarmd.agent.core.task_files import TaskFile
from swarmd.manager.manager import Manager
from swarmd.model.cluster import Cluster, ClusterSpec
from swarmd.model.ids import NodeId
from swarmd.model.node import Node, NodeSpec
from swarmd.model.states import Role
from swarmd.model.task import Task
from swarmd.raft.books import clocked_by
from swarmd.raft.config import RaftConfig
from swarmd.sim.client import Client, Ledger
from swarmd.sim.daemon import PORT
from swarmd.sim.furniture import furniture
from swarmd.sim.identity import CLUSTER, ROOT, Papers
from swarmd.sim.loop import ProcessLoop
from swarmd.sim.machine import Machine
from swarmd.sim.network import Network
from swarmd.sim.timeline import Timeline
from swarmd.store.changes import Create, Transaction
from swarmd.store.store import Store


class World:
    """Machines, their network and the time they share.

    Use it within `running`, which makes the consensus core and the log follow virtual time.
    """

    def __init__(
        self, seed: int, *, managers: int, workers: int, raft_config: RaftConfig, spec: ClusterSpec
    ) -> None:
        self.timeline = Timeline(seed)
        self.network = Network(self.timeline)
        self.observers: list[Callable[[Machine, Manager], None]] = []
        self.container_observers: list[Callable[[], None]] = []
        self.leave_observers: list[Callable[[NodeId, bool], None]] = []
        self.spec = spec
        addresses = tuple(f"10.0.0.{number + 1}:{PORT}" for number in range(managers))
        self.addresses = addresses
        self.machines: dict[str, Machine] = {}
        self._raft_config = raft_config
        self.clients: list[Client] = []
        self.ledger = Ledger()
        for number in range(managers + workers):
            is_manager = number < managers
            name = f"m{number + 1}" if is_manager else f"w{number + 1 - managers}"
            role = Role.MANAGER if is_manager else Role.WORKER
            self._add_machine(name, f"10.0.0.{number + 1}", Papers(NodeId(name), role))

    @contextmanager
    def running(self) -> Iterator[None]:
        """The block in which the world may be used.

        Memory is not reclaimed by cycles meanwhile: when that happens would otherwise decide when
        abandoned objects run their clean-up.
        """
        logger = logging.getLogger("swarmd")
        level, propagate = logger.level, logger.propagate
        narrator = _Narrator(self.timeline)
        gc.collect()
        gc.disable()
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.addHandler(narrator)
        try:
            with clocked_by(lambda: self.timeline.now):
                yield
        finally:
            narrator.deaf = True
            self._bury()
            logger.removeHandler(narrator)
            logger.setLevel(level)
            logger.propagate = propagate
            gc.enable()

    def _bury(self) -> None:
        """Let go of all processes. What their clean-up says then concerns nobody."""
        hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
        try:
            for machine in self.machines.values():
                machine.bury()
            for client in self.clients:
                client.loop.kill()
                client.loop.bury()
            gc.collect()
        finally:
            sys.unraisablehook = hook

    def admit(self, role: Role) -> None:
        """Start another machine, which is to join with a token."""
        number = len(self.machines) + 1
        self._add_machine(f"n{number}", f"10.0.0.{number}", None, token_for(role)).start()

    def machine_of(self, node_id: str) -> Machine | None:
        """The machine that a node runs on."""
        return next((m for m in self.machines.values() if m.node_id == node_id), None)

    def node_ids(self) -> frozenset[str] | None:
        """Of all machines; None while some are about to join, or to leave."""
        if any(m.papers is None or m.leaving for m in self.machines.values()):
            return None
        return frozenset(machine.node_id for machine in self.machines.values())

    def workers(self) -> tuple[NodeId, ...]:
        """Nodes that have not been managers from the beginning, whatever they are now."""
        machines = [m for m in self.machines.values() if m.address not in self.addresses]
        return tuple(machine.node_id for machine in machines if machine.papers is not None)

    @property
    def managers(self) -> tuple[Machine, ...]:
        return tuple(m for m in self.machines.values() if m.is_manager)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The addresses of all machines, those of clients included."""
        return (
            *(machine.host for machine in self.machines.values()),
            *(client.host for client in self.clients),
        )

    def add_client(self) -> Client:
        """Another client, on a machine of its own."""
        number = len(self.clients) + 1
        client = Client(
            self.timeline,
            self.network,
            self.ledger,
            name=f"c{number}",
            host=f"10.0.1.{number}",
            managers=lambda: tuple(machine.address for machine in self.managers),
        )
        self.clients.append(client)
        return client

    def begin(self) -> None:
        """Found the cluster on the first manager and start everybody."""
        first, *others = self.machines.values()
        first.start(founding=self._founding())
        for machine in others:
            machine.start()

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass, at most until `until` holds; returns whether it does."""
        return self.timeline.run_until(self.timeline.now + seconds, until)

    def leader(self) -> Machine | None:
        """The machine that leads in the latest term, if one believes to."""
        leading = [m for m in self.managers if m.leads]
        return max(leading, key=_term, default=None)

    def store(self) -> Store | None:
        """The leader's state."""
        leader = self.leader()
        manager = leader.manager if leader is not None else None
        return manager.store if manager is not None else None

    def _add_machine(self, name: str, host: str, papers: Papers | None, token: str = "") -> Machine:
        machine = self.machines[name] = Machine(
            self.timeline,
            self.network,
            name=name,
            host=host,
            papers=papers,
            token=token,
            managers=self.addresses,
            raft_config=self._raft_config,
            on_manager=self._manager_starts,
            on_containers=self._containers_changed,
            on_files=self._check_files,
            on_left=self._node_left,
        )
        return machine

    def _founding(self) -> Transaction:
        nodes = [
            Create(
                Node(
                    id=papers.node_id,
                    spec=NodeSpec(name=papers.node_id, role=papers.role),
                    role=papers.role,
                )
            )
            for machine in self.machines.values()
            if (papers := machine.papers) is not None
        ]
        cluster = Cluster(id=CLUSTER, spec=self.spec, root_ca=ROOT)
        return Transaction((Create(cluster), *furniture(cluster), *nodes))

    def _manager_starts(self, machine: Machine, manager: Manager) -> None:
        for observer in self.observers:
            observer(machine, manager)

    def _containers_changed(self) -> None:
        for observer in self.container_observers:
            observer()

    def _node_left(self, node_id: NodeId, told: bool) -> None:
        for observer in self.leave_observers:
            observer(node_id, told)

    def _check_files(self, node_id: NodeId, task: Task, files: tuple[TaskFile, ...] | None) -> None:
        """A task gets what is in its secrets and configs, and is refused only what is no more."""
        store, container = self.store(), task.spec.container_spec
        if store is None or container is None:
            return
        given = {file.data for file in files or ()}
        wanted = (
            *(store.find_secret(secret.secret_id) for secret in container.secrets),
            *(store.find_config(config.config_id) for config in container.configs),
        )
        for file in wanted:
            if file is not None and file.spec.data not in given:
                what = "lacks" if files is None else "has got something else for"
                self.timeline.accuse(f"{task.name} on {node_id} {what} {file.spec.name}")


def token_for(role: Role) -> str:
    """What a machine joins with."""
    tokens = ROOT.join_tokens
    return tokens.manager if role is Role.MANAGER else tokens.worker


class _Narrator(logging.Handler):
    """Puts the product's log into the story. A crash of a component is a violation."""

    def __init__(self, timeline: Timeline) -> None:
        super().__init__()
        self.deaf = False
        self._timeline = timeline

    def emit(self, record: logging.LogRecord) -> None:
        if self.deaf:
            return
        loop = asyncio._get_running_loop()
        who = loop.name if isinstance(loop, ProcessLoop) else "world"
        self._timeline.tell(who, f"{record.levelname} {record.getMessage()}")
        if record.exc_info and record.levelno >= logging.ERROR:
            error = record.exc_info[1]
            self._timeline.accuse(f"{who}: {record.getMessage()}: {error!r}")
            self._timeline.violations[-1].__cause__ = error


def _term(machine: Machine) -> int:
    assert machine.manager is not None
    return machine.manager.raft.term
