"""A daemon without sockets: the real Control API over a swarm in virtual time.

Messages are serialized and parsed on the way, as a transport would. Every request lets the swarm
act for a moment before it is answered.
"""

from __future__ import annotations

import asyncio
import inspect
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from swarmd.cli.main import cli
from swarmd.cli.target import Target
from swarmd.manager.cluster_service import ClusterService
from swarmd.manager.control import Control, ControlEnv, ManagerMember
from swarmd.manager.watch_service import WatchService
from swarmd.model.errors import Code, Rejection
from swarmd.model.instant import SECOND
from swarmd.rpc.call import Call, Peer
from swarmd.rpc.errors import RpcError
from swarmd.rpc.methods import SERVICES, Method
from swarmd.rpc.pb import images, local, logbroker
from swarmd.store.changes import Transaction
from tests.support.api import CountedIds
from tests.support.cluster import Swarm
from tests.support.networks import add_network

ACT_NS = SECOND // 2


class SwarmClock:
    """The time of a swarm; it moves when the swarm acts."""

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm

    def now(self) -> int:
        return self._swarm.now

    def monotonic(self) -> int:
        return self._swarm.now


class SwarmWriter:
    """Commits to a swarm's store at once."""

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm

    async def submit(self, transaction: Transaction) -> int:
        applied = self._swarm.commit(*transaction.actions, atomic=transaction.atomic)
        if transaction.atomic and applied.refusals[0] is not None:
            raise applied.refusals[0]
        return applied.index


class LocalDaemon:
    """`swarmd.v1.Local`, answering what a test has put into it."""

    def __init__(self) -> None:
        self.info = local.InfoResponse(
            node_id="n1",
            cluster_id="cluster",
            state=local.LOCAL_STATE_ACTIVE,
            is_manager=True,
            is_leader=True,
            leader_addr="10.0.0.1:2377",
            managers=1,
            nodes=3,
            addr="10.0.0.1:2377",
            data_addr="10.0.0.1",
            version="0.1.0",
            runtime="process",
            runtime_reason="no containerd",
            balancer="proxy",
            state_dir="/var/lib/swarmd",
            pid=42,
            raft=local.RaftInfo(term=2, commit_index=9, applied_index=9, members=1),
        )
        self.requests: list[Any] = []

    def Info(self, call: Call, request: local.InfoRequest) -> local.InfoResponse:
        return self.info

    def Init(self, call: Call, request: local.InitRequest) -> local.InitResponse:
        self.requests.append(request)
        return local.InitResponse(
            node_id="n1", cluster_id="cluster", worker_token="SWMTKN-1-w", notes=["as root"]
        )

    def Join(self, call: Call, request: local.JoinRequest) -> local.JoinResponse:
        self.requests.append(request)
        return local.JoinResponse(node_id="n2", role=local.ROLE_MANAGER)

    def Leave(self, call: Call, request: local.LeaveRequest) -> local.LeaveResponse:
        self.requests.append(request)
        return local.LeaveResponse()

    def StopDaemon(self, call: Call, request: local.StopRequest) -> local.StopResponse:
        self.requests.append(request)
        return local.StopResponse()


def a_line(task_id: str, text: str, *, stderr: bool = False) -> logbroker.LogMessage:
    """A line of a task's log."""
    message = logbroker.LogMessage(
        data=text.encode() + b"\n",
        stream=logbroker.LOG_STREAM_STDERR if stderr else logbroker.LOG_STREAM_STDOUT,
    )
    message.context.task_id = task_id
    message.timestamp.seconds = 1_700_000_000
    return message


class LocalImages:
    """The part of `swarmd.v1.Images` that names digests, by what a test has put into it."""

    def __init__(self) -> None:
        self.digests: dict[str, str] = {}
        self.requests: list[images.ResolveImageRequest] = []

    def Resolve(
        self, call: Call, request: images.ResolveImageRequest
    ) -> images.ResolveImageResponse:
        self.requests.append(request)
        if request.name not in self.digests:
            raise Rejection(Code.NOT_FOUND, f"no such image: {request.name}")
        return images.ResolveImageResponse(digest=self.digests[request.name])


class LogStore:
    """`docker.swarmkit.v1.Logs` over a list of messages."""

    def __init__(self) -> None:
        self.messages: list[logbroker.LogMessage] = []
        self.bulk: list[tuple[str, bytes]] = []  # task and lines
        self.notices: list[str] = []
        self.requests: list[logbroker.SubscribeLogsRequest] = []
        self.breaks: list[Rejection] = []  # how the first readings end

    async def SubscribeLogs(
        self, call: Call, request: logbroker.SubscribeLogsRequest
    ) -> AsyncIterator[logbroker.SubscribeLogsMessage]:
        self.requests.append(request)
        for message in self.messages:
            yield logbroker.SubscribeLogsMessage(messages=[message])
        for task_id, lines in self.bulk:
            answer = logbroker.SubscribeLogsMessage()
            answer.bulk.add(task_id=task_id, node_id="n1", lines=lines)
            yield answer
        if self.notices:
            yield logbroker.SubscribeLogsMessage(notices=self.notices)
        if self.breaks:
            raise self.breaks.pop(0)


class DirectChannel:
    """A connection that calls handlers of this process."""

    def __init__(self, services: dict[str, object]) -> None:
        self._services = services

    def stub(self, service: str) -> Any:
        return DirectStub(SERVICES[service], self._services[service])

    async def close(self) -> None:
        """There is nothing to close."""


class DirectStub:
    def __init__(self, methods: Any, implementation: object) -> None:
        self._methods = methods
        self._implementation = implementation

    def __getattr__(self, name: str) -> Any:
        method: Method = self._methods[name]
        function = getattr(self._implementation, name)
        return _Invocation(method, function)


class _Invocation:
    def __init__(self, method: Method, function: Any) -> None:
        self._method = method
        self._function = function

    def __call__(self, request: Any, *, timeout_s: float | None = None) -> Any:
        travelled = self._method.parse_request(request.SerializeToString())
        call = Call(Peer(local=True), self._method.path)
        if self._method.server_streaming:
            return self._stream(self._function(call, travelled))
        return self._unary(call, travelled)

    async def _unary(self, call: Call, request: Any) -> Any:
        await asyncio.sleep(0)
        try:
            answer = self._function(call, request)
            if inspect.isawaitable(answer):
                answer = await answer
        except Rejection as rejection:
            raise RpcError(rejection.code, rejection.message) from None
        return self._method.parse_response(answer.SerializeToString())

    async def _stream(self, answers: AsyncIterator[Any]) -> AsyncIterator[Any]:
        try:
            async for answer in answers:
                yield self._method.parse_response(answer.SerializeToString())
        except Rejection as rejection:
            raise RpcError(rejection.code, rejection.message) from None


class Daemon:
    """A manager of a small swarm, and the command line that talks to it."""

    def __init__(self, directory: Path, *, nodes: int = 3) -> None:
        self.swarm = Swarm(nodes=nodes)
        self.local = LocalDaemon()
        self.logs = LogStore()
        self.images = LocalImages()
        self.members: tuple[ManagerMember, ...] = (
            ManagerMember("n1", 1, "10.0.0.1:2377", leader=True, reachable=True),
        )
        self.blocker: str | None = None
        self.socket = directory / "swarmd.sock"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.socket))
        self.listener.listen()
        add_network(self.swarm, "ingress", ingress=True)
        control = Control(
            ControlEnv(
                view=self.swarm.store,
                writer=SwarmWriter(self.swarm),
                read_barrier=self._act,
                clock=SwarmClock(self.swarm),
                ids=CountedIds(),
                members=lambda: self.members,
                demotion_blocker=lambda _node_id: self.blocker,
                entropy=lambda size: b"\x05" * size,
            )
        )
        self.services: dict[str, object] = {
            "docker.swarmkit.v1.Control": control,
            "swarmd.v1.Updates": control,
            "docker.swarmkit.v1.Logs": self.logs,
            "swarmd.v1.Cluster": ClusterService(
                self.swarm.store,
                SwarmWriter(self.swarm),
                clock=SwarmClock(self.swarm),
                read_barrier=self._act,
                env=lambda: self.swarm.env,
            ),
            "swarmd.v1.Local": self.local,
            "swarmd.v1.Images": self.images,
            "docker.swarmkit.v1.Watch": WatchService(self.swarm.store),
        }

    def close(self) -> None:
        self.listener.close()

    def run(self, *words: str, **options: Any) -> Result:
        """What a command prints and how it ends."""
        return CliRunner().invoke(cli, words, obj=self.target(), prog_name="swarmd", **options)

    def target(self) -> Target:
        """This daemon, as commands find it."""
        return Target(
            socket=self.socket,
            state_dir=self.socket.parent,
            dial=lambda _socket: DirectChannel(self.services),
            clock=SwarmClock(self.swarm),
        )

    def ok(self, *words: str) -> str:
        """What a command that must succeed prints."""
        result = self.run(*words)
        assert result.exit_code == 0, result.output + repr(result.exception)
        return result.stdout

    async def _act(self) -> None:
        self.swarm.advance(ACT_NS)
        await asyncio.sleep(0)
