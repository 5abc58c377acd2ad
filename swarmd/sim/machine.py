"""A simulated machine: what survives its daemon, and what starts and kills the daemon."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from random import Random

from swarmd.agent.core.task_files import TaskFile
from swarmd.manager.manager import Manager
from swarmd.model.ids import NodeId
from swarmd.model.states import Role
from swarmd.model.task import Task
from swarmd.raft.config import RaftConfig
from swarmd.rpc.tls import GRPC_ALPN
from swarmd.sim.containers import Container, Containers
from swarmd.sim.custody import Custody
from swarmd.sim.daemon import JOIN_RETRY_S, PORT, Seat, SimChannel, SimDaemon
from swarmd.sim.disk import SimDisk
from swarmd.sim.enrolling import obtain
from swarmd.sim.identity import Papers
from swarmd.sim.loop import ProcessLoop
from swarmd.sim.network import Endpoint, Network, SimContext
from swarmd.sim.parts import MachineClock, SimWorker, TasksFile
from swarmd.sim.timeline import Timeline
from swarmd.store.changes import Transaction

ILLNESS_S = 10.0  # time enough for a daemon to notice, however slow


class Machine:
    """One node's machine. `daemon` is None while its process is dead.

    Args:
        papers: its certificate; a machine without one joins with `token`.
        managers: addresses of the managers that it knows in the beginning.
        on_manager: told each manager half that starts here.
        on_containers: told when a container has started or ended.
        on_files: told which files a task has got; None if it was refused them.
        on_left: told which node has left, and whether a manager has heard of it.
    """

    def __init__(
        self,
        timeline: Timeline,
        network: Network,
        *,
        name: str,
        host: str,
        papers: Papers | None,
        token: str = "",
        managers: tuple[str, ...],
        raft_config: RaftConfig,
        on_manager: Callable[[Machine, Manager], None],
        on_containers: Callable[[], None],
        on_files: Callable[[NodeId, Task, tuple[TaskFile, ...] | None], None],
        on_left: Callable[[NodeId, bool], None],
    ) -> None:
        self.name, self.host = name, host
        self.papers = papers
        self._token = token
        self.powered = True
        self.daemon: SimDaemon | None = None
        self.loop: ProcessLoop | None = None
        self.dead: list[ProcessLoop] = []
        self.starts = 0
        self.disk = SimDisk()
        self.tasks_file = TasksFile()
        self.clock = MachineClock(timeline)
        self.containers = Containers(timeline, name, changed=on_containers)
        self.containers.fell_ill = self._expect_end
        self.containers.furnished = lambda task, files: on_files(self.node_id, task, files)
        self.rng: Random = timeline.rng(f"machine:{name}")
        self.slow_disk = 0.0  # chance of a disk operation that takes seconds
        self.block_s = (0.0005, 0.004)
        self.repeating = 0.0  # share of repeatable calls that arrive twice
        self.fatal = ""  # why its manager half has stopped
        self.leaving = False  # its daemon is about to be no node any more
        self._timeline, self._network = timeline, network
        self._managers = managers
        self._raft_config = raft_config
        self._on_manager = on_manager
        self._on_left = on_left
        self._workers: list[SimWorker] = []

    @property
    def node_id(self) -> NodeId:
        """Its id in the cluster; empty until it has joined."""
        return self.papers.node_id if self.papers is not None else NodeId("")

    @property
    def is_manager(self) -> bool:
        """Whether its certificate is one of a manager."""
        return self.papers is not None and self.papers.role is Role.MANAGER

    @property
    def address(self) -> str:
        return f"{self.host}:{PORT}"

    @property
    def manager(self) -> Manager | None:
        """The running manager half."""
        return self.daemon.manager if self.daemon is not None else None

    @property
    def leads(self) -> bool:
        """Whether the manager here believes to lead."""
        manager = self.manager
        return manager is not None and manager.raft.is_leader

    def start(self, founding: Transaction | None = None) -> None:
        """Start the daemon, and the machine if it is off."""
        if self.loop is not None:
            return
        if not self.powered:
            self.powered = True
            self._network.down.discard(self.host)
            self._network.host_changed(self.host)
        self.starts += 1
        self.fatal = ""
        self._timeline.tell(self.name, "daemon starts")
        self._workers = []
        shown = self.papers.certificate if self.papers is not None else b""
        endpoint = self._endpoint = Endpoint(self._network, self.host, shown)
        loop = self.loop = ProcessLoop(
            self._timeline, f"{self.name}#{self.starts}", block_s=self._latency_s, endpoint=endpoint
        )
        if self.papers is None:
            loop.enter(lambda: self._join(loop), name="join")
        else:
            self._run_daemon(loop, self.papers, founding)

    async def _join(self, loop: ProcessLoop) -> None:
        """Hand in one request until it is answered. A process that dies takes its key along."""
        csr = f"request {self.starts} of {self.name}".encode()
        clock, rng = self.clock.of_process(), Random(self.rng.getrandbits(64))
        context = SimContext.make(b"", GRPC_ALPN)
        while True:
            papers = await obtain(
                self._managers,
                lambda address: SimChannel(address, context, clock),
                csr=csr,
                token=self._token,
                rng=rng,
            )
            if papers is not None:
                self._take(papers)
                self._run_daemon(loop, papers, None)
                return
            await asyncio.sleep(JOIN_RETRY_S)

    def _take(self, papers: Papers) -> None:
        """Have another certificate, to be shown from now on."""
        self._timeline.tell(self.name, f"is {papers.node_id}, a {papers.role.value}")
        self.papers = papers
        self._endpoint.certificate = papers.certificate

    def _run_daemon(self, loop: ProcessLoop, papers: Papers, founding: Transaction | None) -> None:
        seat = Seat(
            node_id=papers.node_id,
            host=self.host,
            role=lambda: self.papers.role if self.papers is not None else papers.role,
            renewed=self._take,
            others=self._managers,
            learnt=self._learn,
            raft_disk=self.disk,
            tasks_file=self.tasks_file,
            containers=self.containers,
            clock=self.clock.of_process(),
            repeats=self._repeats,
            custody=lambda: Custody(self._timeline, self.name),
        )
        daemon = self.daemon = loop.run_within(
            lambda: SimDaemon(
                seat,
                rng=Random(self.rng.getrandbits(64)),
                raft_config=self._raft_config,
                make_worker=lambda name: self._worker(loop),
                founding=founding,
                on_manager=lambda manager: self._on_manager(self, manager),
                on_fatal=self._failed,
                on_damage=self._damaged,
            )
        )
        loop.enter(daemon.run, name="daemon")

    def _learn(self, managers: tuple[str, ...]) -> None:
        self._managers = managers

    def kill(self) -> None:
        """Kill the daemon; containers and everything written stay."""
        if self.loop is None:
            return
        self._timeline.tell(self.name, "daemon killed")
        for worker in self._workers:
            worker.interrupt(self.disk, self.rng)
        self.loop.kill()
        self.dead.append(self.loop)
        self.daemon = self.loop = None
        self.leaving = False

    def leave(self, token: str) -> None:
        """Have a worker leave the swarm; when it has, its machine joins again with `token`."""
        daemon = self.daemon
        if self.loop is None or daemon is None or self.is_manager or self.leaving:
            return
        self._timeline.tell(self.name, f"{self.node_id} is to leave")
        self.leaving = True
        self._token = token
        self.loop.enter(lambda: self._leave(daemon), name="leave")

    async def _leave(self, daemon: SimDaemon) -> None:
        told = await daemon.leave()
        if self.containers.all():
            left = ", ".join(container.task.name for container in self.containers.all())
            self._timeline.accuse(f"{self.node_id} has left, and {self.name} keeps {left}")
        self._on_left(self.node_id, told)
        self._timeline.call_at(self._timeline.now, partial(self._forget, daemon))

    def _forget(self, daemon: SimDaemon) -> None:
        """Be a machine that was never in a swarm."""
        if self.daemon is not daemon:
            return
        self.kill()
        self.papers = None
        self.disk.wipe()
        self.tasks_file = TasksFile()
        self._timeline.call_at(self._timeline.now + self.rng.uniform(0.1, 3.0), self.start)

    def bury(self) -> None:
        """Let go of the daemon and all before it; the run is over."""
        if self.loop is not None:
            self.loop.kill()
            self.dead.append(self.loop)
        self.daemon = self.loop = None
        for loop in self.dead:
            loop.bury()
        self.dead.clear()

    def cut_power(self) -> None:
        """Switch the machine off: unsynced writes and all containers are lost."""
        self.kill()
        if not self.powered:
            return
        self._timeline.tell(self.name, "power cut")
        self.powered = False
        self._network.down.add(self.host)
        self._network.host_changed(self.host)
        self.disk.lose_power(self.rng)
        self.tasks_file.lose_power(self.rng)
        self.containers.lose_power()

    def wipe_raft(self) -> None:
        """Lose the Raft directory of a daemon that is down."""
        assert self.loop is None, "a disk is changed while nobody uses it"
        self._timeline.tell(self.name, "raft directory wiped")
        self.disk.wipe()

    def _worker(self, loop: ProcessLoop) -> SimWorker:
        worker = SimWorker(loop, self._latency_s)
        self._workers.append(worker)
        return worker

    def _latency_s(self) -> float:
        if self.slow_disk and self.rng.random() < self.slow_disk:
            return self.rng.uniform(0.2, 1.5)
        return self.rng.uniform(*self.block_s)

    def _repeats(self) -> float | None:
        if self.repeating and self.rng.random() < self.repeating:
            return self.rng.uniform(0.0, 3.0)
        return None

    def _expect_end(self, container: Container) -> None:
        """A daemon that is not disturbed ends what is not well any more."""
        began, loop = self._timeline.now, self.loop

        def judge() -> None:
            if loop is None or self.loop is not loop or loop.paused:
                return
            if container.code is None and loop.undisturbed_since <= began:
                name = container.task.name
                self._timeline.accuse(f"{name} on {self.name} is not well and goes on")

        self._timeline.call_at(began + ILLNESS_S, judge)

    def _failed(self, reason: str) -> None:
        """No simulated fault gives the product a reason for this."""
        self.fatal = reason
        self._timeline.accuse(f"the manager on {self.name} stopped for good: {reason}")

    def _damaged(self, reason: str) -> None:
        """A disk that lied is found out: the operator wipes it, and the manager joins anew."""
        if not self.disk.has_lied:
            self._timeline.accuse(f"{self.name} refuses its Raft directory: {reason}")
            return
        self._timeline.tell(self.name, f"Raft directory refused: {reason}")
        self._timeline.call_at(self._timeline.now, self._start_over)

    def _start_over(self) -> None:
        if self.daemon is not None:
            self.kill()
            self.wipe_raft()
            self.start()
