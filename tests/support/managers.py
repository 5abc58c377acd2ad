"""Three managers that are real daemons, and what is asked of them over their sockets."""

from __future__ import annotations

from demo.machines import Machine
from demo.swarm import Swarm, wait_until
from swarmd.model.errors import Code
from swarmd.rpc.channel import Channel
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb import control, specs

MANAGERS = ("m1", "m2", "m3")


def three_managers(swarm: Swarm) -> None:
    """Found a swarm on machines named as in `MANAGERS`, and wait until they see each other."""
    first = swarm.machines.by_name[MANAGERS[0]]
    swarm.init(first)
    for name in MANAGERS[1:]:
        swarm.join(swarm.machines.by_name[name], first, "manager")
    wait_until(lambda: settled(swarm), what="three managers to see each other")


def settled(swarm: Swarm) -> bool:
    for machine in swarm.machines.nodes():
        info = swarm.json(machine, "info")
        known = info.get("RemoteManagers", ())
        if not info["LeaderAddr"] or len(known) != len(MANAGERS):
            return False
        if not all(manager["Reachable"] for manager in known):
            return False
    return True


async def write(machine: Machine, name: str) -> bool:
    """Create a service without tasks through one manager; whether it was accepted."""
    spec = specs.ServiceSpec()
    spec.annotations.name = name
    spec.task.container.executor = "process"
    spec.task.container.command.append("true")
    spec.replicated.replicas = 0
    channel = Channel(f"unix:{machine.socket}")
    try:
        stub = channel.stub("docker.swarmkit.v1.Control")
        await stub.CreateService(control.CreateServiceRequest(spec=spec), timeout_s=3)
    except RpcError as error:
        # A write of unknown outcome that did happen is found when it is repeated.
        if error.code is Code.ALREADY_EXISTS:
            return True
        # FAILED_PRECONDITION: a daemon of the last round that is still starting its manager half.
        transient = (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.FAILED_PRECONDITION)
        if error.code not in transient:
            raise
        return False
    finally:
        await channel.close()
    return True


async def names(machine: Machine) -> set[str]:
    channel = Channel(f"unix:{machine.socket}")
    try:
        stub = channel.stub("docker.swarmkit.v1.Control")
        answer = await stub.ListServices(control.ListServicesRequest(), timeout_s=10)
    finally:
        await channel.close()
    return {service.spec.annotations.name for service in answer.services}
