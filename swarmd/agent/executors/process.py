"""The executor that runs commands of the node itself as tasks; it needs nothing installed.

Each task is a process in its own session, cgroup and (with privileges) mount, IPC and UTS
namespaces, and in a network namespace if it is on overlays (`process_network`). The keeper is its
parent; this side decides, asks and listens. What the keeper says after a restart of either is where
a task really stands.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from swarmd.agent.core import launch as launching
from swarmd.agent.core.task_machine import Surroundings
from swarmd.agent.dataplane.plane import Home
from swarmd.agent.executors import groups
from swarmd.agent.executors import process_words as words
from swarmd.agent.executors.accounts import Account, look_up
from swarmd.agent.executors.attached import LOST, AttachedProcess, Ending, attach
from swarmd.agent.executors.base import NodeContext, TaskFailure, TemporaryFailure
from swarmd.agent.executors.keeper_link import KeeperLink, KeeperLost
from swarmd.agent.executors.ports import NoPortLeft, Ports, refused_address
from swarmd.agent.executors.process_files import ProcessFiles, is_covered
from swarmd.agent.executors.process_network import ProcessNetwork, own_ports
from swarmd.agent.executors.process_session import run_beside
from swarmd.agent.executors.session import Access, Command, NoSession, Session
from swarmd.agent.files import NodeFiles
from swarmd.agent.leases import Leases
from swarmd.agent.log_reader import last_words
from swarmd.agent.volumes.mounting import Mounter
from swarmd.agent.volumes.store import VolumeStore
from swarmd.model import defaults
from swarmd.model.ids import TaskId
from swarmd.model.spec import PortConfig
from swarmd.model.states import Protocol, PublishMode, TaskState
from swarmd.model.task import ContainerStatus, Task
from swarmd.model.template import TemplateContext, template_context
from swarmd.runtime.clock import SystemClock
from swarmd.runtime.timeouts import timeout

log = logging.getLogger(__name__)

RETRY_S = 0.1
ASK_AGAIN_S = 1.0
LEASES_SINCE = 2  # version of the protocol with the keeper


class ProcessExecutor:
    """Runs the process tasks of one node below `directory`, the worker's part of the state.

    Args:
        published: ports on which the node answers for services; they are not given to tasks.
        leases: the node's contact with the managers, for tasks that may not outlast it.
        files: the secrets and configs of the node's tasks.
        mounter: makes ready what tasks mount.
        network: connects tasks; without, they share the node's network.
    """

    def __init__(
        self,
        directory: Path,
        node: NodeContext,
        *,
        published: Callable[[], Iterable[tuple[Protocol, int]]] = tuple,
        ports_start: int | None = None,
        leases: Leases | None = None,
        files: NodeFiles | None = None,
        mounter: Mounter | None = None,
        network: ProcessNetwork | None = None,
    ) -> None:
        self.node = node
        self.leases = leases or Leases()
        self.leases.on_answer = self._renew
        self.ports = Ports(ports_start)
        self.network = network
        self._published = published
        volumes = VolumeStore(directory / "volumes", now=SystemClock().now)
        self.files = ProcessFiles(
            node,
            mounter or Mounter(volumes, hostname=node.hostname),
            files if files is not None else NodeFiles(),
        )
        self._logs = directory / "logs"
        self._run = directory / "run"
        self.on_keeper: Callable[[], None] = lambda: None  # told of every keeper after the first
        self._controllers: dict[TaskId, ProcessController] = {}
        self._known: dict[TaskId, dict[str, Any]] = {}
        self.link = KeeperLink(self._run, node.node_id, ended=self._ended, renewed=self._renewed)

    def describe(self) -> str:
        return words.describe_executor(self.link.facts)

    def log_directory(self, task_id: TaskId) -> Path:
        return self._logs / task_id

    async def start(self) -> frozenset[TaskId]:
        for directory in (self._logs, self._run):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self.link.open()
        # Logs nobody has a record of are a task's leftovers, too.
        logged = (TaskId(path.name) for path in self._logs.iterdir())
        return frozenset((*self._known, *logged))

    def controller(self, task: Task) -> ProcessController:
        node = self.node
        context = template_context(
            task,
            node_id=node.node_id,
            hostname=node.hostname,
            os=node.platform.os,
            arch=node.platform.architecture,
        )
        try:
            launch = launching.launch(task, context)
        except launching.Unfit as error:
            raise TaskFailure(str(error)) from None
        controller = ProcessController(self, task, launch, context)
        self.files.adopt(task, launch)
        self._controllers[task.id] = controller
        self.leases.hold(task.id, task.lease_ns)
        self.ports.publish(
            task.id,
            (
                (port.protocol, port.published_port)
                for port in task.ports
                if port.published_port and port.publish_mode is PublishMode.INGRESS
            ),
        )
        summary = self._known.get(task.id)
        if summary is not None:
            controller.adopt(summary)
        elif task.status.state == TaskState.RUNNING:
            controller.lost()
        return controller

    def allocate(self, task: Task, *, privileged: bool) -> tuple[PortConfig, ...]:
        self.ports.publish("node", self._published())
        try:
            return self.ports.allocate(task.id, task.ports, privileged=privileged)
        except NoPortLeft as error:
            raise TaskFailure(str(error)) from None

    def release(self, task_id: TaskId) -> None:
        """Forget the controller of a task that was removed."""
        self.leases.drop(task_id)
        self.ports.release(task_id)
        self.ports.publish(task_id, ())
        self._controllers.pop(task_id, None)
        self._known.pop(task_id, None)

    async def destroy(self, task_id: TaskId) -> None:
        while True:
            try:
                await self.link.request("stop", id=task_id, signal=9, grace_ns=0)
                answer = await self.link.request("forget", id=task_id)
            except KeeperLost as error:
                log.warning("task.destroy.delayed task.id=%s reason=%s", task_id, error)
                answer = {"forgotten": False}
            if answer.get("forgotten"):
                break
            await asyncio.sleep(RETRY_S)
        self.release(task_id)
        if self.network is not None:
            await self.network.leave(task_id)
        await self.files.forget(task_id)
        await asyncio.to_thread(shutil.rmtree, self.log_directory(task_id), ignore_errors=True)

    async def close(self) -> None:
        await self.link.close()
        if self.network is not None:
            await self.network.close()

    def _renew(self, contact: int) -> None:
        self.link.tell("lease", contact=contact)

    def _ended(self, record: dict[str, Any]) -> None:
        task_id = TaskId(record["id"])
        self._known[task_id] = {**self._known.get(task_id, {}), "exit": record}
        controller = self._controllers.get(task_id)
        if controller is not None:
            controller.ended(record)

    def _renewed(self, tasks: list[dict[str, Any]]) -> None:
        self._known = {TaskId(summary["id"]): summary for summary in tasks}
        for task_id, controller in self._controllers.items():
            if task_id in self._known:
                controller.adopt(self._known[task_id])
            elif controller.started:
                controller.lost()
        self.on_keeper()


class ProcessController:
    """One process task."""

    def __init__(
        self,
        executor: ProcessExecutor,
        task: Task,
        launch: launching.Launch,
        context: TemplateContext,
    ) -> None:
        self.started = False
        self._executor = executor
        self._task = task
        self._launch = launch
        self._context = context
        self._account: Account | None = None
        self._pid = 0
        self._ports: tuple[PortConfig, ...] = task.status.ports
        self._unapplied: tuple[str, ...] = ()
        self._exit: dict[str, Any] | None = None
        self._over = asyncio.Event()
        self._ending = Ending()
        if self._ports and not task.status.state.terminal:
            executor.ports.adopt(task.id, self._ports)

    @property
    def surroundings(self) -> Surroundings:
        if not self.started:
            return Surroundings()
        code = words.exit_code(self._exit) if self._exit else 0
        return Surroundings(ContainerStatus(pid=self._pid, exit_code=code), self._ports)

    @property
    def access(self) -> Access:
        return self

    @property
    def image_health(self) -> None:
        """Processes have no image."""
        return None

    @property
    def pid(self) -> int:
        return 0 if self._over.is_set() else self._pid

    async def attach(self, *, stdin: bool) -> Session:
        """The task's output from now on."""
        if stdin:
            raise NoSession("it is a process, which has no input; attach without")
        process = AttachedProcess(self._ending.told(), send=self._signal)
        return await attach(self._executor.link, self._task.id, process, stdin="", tty=False)

    async def _signal(self, number: int) -> None:
        if self.pid:
            groups.send_signal(self.pid, number)

    async def run(self, command: Command) -> Session:
        """Run a command beside the task, in its surroundings."""
        spec, executor = defaults.container(self._task.spec), self._executor
        try:
            account = await asyncio.to_thread(look_up, command.user or spec.user, spec.groups)
        except TaskFailure as error:
            raise NoSession(str(error)) from None
        request = self._request(account)
        added = dict(item.partition("=")[::2] for item in command.env)
        return await run_beside(
            executor.link,
            self._task.id,
            command,
            {
                "env": {**request["env"], **added},
                "directory": command.directory or request["directory"],
                **{name: request[name] for name in ("user", "uid", "gid", "groups")},
                "namespaces": [
                    *request["namespaces"],
                    *(["network"] if self._home is not None else []),
                ],
            },
            executor.node.hostname,
        )

    @property
    def _home(self) -> Home | None:
        network = self._executor.network
        return network.home(self._task.id) if network is not None else None

    def address_of(self, port: int) -> tuple[str, int]:
        if self._home is not None:
            return str(self._home.address), port
        for one in self._ports:
            if one.target_port == port and one.protocol is Protocol.TCP:
                return "127.0.0.1", one.published_port
        return "127.0.0.1", port

    @property
    def note(self) -> str:
        return words.unapplied_limits(self._unapplied)

    def adopt(self, summary: dict[str, Any]) -> None:
        """Take over what the keeper says of the task."""
        self.started = True
        self._pid = summary.get("pid", 0)
        self._unapplied = tuple(summary.get("unapplied", ()))
        if summary.get("memo"):
            self._ports = words.ports_from_memo(summary["memo"])
            self._executor.ports.adopt(self._task.id, self._ports)
        if summary.get("exit"):
            self.ended(summary["exit"])
        elif self._executor.network is not None:
            self._executor.network.adopt(self._task, self._pid, self._ports)

    def ended(self, record: dict[str, Any]) -> None:
        self._exit = record
        self._executor.files.ended(self._task.id)
        self._executor.leases.drop(self._task.id)
        self._executor.ports.release(self._task.id)
        if self._executor.network is not None:
            self._executor.network.ended(self._task.id)
        self._over.set()
        self._ending.tell(words.exit_code(record))

    def lost(self) -> None:
        """The task has ended and nobody saw how."""
        self.started = True
        self._executor.files.ended(self._task.id)
        self._executor.leases.drop(self._task.id)
        self._executor.ports.release(self._task.id)
        if self._executor.network is not None:
            self._executor.network.ended(self._task.id)
        self._over.set()
        self._ending.tell(LOST)

    @property
    def doing(self) -> str:
        return ""

    async def prepare(self) -> None:
        spec = defaults.container(self._task.spec)
        self._account = await asyncio.to_thread(look_up, spec.user, spec.groups)
        facts = self._executor.link.facts
        await self._executor.files.check(self._task, self._launch, self._context, facts)
        problem = words.missing(
            self._launch,
            self._executor.node.hostname,
            is_elsewhere=lambda path: is_covered(path, self._launch),
        )
        if problem:
            raise TaskFailure(problem)
        # While the task that it replaces may still be draining: the start has less to do then.
        await self._enter()

    async def start(self) -> None:
        if self.started:
            return
        if self._account is None:
            await self.prepare()
        self._check_lease()
        account = self._account
        if account is None:
            raise AssertionError("preparing a task finds its account")
        given = await self._executor.files.words(self._task, self._launch, self._context)
        if not self._ports:
            privileged = account.uid in (None, 0)
            self._ports = self._executor.allocate(self._task, privileged=privileged)
        entered = await self._enter()
        given["mounts"] = [*entered.pop("mounts", []), *given.get("mounts", [])]
        try:
            answer = await self._executor.link.request(
                "start", launch={**self._request(account), **given, **entered}
            )
        except KeeperLost as error:
            raise TemporaryFailure(str(error)) from None
        failure = answer.get("error")
        if failure is not None:
            self._executor.files.ended(self._task.id)
            self._executor.ports.release(self._task.id)
            self._ports = ()
            raise words.start_failure(failure, self._launch, self._executor.node.hostname)
        self.started = True
        self._pid = answer["pid"]
        self._unapplied = tuple(answer["unapplied"])
        if self._executor.network is not None:
            await self._executor.network.forward(self._task.id, self._ports)

    async def _enter(self) -> dict[str, Any]:
        """Connect the task, if it gets a network of its own; what the keeper has to know of it."""
        network = self._executor.network
        if network is None or not network.check(self._task, self._executor.link.facts):
            refusal = refused_address(self._task)
            if refusal:
                raise TaskFailure(refusal)
            return {}
        return await network.enter(self._task, self._launch)

    def _check_lease(self) -> None:
        """A task on a lease starts only where the lease is kept and has not run out."""
        lease_ns, executor = self._task.lease_ns, self._executor
        if not lease_ns:
            return
        if executor.link.facts.get("protocol", 0) < LEASES_SINCE:
            raise TemporaryFailure(
                "the keeper of this node's tasks is of an earlier version that keeps no leases; "
                "it is replaced when its other tasks have ended"
            )
        if not executor.leases.is_valid(lease_ns):
            raise TemporaryFailure("waits for word from a manager, without which it may not run")

    async def wait(self) -> None:
        await self._over.wait()
        said = ""
        if self._exit is not None and words.exit_code(self._exit):
            logs = self._executor.log_directory(self._task.id)
            said = await asyncio.to_thread(last_words, self._task.id, logs)
        reason = words.end_reason(self._exit, defaults.limits(self._task.spec), said)
        if self._exit is not None and self._exit.get("lapsed"):
            reason = words.lease_ran_out(self._task.lease_ns)
        if reason:
            raise TaskFailure(reason)

    async def shutdown(self) -> None:
        while not self._over.is_set():
            try:
                answer = await self._executor.link.request(
                    "stop",
                    id=self._task.id,
                    signal=self._launch.stop_signal,
                    grace_ns=self._launch.grace_ns,
                )
            except KeeperLost:
                # The task dies with its keeper; the next one tells us so.
                await asyncio.sleep(RETRY_S)
                continue
            if not answer.get("known"):
                self._executor.files.ended(self._task.id)
                return
            try:
                async with timeout(ASK_AGAIN_S):
                    await self._over.wait()
            except TimeoutError:
                # A start that fails just now has no end to report; asking again finds out.
                continue

    async def remove(self) -> None:
        await self._executor.destroy(self._task.id)

    def _request(self, account: Account) -> dict[str, Any]:
        launch, node = self._launch, self._executor.node
        limits = defaults.limits(self._task.spec)
        return {
            "id": self._task.id,
            "argv": launch.argv,
            "env": launching.environment(
                launch,
                task=self._task,
                node_id=node.node_id,
                hostname=node.hostname,
                user=account.name,
                home=account.home,
                ports=self._ports if self._home is None else own_ports(self._ports),
            ),
            "directory": launch.directory,
            "user": account.name,
            "uid": account.uid,
            "gid": account.gid,
            "groups": account.groups,
            "hostname": launch.hostname,
            "namespaces": self._executor.link.facts.get("namespaces", []),
            "limits": (limits.nano_cpus, limits.memory_bytes, limits.pids),
            "log": {
                "directory": os.fspath(self._executor.log_directory(self._task.id)),
                "max_bytes": launch.log.max_bytes,
                "max_files": launch.log.max_files,
            },
            "memo": words.ports_to_memo(self._ports),
            "lease_ns": self._task.lease_ns,
            "contact": self._executor.leases.contact,
        }
