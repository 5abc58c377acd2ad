"""One cluster from its founding to its end, with the scenarios in between."""

from __future__ import annotations

import asyncio

from msgspec import Struct

from demo.machines import machines
from swarmd.rpc.tls import shrink_read_buffers
from swarmd.runtime.garbage import leave_out_code
from tests.bench.swarm.api import Api
from tests.bench.swarm.docker_managers import DockerManagers
from tests.bench.swarm.figures import Figure, Figures
from tests.bench.swarm.fleet import Fleet
from tests.bench.swarm.keys import KeyPair, make_pairs
from tests.bench.swarm.leaving import Leaving
from tests.bench.swarm.managers import Managers
from tests.bench.swarm.processes import enter_network
from tests.bench.swarm.scenarios import Scenarios
from tests.bench.swarm.swarmd_managers import SwarmdManagers

WORKER = "w1"
SETTLE_S = 2.0


class Options(Struct, frozen=True):
    """What is asked for; `phases` besides joining and creating."""

    agents: int
    tasks: int
    managers: int
    idle_s: float
    phases: tuple[str, ...]
    seed: int


async def run_cluster(peer: str, options: Options) -> list[Figure]:
    """The figures of a cluster of `peer`'s managers."""
    pairs = make_pairs(options.agents)
    names = [f"m{number + 1}" for number in range(options.managers)]
    with machines([*names, WORKER]) as made:
        if made.in_namespaces:
            enter_network(made.namespace("client"))
        shrink_read_buffers()
        leave_out_code()
        managers: Managers
        if peer == "swarmd":
            managers = SwarmdManagers(made, names)
        else:
            managers = DockerManagers(made, names)
        try:
            await managers.start()
            return await _loaded(managers, names, pairs, options)
        finally:
            await managers.stop()


async def _loaded(
    managers: Managers, names: list[str], pairs: list[KeyPair], options: Options
) -> list[Figure]:
    figures = Figures(managers.title)
    api = Api(managers.control(names[0]))
    tokens = await api.tokens()
    addresses = [managers.address(name) for name in names]
    fleet = Fleet(pairs, addresses, tokens.worker, options.seed)
    scenarios = Scenarios(managers, fleet, figures)
    async with asyncio.TaskGroup() as background:
        running = background.create_task(fleet.run())
        await _scenarios(scenarios, managers, api, options, tokens.worker)
        running.cancel()
    await api.close()
    return figures.all


async def _scenarios(
    scenarios: Scenarios, managers: Managers, api: Api, options: Options, token: str
) -> None:
    tasks, phases = options.tasks, options.phases
    await scenarios.joins(api, options.agents)
    await asyncio.sleep(SETTLE_S)
    service_id = await scenarios.create(api, "first", tasks, "create ")
    if "idle" in phases:
        await asyncio.sleep(SETTLE_S)
        await scenarios.idle(options.idle_s)
    if "scale" in phases:
        await scenarios.scale(api, service_id, tasks, tasks // 2)
        await scenarios.scale(api, service_id, tasks // 2, tasks)
    if "remove" in phases:
        await scenarios.remove(api, service_id)
        service_id = await scenarios.create(api, "second", tasks, "create again ")
    if "update" in phases:
        await scenarios.update(api, service_id, tasks)
    scenarios.mistaken()
    if "leave" in phases and isinstance(managers, SwarmdManagers):
        await Leaving(managers, api, scenarios.figures).run(WORKER, token)
    if "leader" in phases and options.managers > 2:
        await asyncio.sleep(SETTLE_S)
        await scenarios.leader_killed(api, options.agents)
