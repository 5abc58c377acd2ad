"""Waiting until services are what their specs ask for.

Ctrl-C ends the waiting and nothing else: the swarm goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import click

from swarmd.cli.client import Client, explained
from swarmd.cli.convergence import IDLE_NS, RUNNING, Phase, Progress, progress
from swarmd.cli.display import Display
from swarmd.cli.errors import TIMED_OUT, CliError
from swarmd.model import defaults
from swarmd.model.errors import Code
from swarmd.model.instant import SECOND, format_duration
from swarmd.model.modes import is_bound
from swarmd.model.service import Service
from swarmd.rpc.errors import RpcError
from swarmd.runtime.clock import Clock
from swarmd.runtime.timeouts import timeout

LOOK_S = 0.1
LOOK_SLOWLY_S = 0.5
# Services this large are counted by the manager until the counts are right.
LARGE = 200
# Tasks that crash as they start have run for a moment; nobody should be told that all is well.
STABLE_NS = 1 * SECOND
# A leader may be lost while we watch; its successor has the answer.
PATIENCE_NS = 10 * SECOND


class Awaited(NamedTuple):
    """A service to wait for; `rolling_back` when a roll-back is what was asked."""

    service: Service
    rolling_back: bool = False


class Waiter:
    """Looks at services until all have converged, and shows what it sees."""

    def __init__(self, client: Client, display: Display, clock: Clock) -> None:
        self._client = client
        self._display = display
        self._clock = clock
        self._started = clock.monotonic()
        self._latest: dict[str, Progress] = {}
        self._failures: list[CliError] = []
        self._names: dict[str, str] | None = None

    async def wait(self, awaited: Sequence[Awaited], *, timeout_ns: int | None = None) -> None:
        """Return when all services have converged.

        Raises:
            CliError: one has failed, or time is up; the message has the reasons of its tasks.
        """
        patience_s = None if timeout_ns is None else timeout_ns / SECOND
        try:
            async with timeout(patience_s), asyncio.TaskGroup() as group:
                for item in awaited:
                    group.create_task(self._follow(item))
        except TimeoutError:
            raise self._late(awaited, timeout_ns or 0) from None
        finally:
            self._display.finish()
        for failure in self._failures[:-1]:
            failure.show()
        if self._failures:
            raise self._failures[-1]

    async def _follow(self, item: Awaited) -> None:
        """Look until the service is done; one that fails does not end the wait for others."""
        try:
            await self._until_done(item)
        except CliError as failure:
            self._failures.append(failure)
        except RpcError as error:
            self._failures.append(explained(error))

    async def _until_done(self, item: Awaited) -> None:
        name = item.service.spec.name
        idle_since: int | None = None
        done_since: int | None = None
        while True:
            state = await self._patiently(item)
            now = self._clock.monotonic()
            idle_since = (idle_since or now) if state.stuck else None
            if idle_since is not None and now - idle_since >= IDLE_NS:
                state = state._replace(phase=Phase.FAILED if state.wanted else Phase.DONE)
            if state.phase is Phase.DONE and state.running and state.word == RUNNING:
                done_since = now if done_since is None else done_since
                if now - done_since < STABLE_NS:
                    state = state._replace(phase=Phase.WAITING, note="verifying")
                else:
                    now = done_since  # what is shown is how long it took, not how long we looked
            else:
                done_since = None
            self._latest[name] = state
            self._display.show(name, state, now - self._started)
            match state.phase:
                case Phase.DONE:
                    return
                case Phase.FAILED:
                    raise _failed(name, state)
                case Phase.WAITING:
                    large = state.wanted > LARGE
                    await asyncio.sleep(LOOK_SLOWLY_S if large else LOOK_S)

    async def _patiently(self, item: Awaited) -> Progress:
        """One look, repeated while the swarm has no leader to ask."""
        deadline = self._clock.monotonic() + PATIENCE_NS
        while True:
            try:
                return await self._look(item)
            except RpcError as error:
                lasting = error.code not in (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED)
                if lasting or self._clock.monotonic() > deadline:
                    raise
            await asyncio.sleep(LOOK_SLOWLY_S)

    async def _look(self, item: Awaited) -> Progress:
        service = await self._client.service(item.service.id)
        if defaults.replicas(service.spec) > LARGE and not is_bound(service.spec.mode):
            counts = await self._client.counts([service.id])
            running, wanted, _ = counts[service.id]
            before = self._latest.get(service.spec.name)
            if running != wanted and (before is None or before.running != running):
                return Progress(Phase.WAITING, running, wanted)
        tasks = await self._client.tasks(service_ids=[service.id])
        names = await self._node_names() if service.update_status is not None else {}
        return progress(service, tasks, rolling_back=item.rolling_back, node_names=names)

    async def _node_names(self) -> dict[str, str]:
        """Host names by node id, asked for once: nodes that come later go by their ids."""
        if self._names is None:
            listed = await self._client.nodes()
            self._names = {str(node.id): node.hostname for node, _ in listed}
        return self._names

    def _late(self, awaited: Sequence[Awaited], timeout_ns: int) -> CliError:
        names = [item.service.spec.name for item in awaited]
        open_names = [name for name in names if not self._done(name)] or names
        sentences = [_standing(name, self._latest.get(name)) for name in open_names]
        return CliError(
            f"not converged after {format_duration(timeout_ns)}: {'; '.join(sentences)}",
            hint=f"the swarm goes on trying; see `swarmd service ps {open_names[0]}`",
            exit_code=TIMED_OUT,
        )

    def _done(self, name: str) -> bool:
        state = self._latest.get(name)
        return state is not None and state.phase is Phase.DONE


def stopped_waiting(awaited: Sequence[Awaited]) -> None:
    """What Ctrl-C leaves to say."""
    names = ", ".join(item.service.spec.name for item in awaited)
    click.echo(f"\nStopped waiting; the swarm goes on with {names}.", err=True)


def _failed(name: str, state: Progress) -> CliError:
    return CliError(
        _standing(name, state),
        hint=f"see `swarmd service ps {name}` and `swarmd service logs {name}`",
    )


def _standing(name: str, state: Progress | None) -> str:
    if state is None:
        return f"{name} was not seen"
    reasons = [reason for reason in (state.note, *state.problems) if reason]
    counts = f"{name}: {state.running} of {state.wanted} tasks {state.word}"
    return f"{counts}: {'; '.join(reasons)}" if reasons else counts
