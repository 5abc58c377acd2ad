"""`swarmd.v1.Local`: the daemon's own affairs, asked on its control socket."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

import swarmd
from swarmd.model.cluster import DEFAULT_ADDRESS_POOL, DEFAULT_SUBNET_SIZE, Cluster
from swarmd.model.errors import invalid
from swarmd.model.states import Availability, Role
from swarmd.rpc.call import Call
from swarmd.rpc.pb import local as pb
from swarmd.runtime.timeouts import timeout

from .new_cluster import cluster_spec

if TYPE_CHECKING:
    from .daemon import Daemon

LOCAL = "swarmd.v1.Local"
SESSION_WAIT_S = 20.0

_AVAILABILITY = {
    pb.AVAILABILITY_ACTIVE: Availability.ACTIVE,
    pb.AVAILABILITY_PAUSE: Availability.PAUSE,
    pb.AVAILABILITY_DRAIN: Availability.DRAIN,
}


class LocalService:
    """Answers for one daemon; everybody who reaches the socket may ask everything."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def Info(self, call: Call, request: pb.InfoRequest) -> pb.InfoResponse:
        daemon = self._daemon
        answer = pb.InfoResponse(
            version=swarmd.__version__,
            pid=os.getpid(),
            state_dir=str(daemon.config.state_dir),
            state=pb.LOCAL_STATE_INACTIVE,
            error=daemon.error,
        )
        member = daemon.member
        if daemon.error:
            answer.state = pb.LOCAL_STATE_ERROR
        elif daemon.joining:
            answer.state = pb.LOCAL_STATE_PENDING
        if member is None:
            return answer
        if not daemon.error:
            in_session = member.agent.session.manager is not None
            answer.state = pb.LOCAL_STATE_ACTIVE if in_session else pb.LOCAL_STATE_PENDING
            answer.error = member.problem or member.agent.session.error
        answer.node_id = member.security.node_id
        answer.cluster_id = member.security.cluster_id
        answer.addr = member.settings.advertise_addr
        answer.data_addr = member.settings.data_addr
        answer.allow.extend(member.agent.allow or ())
        answer.is_manager = member.security.role is Role.MANAGER
        answer.leader_addr = member.agent.leader_addr
        runtime = member.agent.executor.describe()
        answer.runtime, _, reason = runtime.partition(" ")
        answer.runtime_reason = reason.removeprefix("(").removesuffix(")")
        answer.balancer = member.agent.balancing.name
        answer.balancer_reason = member.agent.balancing.reason
        answer.lacking.extend(member.agent.balancing.lacking)
        answer.warnings.extend(member.agent.problems)
        if member.agent.worker.problem:
            answer.warnings.append(member.agent.worker.problem)
        if member.agent.keeper.problem:
            answer.warnings.append(member.agent.keeper.problem)
        self._add_manager(answer)
        return answer

    async def Init(self, call: Call, request: pb.InitRequest) -> pb.InitResponse:
        if request.force_new_cluster:
            return await self._rebuild(request)
        # What founding takes is nothing that workers need.
        from swarmd.manager.validate import check_cluster_spec
        from swarmd.manager.validate.network import checked_pools

        subnet_size = request.default_addr_pool_mask_length or DEFAULT_SUBNET_SIZE
        pools = checked_pools(request.default_addr_pool or DEFAULT_ADDRESS_POOL, subnet_size)
        spec = cluster_spec(
            heartbeat_period_ns=request.heartbeat_period.ToNanoseconds(),
            node_cert_expiry_ns=request.node_cert_expiry.ToNanoseconds(),
            task_history_limit=(
                request.task_history_limit if request.HasField("task_history_limit") else None
            ),
        )
        check_cluster_spec(spec)
        cluster = await self._daemon.init(
            listen_addr=request.listen_addr,
            advertise_addr=request.advertise_addr,
            data_addr=request.data_addr,
            availability=_AVAILABILITY[request.availability],
            spec=spec,
            address_pools=pools,
            subnet_size=subnet_size,
        )
        return await self._founded(cluster, notes=())

    async def _rebuild(self, request: pb.InitRequest) -> pb.InitResponse:
        settings = ("heartbeat_period", "node_cert_expiry", "task_history_limit")
        pools = request.default_addr_pool or request.default_addr_pool_mask_length
        if any(request.HasField(field) for field in settings) or pools:
            raise invalid(
                "a swarm that is rebuilt keeps its settings; leave out everything but addresses"
            )
        cluster, dropped = await self._daemon.rebuild(
            listen_addr=request.listen_addr,
            advertise_addr=request.advertise_addr,
            data_addr=request.data_addr,
        )
        notes = []
        if dropped:
            names = ", ".join(node.hostname or node.id for node in dropped)
            notes.append(
                f"no longer managers: {names}; remove those that are lost for good with "
                "`swarmd node rm --force`"
            )
        return await self._founded(cluster, notes=notes)

    async def _founded(self, cluster: Cluster, *, notes: Iterable[str]) -> pb.InitResponse:
        await self._wait_for_session()
        member = self._daemon.member
        assert member is not None
        tokens = cluster.root_ca.join_tokens
        return pb.InitResponse(
            node_id=member.security.node_id,
            cluster_id=cluster.id,
            worker_token=tokens.worker,
            manager_token=tokens.manager,
            notes=notes,
        )

    async def Join(self, call: Call, request: pb.JoinRequest) -> pb.JoinResponse:
        role, notes = await self._daemon.join(
            remote_addrs=list(request.remote_addrs),
            token=request.token,
            listen_addr=request.listen_addr,
            advertise_addr=request.advertise_addr,
            data_addr=request.data_addr,
            availability=_AVAILABILITY[request.availability],
        )
        await self._wait_for_session()
        member = self._daemon.member
        assert member is not None
        if member.agent.session.manager is None:
            notes.append(f"still connecting in the background: {member.agent.session.error}")
        return pb.JoinResponse(
            node_id=member.security.node_id,
            role=pb.ROLE_MANAGER if role is Role.MANAGER else pb.ROLE_WORKER,
            notes=notes,
        )

    async def Leave(self, call: Call, request: pb.LeaveRequest) -> pb.LeaveResponse:
        return pb.LeaveResponse(notes=await self._daemon.leave(force=request.force))

    def StopDaemon(self, call: Call, request: pb.StopRequest) -> pb.StopResponse:
        self._daemon.request_stop(stop_tasks=request.stop_tasks)
        return pb.StopResponse()

    async def _wait_for_session(self) -> None:
        member = self._daemon.member
        if member is None:
            return
        try:
            async with timeout(SESSION_WAIT_S):
                await member.agent.session.wait_for_manager()
        except TimeoutError:
            return

    def _add_manager(self, answer: pb.InfoResponse) -> None:
        member = self._daemon.member
        manager = member.managing.manager if member is not None else None
        if manager is None:
            return
        status = manager.raft.status()
        answer.is_leader = manager.raft.is_leader
        answer.leader_addr = manager.consensus.leader_addr()
        answer.managers = len(status.peers)
        answer.nodes = len(manager.store.nodes())
        cluster = manager.store.find_cluster()
        answer.swarm_allow.extend(cluster.spec.allow if cluster is not None else ())
        for peer in manager.consensus.members():
            answer.managers_list.add(
                node_id=peer.node_id, addr=peer.addr, leader=peer.leader, reachable=peer.reachable
            )
        if len(status.peers) == 2:
            answer.warnings.append(
                "with exactly two managers the swarm stops when either is lost; "
                "add a third or demote one"
            )
        if status.low_on_space:
            answer.warnings.append(
                f"the disk below {self._daemon.config.state_dir} is nearly full; writes are refused"
            )
        answer.raft.term = status.term
        answer.raft.commit_index = status.commit_index
        answer.raft.applied_index = status.applied_index
        answer.raft.members = len(status.peers)
