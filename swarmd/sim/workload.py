"""What clients want of the swarm: services of every temper, changed and removed again, and drains.

Two kinds of client run side by side. *Writers* share a few services and do nothing but read them
and write a new revision over what they have read, which is what linearizability is judged by.
*Operators* each own some services and do to them what people do. `settle` ends the turmoil: all
that is left are services that can run, so that what must eventually hold can be demanded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec.structs import replace

from swarmd.model.instant import MILLISECOND, SECOND
from swarmd.model.service import Service
from swarmd.model.spec import (
    ContainerSpec,
    EndpointSpec,
    FileTarget,
    GlobalMode,
    NetworkAttachmentConfig,
    PortConfig,
    Replicated,
    ReplicatedJob,
    RestartPolicy,
    SecretReference,
    ServiceMode,
    ServiceSpec,
    Stateful,
    TaskSpec,
    UpdateConfig,
)
from swarmd.model.states import Availability, FailureAction, UpdateOrder
from swarmd.sim.client import REVISION, Client
from swarmd.sim.furniture import BACKEND, SECRETS

STEADY = ("steady",)
BATCH = ("batch", "1")
PORTS = (30_001, 30_002, 30_003)
TEMPERS: tuple[tuple[str, ...], ...] = (STEADY, STEADY, ("flaky", "3"), ("broken",), ("batch", "2"))
SERVICES_PER_OPERATOR = 3
REPLICAS_MAX = 5


class Operator:
    """Changes services of its own, and now and then the availability of a worker.

    Args:
        workers: node ids it may drain; they are active again once it has settled.
        gentle: all its services can run whatever happens to them, so that in the end they may be
            left as they are, in the middle of an update too.
    """

    def __init__(self, client: Client, workers: tuple[str, ...], *, gentle: bool) -> None:
        self.client = client
        self._gentle = gentle
        self.settled = False
        self._rng = client.rng
        self._workers = workers
        self._drained: set[str] = set()
        self._names = [f"{client.name}-{number}" for number in range(SERVICES_PER_OPERATOR)]
        self._settling = False

    def settle(self) -> None:
        """Do no more mischief; leave only services that can run."""
        self._settling = True

    async def run(self) -> None:
        """Act at random until told to settle, then settle."""
        while not self._settling:
            await self.client.pause(0.1, 2.5)
            if self._workers and self._rng.random() < 0.1:
                await self._change_node()
            else:
                await self._change_service(self._rng.choice(self._names))
        for name in self._names:
            await self._insist(lambda name=name: self._leave_runnable(name))  # type: ignore[misc]
        for node_id in sorted(self._drained):
            await self._insist(lambda node_id=node_id: self._activate(node_id))  # type: ignore[misc]
        self.settled = True
        await asyncio.Event().wait()

    async def _insist(self, attempt: Callable[[], object]) -> None:
        while not await attempt():  # type: ignore[misc]
            await self.client.pause(0.2, 0.6)

    async def _change_service(self, name: str) -> None:
        certain, service = await self.client.find(name)
        if not certain:
            return
        if service is None:
            await self.client.create(self._spec(name))
            return
        drawn = self._rng.random()
        if drawn < 0.2:
            await self.client.remove(service)
        elif drawn < 0.55:
            mode = _mode(self._rng.randrange(0, REPLICAS_MAX + 1))
            if service.spec.mode.replicated is not None:
                await self.client.update(service, self._revised(replace(service.spec, mode=mode)))
        else:
            template = self._template(service.spec.task_template.force_update + 1)
            spec = replace(service.spec, task_template=template)
            if spec.mode.replicated_job is None:
                spec = replace(spec, update_config=self._update())
            await self.client.update(service, self._revised(spec))

    async def _change_node(self) -> None:
        node_id = self._rng.choice(self._workers)
        wanted = self._rng.choice((Availability.DRAIN, Availability.PAUSE, Availability.ACTIVE))
        self._drained.add(node_id)
        await self.client.set_availability(node_id, wanted)

    async def _activate(self, node_id: str) -> bool:
        return await self.client.set_availability(node_id, Availability.ACTIVE)

    async def _leave_runnable(self, name: str) -> bool:
        certain, service = await self.client.find(name)
        if not certain:
            return False
        if service is None:
            return True
        drawn = self._rng.random()
        if drawn < 0.3:
            return await self.client.remove(service)
        if self._gentle and drawn < 0.9:
            return True
        job = service.spec.mode.replicated_job is not None
        template = replace(
            service.spec.task_template,
            container_spec=replace(
                service.spec.task_template.container_spec or ContainerSpec(),
                command=BATCH if job else STEADY,
            ),
            restart_policy=RestartPolicy(delay_ns=0),
            force_update=service.spec.task_template.force_update + 1,
        )
        config = UpdateConfig(monitor_ns=100 * MILLISECOND)
        spec = replace(service.spec, task_template=template, update_config=None if job else config)
        return await self.client.update(service, self._revised(spec)) is not None

    # --- specs

    def _spec(self, name: str) -> ServiceSpec:
        count = self._rng.randrange(1, REPLICAS_MAX + 1)
        drawn = self._rng.random()
        if drawn < 0.2:
            mode = ServiceMode(global_=GlobalMode())
        elif drawn < 0.35 and not self._gentle:
            mode = ServiceMode(
                replicated_job=ReplicatedJob(max_concurrent=2, total_completions=count)
            )
        elif drawn < 0.55:
            lease_ns = self._rng.choice((5, 8)) * SECOND
            mode = ServiceMode(stateful=Stateful(replicas=count, lease_ns=lease_ns))
        else:
            mode = _mode(count)
        is_job = mode.replicated_job is not None
        return self._revised(
            ServiceSpec(
                name=name,
                task_template=self._template(0),
                mode=mode,
                update_config=None if is_job else self._update(),
                endpoint_spec=None if is_job else self._endpoint(),
            )
        )

    def _endpoint(self) -> EndpointSpec | None:
        """A port of everybody's choice now and then, so that some are refused."""
        if self._gentle or self._rng.random() < 0.5:
            return None
        port = PortConfig(target_port=80, published_port=self._rng.choice((0, 0, *PORTS)))
        return EndpointSpec(ports=(port,))

    def _template(self, force_update: int) -> TaskSpec:
        if self._gentle:
            return TaskSpec(
                container_spec=ContainerSpec(command=STEADY, secrets=self._secrets()),
                networks=self._networks(),
                restart_policy=RestartPolicy(delay_ns=200 * MILLISECOND),
                force_update=force_update,
            )
        return TaskSpec(
            container_spec=ContainerSpec(
                command=self._rng.choice(TEMPERS), secrets=self._secrets()
            ),
            networks=self._networks(),
            restart_policy=RestartPolicy(
                delay_ns=self._rng.choice((0, 200 * MILLISECOND, SECOND)),
                max_attempts=self._rng.choice((0, 0, 3)),
                window_ns=self._rng.choice((0, 5 * SECOND)),
            ),
            force_update=force_update,
        )

    def _secrets(self) -> tuple[SecretReference, ...]:
        if self._rng.random() < 0.5:
            return ()
        secret = self._rng.choice(SECRETS)
        file = FileTarget(name=secret.spec.name, uid="0", gid="0", mode=0o400)
        return (SecretReference(secret_id=secret.id, secret_name=secret.spec.name, file=file),)

    def _networks(self) -> tuple[NetworkAttachmentConfig, ...]:
        if self._rng.random() < 0.5:
            return ()
        return (NetworkAttachmentConfig(target=BACKEND.id),)

    def _update(self) -> UpdateConfig:
        if self._gentle:
            return UpdateConfig(
                parallelism=1,
                delay_ns=self._rng.choice((500 * MILLISECOND, SECOND)),
                failure_action=FailureAction.CONTINUE,
                order=self._rng.choice(tuple(UpdateOrder)),
            )
        return UpdateConfig(
            parallelism=self._rng.choice((0, 1, 2)),
            delay_ns=self._rng.choice((0, 0, 500 * MILLISECOND)),
            failure_action=self._rng.choice(tuple(FailureAction)),
            monitor_ns=self._rng.choice((100 * MILLISECOND, SECOND)),
            order=self._rng.choice(tuple(UpdateOrder)),
        )

    def _revised(self, spec: ServiceSpec) -> ServiceSpec:
        return replace(spec, labels={REVISION: self.client.revision()})


class Writer:
    """Reads services it shares with others and writes over what it has read."""

    def __init__(self, client: Client, names: tuple[str, ...]) -> None:
        self.client = client
        self.settled = False
        self._names = names
        self._known: dict[str, Service] = {}
        self._settling = False

    def settle(self) -> None:
        """Do one last read of everything."""
        self._settling = True

    async def run(self) -> None:
        while not self._settling:
            await self.client.pause(0.02, 0.8)
            await self._act(self.client.rng.choice(self._names))
        for name in self._names:
            while not (await self.client.find(name))[0]:
                await self.client.pause(0.2, 0.6)
        self.settled = True
        await asyncio.Event().wait()

    async def _act(self, name: str) -> None:
        """Read, or write over what was read last, which may be long ago."""
        known = self._known.get(name)
        if known is None or self.client.rng.random() < 0.4:
            certain, service = await self.client.find(name)
            if certain and service is None:
                service = await self.client.create(self._spec(name))
        else:
            service = await self.client.update(known, self._spec(name))
        if service is None:
            self._known.pop(name, None)
        else:
            self._known[name] = service

    def _spec(self, name: str) -> ServiceSpec:
        template = TaskSpec(container_spec=ContainerSpec(command=STEADY))
        return ServiceSpec(
            name=name,
            labels={REVISION: self.client.revision()},
            task_template=template,
            mode=_mode(0),
        )


def _mode(replicas: int) -> ServiceMode:
    return ServiceMode(replicated=Replicated(replicas=replicas))
