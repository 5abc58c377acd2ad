"""The beginning and the end of a task that others are balanced to.

It counts as started when it listens on its ports, so that nobody is sent to it before. It is told
to stop when no node sends new connections to it any more, those it has are over or its time for
them is, and its UDP clients are with others. See docs/design/dataplane.md, "Two halves of
stopping".

Whether a task listens is looked up in the kernel's tables of sockets and not tried by connecting:
no service sees a client that says nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from swarmd.agent.acknowledging import Unsettled
from swarmd.agent.core import serving
from swarmd.agent.core.serving import Service
from swarmd.agent.core.sockets import Connection, Sockets, ipv6_addresses, parse
from swarmd.agent.core.task_machine import Surroundings
from swarmd.agent.endpoints import Known
from swarmd.model.ids import NetworkId
from swarmd.model.instant import SECOND
from swarmd.model.spec import PortConfig
from swarmd.model.task import Task
from swarmd.network.kernel import netns
from swarmd.network.kernel.streams import streams
from swarmd.runtime.timeouts import timeout

log = logging.getLogger(__name__)

LISTEN_GRACE_S = 3.0
# Nobody waits for much longer than it takes: half of that on top, at the most.
LOOK_FIRST_S, LOOK_LATER, LOOK_LONGEST_S = 0.01, 1.5, 0.25
WORTHWHILE_LOOK_S = 0.05
TELL_S = 1.0
# Packets that were sent to the task while it was still balanced to have arrived by then, and the
# answers to them, also where a machine takes a while to get round to them.
UNDER_WAY_S = 0.25
# Nodes with a great many connections take their time to move UDP clients, and the task is needed
# until they have.
MOVED_LONGEST_S = 30.0
ASK_AGAIN_S = 0.1


class Settle(Protocol):
    """Asks who acts on a version; see `Acknowledger.settle`."""

    async def __call__(
        self,
        version: int,
        *,
        published: bool,
        network_ids: Iterable[NetworkId],
        moved: bool = False,
    ) -> Unsettled | None: ...


class Look(NamedTuple):
    """The sockets of a process's network namespace, whether that is another than the node's, and
    the addresses of IPv6 that it has."""

    sockets: Sockets
    own_namespace: bool
    ipv6_addresses: frozenset[str] = frozenset()


def look(pid: int) -> Look | None:
    """What a process's namespace holds now; None when the process is gone. Blocks."""
    process = Path("/proc") / str(pid)
    try:
        tcp = [(process / "net" / name).read_text() for name in ("tcp", "tcp6")]
        datagrams = [(process / "net" / name).read_text() for name in ("udp", "udp6")]
        ipv6 = _text(process / "net/if_inet6")
        own = (process / "ns/net").stat().st_ino != Path("/proc/self/ns/net").stat().st_ino
    except OSError:
        return None
    sockets = parse(*tcp, datagrams=datagrams)
    timed = replace(sockets, connections=_timed(process, sockets, own=own))
    return Look(timed, own, ipv6_addresses(ipv6))


def _text(path: Path) -> str:
    """Empty where the kernel has no such table."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def _timed(process: Path, sockets: Sockets, *, own: bool) -> tuple[Connection, ...]:
    """The connections once more, with how long they have been idle where the kernel tells."""
    if not sockets.connections:
        return ()
    try:
        found = netns.inside(process / "ns/net", streams) if own else streams()
    except OSError as error:
        log.debug("task.connections_untimed reason=%s", error)
        return sockets.connections
    return tuple(Connection(*one) for one in found)


class _Seen(NamedTuple):
    """What was seen, with the numbers that the task's ports have there."""

    sockets: Sockets
    own_namespace: bool
    ipv6_addresses: frozenset[str]
    ports: frozenset[int]
    has_datagrams: bool

    @property
    def is_asked(self) -> bool:
        """Whether anybody can ask the task anything at all."""
        return bool(self.sockets.listening or self.sockets.connections or self.has_datagrams)

    @property
    def open_connections(self) -> int:
        return serving.open_connections(self.sockets, self.ports, own_namespace=self.own_namespace)


class Serving:
    """Waits for tasks to listen, and for their connections to be over.

    Args:
        settle: asks when all nodes act on a version.
        known: the tables of this node as they are now.
    """

    def __init__(
        self,
        settle: Settle,
        known: Callable[[], Known],
        *,
        look: Callable[[int], Look | None] = look,
    ) -> None:
        self._settle = settle
        self._known = known
        self._look = look

    def is_served(self, task: Task) -> bool:
        """Whether others are sent to the task, as far as this node knows."""
        service = serving.service_of(task)
        return service is not None and self._is_known(service)

    async def listening(self, task: Task, surroundings: Surroundings) -> str:
        """Return when the task listens on its TCP ports, with a note if it doesn't in time."""
        missing: frozenset[int] = frozenset()
        try:
            async with timeout(LISTEN_GRACE_S):
                for pause_s in _pauses_s():
                    seen = await self._look_at(task, surroundings)
                    if seen is None:
                        return ""
                    missing = seen.ports - seen.sockets.listening
                    if not missing:
                        return ""
                    await asyncio.sleep(pause_s)
        except TimeoutError:
            if not missing:  # nobody has got round to look
                return ""
        return f"nothing listens on port {', '.join(map(str, sorted(missing)))} yet"

    async def ipv6_ports(self, task: Task, surroundings: Surroundings) -> tuple[PortConfig, ...]:
        """The target ports at which a task that has started answers over IPv6."""
        seen = await self._look_at(task, surroundings)
        if seen is None or not seen.own_namespace:
            return ()
        return serving.ipv6_ports(task, seen.sockets, seen.ipv6_addresses)

    async def drained(
        self, task: Task, surroundings: Surroundings, *, tell: Callable[[str], None]
    ) -> None:
        """Return when the task may be told to stop.

        Args:
            tell: is told what is being waited for, at most once a second.
        """
        service = serving.service_of(task)
        if service is None:
            return
        await self._settled(task, service, moved=False)
        seen = await self._look_at(task, surroundings)
        if seen is None or not seen.is_asked:
            return
        async with asyncio.TaskGroup() as group:
            if seen.has_datagrams:
                group.create_task(self._moved(task, service))
            group.create_task(self._over(task, service, surroundings, tell))

    async def _moved(self, task: Task, service: Service) -> None:
        """Return when UDP clients ask others, and what they have asked the task is answered."""
        with contextlib.suppress(TimeoutError):
            async with timeout(MOVED_LONGEST_S):
                for pause_s in itertools.repeat(ASK_AGAIN_S):
                    if not await self._settled(task, service, moved=True):
                        break
                    await asyncio.sleep(pause_s)
        if self._is_known(service):
            await asyncio.sleep(UNDER_WAY_S)

    async def _over(
        self,
        task: Task,
        service: Service,
        surroundings: Surroundings,
        tell: Callable[[str], None],
    ) -> None:
        """Return when no connection needs the task, or the time for that is over."""
        loop = asyncio.get_running_loop()
        count, tell_at, arrived_at = 0, 0.0, loop.time() + UNDER_WAY_S
        try:
            async with timeout(service.drain_timeout_ns / SECOND + UNDER_WAY_S):
                for pause_s in _pauses_s():
                    is_last = loop.time() >= arrived_at
                    seen = await self._look_at(task, surroundings)
                    count = seen.open_connections if seen is not None else 0
                    if (is_last and not count) or seen is None or not self._is_known(service):
                        return
                    if count and loop.time() >= tell_at:
                        tell(serving.draining(count))
                        tell_at = loop.time() + TELL_S
                    await asyncio.sleep(pause_s)
        except TimeoutError:
            log.info("task.drain_timeout task.id=%s connections=%d", task.id, count)

    async def _settled(self, task: Task, service: Service, *, moved: bool) -> bool:
        """Return when no node sends new connections to the task, as far as can be known soon.

        With `moved` also when the nodes have led its UDP clients to others. The answer is whether
        it is worth while to ask again.
        """
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(
                self._settle(
                    task.version,
                    published=service.published,
                    network_ids=service.network_ids,
                    moved=moved,
                )
            )
            while not asking.done() and self._is_known(service):
                await asyncio.wait((asking,), timeout=WORTHWHILE_LOOK_S)
            asking.cancel()
        unsettled = asking.result() if not asking.cancelled() else None
        if unsettled is None:
            return False
        log.info(
            "task.unsettled task.id=%s reason=%s nodes=%s",
            task.id,
            unsettled.reason,
            ",".join(unsettled.late),
        )
        return unsettled.again

    def _is_known(self, service: Service) -> bool:
        known = self._known()
        return serving.is_known(service, known.published, known.networks)

    async def _look_at(self, task: Task, surroundings: Surroundings) -> _Seen | None:
        """The sockets where the task runs; None when it runs no more, or nobody knows where."""
        container = surroundings.container or task.status.container
        if container is None or not container.pid:
            return None
        found = await asyncio.to_thread(self._look, container.pid)
        if found is None:
            return None
        at = surroundings.ports or task.status.ports
        own = found.own_namespace
        return _Seen(
            *found,
            ports=serving.tcp_ports(task, at, own_namespace=own),
            has_datagrams=serving.has_datagrams(task, found.sockets, own_namespace=own),
        )


def _pauses_s() -> Iterator[float]:
    """Between one look and the next: short ones first, as most things are over soon."""
    pause_s = LOOK_FIRST_S
    while True:
        yield pause_s
        pause_s = min(LOOK_LATER * pause_s, LOOK_LONGEST_S)
