"""What clients want of the swarm's services: they are made, changed and removed again.

*Writers* share a few services and do nothing but read them and write a new revision over what they
have read, which is what linearizability is judged by. *Operators* each own some services and do to
them what people do. Settling ends the turmoil: all that is left are services that can run, so that
what must eventually hold can be demanded.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from functools import partial

from swarmd.model.service import Service
from swarmd.model.spec import ContainerSpec, ServiceSpec, TaskSpec
from swarmd.sim.client import REVISION, Client
from swarmd.sim.file_calls import list_files
from swarmd.sim.specs import STEADY, SpecSource, replicated

SERVICES_PER_OPERATOR = 3


class Patron(ABC):
    """Somebody who wants something of the swarm, again and again until told to settle."""

    pause_s = (0.1, 2.5)

    def __init__(self, client: Client) -> None:
        self.client = client
        self.rng = client.rng
        self.settled = False
        self._settling = False

    def settle(self) -> None:
        """Do no more mischief; leave only what can be."""
        self._settling = True

    async def run(self) -> None:
        """Act until told to settle, then settle."""
        while not self._settling:
            await self.client.pause(*self.pause_s)
            await self.act()
        for step in self.last_steps():
            while not await step():
                await self.client.pause(0.2, 0.6)
        self.settled = True
        await asyncio.Event().wait()

    @abstractmethod
    async def act(self) -> None:
        """Do one thing."""

    @abstractmethod
    def last_steps(self) -> list[Callable[[], Awaitable[bool]]]:
        """What settling takes; each step is repeated until it is certain."""


class Operator(Patron):
    """Changes services of its own.

    Args:
        gentle: all its services can run whatever happens to them, so that in the end they may be
            left as they are, in the middle of an update too.
        theme: what they are mostly about.
    """

    def __init__(self, client: Client, *, gentle: bool, theme: str) -> None:
        super().__init__(client)
        self._gentle = gentle
        self._specs = SpecSource(client.rng, revision=client.revision, gentle=gentle, theme=theme)
        self._names = [f"{client.name}-{number}" for number in range(SERVICES_PER_OPERATOR)]

    async def act(self) -> None:
        name = self.rng.choice(self._names)
        certain, service = await self.client.find(name)
        if not certain:
            return
        if not self._specs.files or self.rng.random() < 0.3:
            self._specs.files = await list_files(self.client) or self._specs.files
        if service is None:
            await self.client.create(self._specs.service(name))
        elif self.rng.random() < 0.2:
            await self.client.remove(service)
        else:
            await self.client.update(service, self._specs.changed(service.spec))

    def last_steps(self) -> list[Callable[[], Awaitable[bool]]]:
        return [partial(self._leave_runnable, name) for name in self._names]

    async def _leave_runnable(self, name: str) -> bool:
        certain, service = await self.client.find(name)
        if not certain:
            return False
        if service is None:
            return True
        drawn = self.rng.random()
        if drawn < 0.2:
            return await self.client.remove(service)
        if self._gentle and drawn < 0.9:
            return True
        return await self.client.update(service, self._specs.runnable(service.spec)) is not None


class Writer(Patron):
    """Reads services it shares with others and writes over what it has read."""

    pause_s = (0.02, 0.8)

    def __init__(self, client: Client, names: tuple[str, ...]) -> None:
        super().__init__(client)
        self._names = names
        self._known: dict[str, Service] = {}

    async def act(self) -> None:
        """Read, or write over what was read last, which may be long ago."""
        name = self.rng.choice(self._names)
        known = self._known.get(name)
        if known is None or self.rng.random() < 0.4:
            certain, service = await self.client.find(name)
            if certain and service is None:
                service = await self.client.create(self._spec(name))
        else:
            service = await self.client.update(known, self._spec(name))
        if service is None:
            self._known.pop(name, None)
        else:
            self._known[name] = service

    def last_steps(self) -> list[Callable[[], Awaitable[bool]]]:
        return [partial(self._read, name) for name in self._names]

    async def _read(self, name: str) -> bool:
        return (await self.client.find(name))[0]

    def _spec(self, name: str) -> ServiceSpec:
        return ServiceSpec(
            name=name,
            labels={REVISION: self.client.revision()},
            task_template=TaskSpec(container_spec=ContainerSpec(command=STEADY)),
            mode=replicated(0),
        )
