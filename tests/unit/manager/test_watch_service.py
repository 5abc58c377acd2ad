"""Watches: what was asked for, from where it was asked, cut off when the reader is too slow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from msgspec.structs import replace

from swarmd.manager.watch_service import WatchService
from swarmd.model.custom import Extension, Resource
from swarmd.model.errors import Code, Rejection
from swarmd.model.ids import ExtensionId, NodeId, ResourceId, SecretId, ServiceId, TaskId
from swarmd.model.instant import SECOND, Instant
from swarmd.model.node import Node, NodeDescription
from swarmd.model.secret import Secret, SecretSpec
from swarmd.model.service import Service
from swarmd.model.states import Role, TaskState
from swarmd.model.task import Task
from swarmd.rpc.call import Call, Peer
from swarmd.rpc.pb import specs, types
from swarmd.rpc.pb import watch as pb
from swarmd.store.changes import (
    Action,
    Create,
    Delete,
    Entry,
    Kind,
    SetDesiredState,
    Transaction,
    Update,
)
from swarmd.store.store import Store
from tests.support.cluster import a_service_spec

ALL = pb.WATCH_ACTION_CREATE | pb.WATCH_ACTION_UPDATE | pb.WATCH_ACTION_REMOVE
CALL = Call(Peer(local=True), "/docker.swarmkit.v1.Watch/Watch")


class Scene:
    """A store, its watches, and a clock that moves a second with every entry."""

    def __init__(self, changes_max: int = 100) -> None:
        self.store = Store()
        self.service = WatchService(self.store, changes_max=changes_max)

    def commit(self, *actions: Action) -> int:
        index = self.store.index + 1
        entry = Entry(Instant(index * SECOND), NodeId("leader"), (Transaction(actions),))
        applied = self.store.apply(index, entry)
        assert applied.refusals == (None,)
        return index

    @asynccontextmanager
    async def watching(self, request: pb.WatchRequest) -> AsyncIterator[Watcher]:
        async with aclosing(self.service.Watch(CALL, request)) as messages:
            yield Watcher(messages)


class Watcher:
    def __init__(self, messages: AsyncIterator[pb.WatchMessage]) -> None:
        self._messages = messages

    async def next(self) -> pb.WatchMessage:
        async with asyncio.timeout(10):
            return await anext(self._messages)

    async def ids(self) -> list[str]:
        """The ids in the next message."""
        return [subject(event)[1] for event in (await self.next()).events]


def subject(event: Any) -> tuple[str, str]:
    kind = event.object.WhichOneof("Object")
    return kind, getattr(event.object, kind).id


def entry(kind: str, *filters: pb.SelectBy, action: int = ALL) -> pb.WatchRequest.WatchEntry:
    return pb.WatchRequest.WatchEntry(kind=kind, action=action, filters=filters)  # type: ignore[arg-type]


def request(*entries: pb.WatchRequest.WatchEntry, **fields: Any) -> pb.WatchRequest:
    return pb.WatchRequest(entries=entries, **fields)


def a_service(name: str) -> Service:
    return Service(id=ServiceId(name), spec=a_service_spec(name))


def a_task(name: str, service: str = "web", **fields: Any) -> Task:
    return Task(id=TaskId(name), service_id=ServiceId(service), service_name=service, **fields)


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_the_first_message_is_empty_and_then_come_the_commits(scene: Scene) -> None:
    async with scene.watching(request(entry("service"))) as watcher:
        first = await watcher.next()
        assert not first.events
        assert first.version.index == scene.store.index, "where the watch begins"
        scene.commit(Create(a_service("web"), "made by hand"))
        message = await watcher.next()
    (event,) = message.events
    assert event.action == pb.WATCH_ACTION_CREATE
    assert event.object.service.spec.annotations.name == "web"
    assert event.reason == "made by hand"
    assert message.version.index == 1
    assert message.time.seconds == 1


async def test_one_commit_is_one_message_in_order(scene: Scene) -> None:
    async with scene.watching(request(entry("service"), entry("task"))) as watcher:
        await watcher.next()
        scene.commit(Create(a_service("web")), Create(a_task("t1")), Create(a_task("t2")))
        message = await watcher.next()
    assert [subject(event)[1] for event in message.events] == ["web", "t1", "t2"]


async def test_updates_and_removals_carry_the_object_and_the_old_one_if_asked(
    scene: Scene,
) -> None:
    scene.commit(Create(a_task("t1")))
    async with scene.watching(request(entry("task"), include_old_object=True)) as watcher:
        await watcher.next()
        scene.commit(SetDesiredState(TaskId("t1"), TaskState.RUNNING, "its turn"))
        (event,) = (await watcher.next()).events
        assert event.action == pb.WATCH_ACTION_UPDATE
        assert event.object.task.desired_state == TaskState.RUNNING.value
        assert event.old_object.task.desired_state == TaskState.NEW.value
        scene.commit(Delete(Kind.TASK, "t1"))
        (event,) = (await watcher.next()).events
        assert event.action == pb.WATCH_ACTION_REMOVE
        assert event.object.task.id == "t1"


async def test_only_the_actions_asked_for_come(scene: Scene) -> None:
    wanted = entry("service", action=pb.WATCH_ACTION_REMOVE)
    async with scene.watching(request(wanted)) as watcher:
        await watcher.next()
        scene.commit(Create(a_service("web")))
        scene.commit(Delete(Kind.SERVICE, "web"))
        (event,) = (await watcher.next()).events
    assert event.action == pb.WATCH_ACTION_REMOVE


@pytest.mark.parametrize(
    ("kind", "by", "found"),
    [
        pytest.param("task", pb.SelectBy(id="t1"), ["t1"], id="id"),
        pytest.param("task", pb.SelectBy(id_prefix="t"), ["t1", "t2"], id="id prefix"),
        pytest.param("service", pb.SelectBy(name="WEB"), ["web"], id="name"),
        pytest.param("service", pb.SelectBy(name_prefix="w"), ["web"], id="name prefix"),
        pytest.param("task", pb.SelectBy(service_id="other"), ["t2"], id="service"),
        pytest.param("task", pb.SelectBy(node_id="n1"), ["t1"], id="node"),
        pytest.param(
            "task",
            pb.SelectBy(slot=pb.SelectBySlot(service_id="web", slot=3)),
            ["t1"],
            id="slot",
        ),
        pytest.param(
            "task", pb.SelectBy(desired_state=types.TaskState.RUNNING), ["t2"], id="desired"
        ),
        pytest.param("node", pb.SelectBy(role=types.MANAGER), ["n1"], id="role"),
        pytest.param(
            "node", pb.SelectBy(membership=specs.NodeSpec.ACCEPTED), ["n1", "n2"], id="membership"
        ),
        pytest.param("widget", pb.SelectBy(name="bolt"), ["r1"], id="resources of a kind"),
        pytest.param("resource", pb.SelectBy(kind="widget"), ["r1"], id="all resources"),
        pytest.param("service", pb.SelectBy(role=types.MANAGER), ["web"], id="foreign"),
        pytest.param("extension", pb.SelectBy(name="widget"), ["e1"], id="extension"),
    ],
)
async def test_filters_choose(scene: Scene, kind: str, by: pb.SelectBy, found: list[str]) -> None:
    async with scene.watching(request(entry(kind, by))) as watcher:
        await watcher.next()
        scene.commit(
            Create(a_service("web")),
            Create(a_task("t1", node_id=NodeId("n1"), slot=3)),
            Create(a_task("t2", service="other", desired_state=TaskState.RUNNING)),
            Create(Node(id=NodeId("n1"), role=Role.MANAGER)),
            Create(Node(id=NodeId("n2"), description=NodeDescription(hostname="two"))),
            Create(Extension(id=ExtensionId("e1"), name="widget")),
            Create(Resource(id=ResourceId("r1"), name="bolt", kind="widget")),
        )
        assert await watcher.ids() == found


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param(entry("", pb.SelectBy(id="x")), id="no kind"),
        pytest.param(entry("task", action=0), id="no action"),
        pytest.param(entry("task", pb.SelectBy()), id="empty filter"),
        pytest.param(
            entry("task", pb.SelectBy(id="a"), pb.SelectBy(id_prefix="a")), id="conflicting"
        ),
        pytest.param(entry("node", pb.SelectBy(role=0), pb.SelectBy(role=1)), id="twice"),
    ],
)
async def test_requests_that_make_no_sense_are_refused(
    scene: Scene, wanted: pb.WatchRequest.WatchEntry
) -> None:
    async with scene.watching(request(wanted)) as watcher:
        with pytest.raises(Rejection) as refusal:
            await watcher.next()
    assert refusal.value.code is Code.INVALID_ARGUMENT


async def test_a_watch_resumes_behind_the_version_it_has_seen(scene: Scene) -> None:
    for name in ("a", "b", "c"):
        scene.commit(Create(a_service(name)))
    resume = request(entry("service"), resume_from=types.Version(index=1))
    async with scene.watching(resume) as watcher:
        await watcher.next()
        assert await watcher.ids() == ["b"]
        assert await watcher.ids() == ["c"]
        scene.commit(Create(a_service("d")))
        assert await watcher.ids() == ["d"]


async def test_a_watch_begins_at_a_time(scene: Scene) -> None:
    for name in ("a", "b", "c"):
        scene.commit(Create(a_service(name)))
    since = request(entry("service"))
    since.since.seconds = 2
    async with scene.watching(since) as watcher:
        await watcher.next()
        assert await watcher.ids() == ["c"]


async def test_a_version_that_is_forgotten_is_refused_with_the_oldest_one() -> None:
    scene = Scene(changes_max=2)
    for name in ("a", "b", "c", "d"):
        scene.commit(Create(a_service(name)))
    async with scene.watching(
        request(entry("service"), resume_from=types.Version(index=1))
    ) as watcher:
        with pytest.raises(Rejection, match="the oldest it can resume from is 2") as refusal:
            await watcher.next()
    assert refusal.value.code is Code.OUT_OF_RANGE


async def test_a_follower_that_lags_behind_the_reader_says_nothing_twice(scene: Scene) -> None:
    ahead = request(entry("service"), resume_from=types.Version(index=2))
    async with scene.watching(ahead) as watcher:
        await watcher.next()
        for name in ("a", "b", "c"):
            scene.commit(Create(a_service(name)))
        assert await watcher.ids() == ["c"]


async def test_a_slow_reader_is_cut_off_and_can_resume() -> None:
    scene = Scene(changes_max=10)
    async with scene.watching(request(entry("service"))) as watcher:
        await watcher.next()
        scene.commit(Create(a_service("seen")))
        assert await watcher.ids() == ["seen"]
        waiting = asyncio.ensure_future(watcher.next())  # it has caught up and waits
        await asyncio.sleep(0)
        for number in range(8):
            scene.commit(Create(a_service(f"s{number}")))
        with pytest.raises(Rejection, match="resume from version 1") as refusal:
            await waiting
    assert refusal.value.code is Code.RESOURCE_EXHAUSTED
    resume = request(entry("service"), resume_from=types.Version(index=1))
    async with scene.watching(resume) as watcher:
        await watcher.next()
        assert [(await watcher.ids())[0] for _ in range(8)] == [f"s{n}" for n in range(8)]


async def test_secrets_come_without_data_and_internal_ones_not_at_all(scene: Scene) -> None:
    async with scene.watching(request(entry("secret"))) as watcher:
        await watcher.next()
        spec = SecretSpec(name="own", data=b"hidden")
        scene.commit(Create(Secret(id=SecretId("s0"), spec=spec, internal=True)))
        secret = Secret(id=SecretId("s1"), spec=replace(spec, name="key"))
        scene.commit(Create(secret))
        (event,) = (await watcher.next()).events
        assert event.object.secret.id == "s1"
        assert event.object.secret.spec.data == b""
        labelled = replace(secret, spec=replace(secret.spec, labels={"a": "b"}))
        scene.commit(Update(labelled, base=2))
        assert b"hidden" not in (await watcher.next()).SerializeToString()


async def test_a_watch_for_nothing_gets_nothing_but_its_beginning(scene: Scene) -> None:
    async with scene.watching(request()) as watcher:
        await watcher.next()
        scene.commit(Create(a_service("web")))
        scene.service.close()
        with pytest.raises(Rejection) as refusal:
            await watcher.next()
    assert refusal.value.code is Code.UNAVAILABLE


async def test_a_restored_snapshot_is_told_to_watchers_as_changes(scene: Scene) -> None:
    async with scene.watching(request(entry("service"))) as watcher:
        await watcher.next()
        scene.store.restore(9, [replace(a_service("web"), version=7)])
        assert await watcher.ids() == ["web"]
    resume = request(entry("service"), resume_from=types.Version(index=8))
    async with scene.watching(resume) as watcher:
        with pytest.raises(Rejection, match="oldest it can resume from is 9"):
            await watcher.next()
