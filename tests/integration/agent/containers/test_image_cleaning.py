"""Images that go when the disk is full, and what a killed daemon has left of images."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from swarmd.agent.core import image_choice
from swarmd.agent.describe import node_platform
from swarmd.agent.images.cleaner import DOWNLOAD_S_MAX, Cleaner, NotKnown
from swarmd.agent.images.content import Content
from swarmd.agent.images.unpack import SNAPSHOTTER, has_snapshot
from swarmd.model.image_disk import ImageDisk
from swarmd.model.reference import parse
from swarmd.rpc.pb import images as pb
from swarmd.rpc.pb.containerd import images_pb2, leases_pb2, snapshots_pb2
from swarmd.runtime.supervise import Supervisor
from tests.support import images
from tests.support.containers import (
    IMAGE,
    ContainerWorker,
    a_container_worker,
    needs_containers,
)
from tests.support.registry import PROGRAM, a_registry

pytestmark = [
    needs_containers,
    pytest.mark.skipif(
        PROGRAM is None, reason="no docker-registry; apt-get install docker-registry"
    ),
]


class Managers:
    """`swarmd.v1.WantedImages` as a node sees it."""

    def __init__(self, *current: str, earlier: tuple[str, ...] = ()) -> None:
        self._answer = pb.ListWantedImagesResponse(current=current, earlier=earlier)

    async def List(self, request: Any, *, timeout_s: float) -> pb.ListWantedImagesResponse:
        return self._answer


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[ContainerWorker]:
    async with a_container_worker(tmp_path) as running:
        running.files.assign(complete=True)
        yield running


async def test_only_what_nothing_needs_makes_room(worker: ContainerWorker, tmp_path: Path) -> None:
    store, puller = worker.node_executor.images, worker.node_executor.puller
    assert store is not None
    assert puller is not None
    with a_registry(tmp_path) as registry:
        archive = images.oci_archive(
            tmp_path / "app.tar", "docker.io/library/x:1", [images.busybox_layer()]
        )
        for tag in ("now", "before", "used", "idle"):
            registry.push(archive, "app", tag, node_platform())
            await puller.pull(parse(f"{registry.host}/app:{tag}"), ())
        host = registry.host

    async def left() -> set[str]:
        return {image.name.rpartition("app:")[2] for image in await store.images()}

    every = {"now", "before", "used", "idle", str(parse(IMAGE))}
    assert await left() == every
    cleaner = Cleaner(
        store,
        tmp_path,
        downloads=tmp_path / "downloads",
        in_use=lambda: [f"{host}/app:used"],
        now=lambda: 10**18 * 3 + image_choice.FRESH_NS,
        limits=ImageDisk(0, 0),
    )
    with pytest.raises(NotKnown):
        await cleaner.prune(earlier=True)
    assert await left() == every
    cleaner.follow(Managers(f"{host}/app:now", earlier=(f"{host}/app:before",)))
    tasks = Supervisor("test")
    tasks.keep(cleaner.run, name="images")
    try:
        async with asyncio.timeout(20):
            while await left() != every - {"idle"}:
                await asyncio.sleep(0.05)
    finally:
        await tasks.stop()
    assert await cleaner.prune(earlier=True) == [f"{host}/app:before"]
    assert await left() == every - {"idle", "before"}


async def test_what_is_left_of_an_image_is_not_collected_while_it_is_taken_in_again(
    worker: ContainerWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = worker.node_executor
    store = executor.images
    assert store is not None
    assert executor.containers is not None
    client = await executor.containers.engine.client()
    name = "docker.io/library/again:1"
    archive = images.oci_archive(
        tmp_path / "again.tar", name, [images.layer([images.a_file("again", b"and again")])]
    )
    [before] = await store.import_archive(archive)
    await client.images.Delete(images_pb2.DeleteImageRequest(name=name))
    has, collections = Content.has, 0

    async def collected(content: Content, digest: str) -> bool:
        nonlocal collections
        found = await has(content, digest)
        await client.leases.Create(leases_pb2.CreateRequest(id="none"))
        await client.leases.Delete(leases_pb2.DeleteRequest(id="none", sync=True))
        collections += found
        return found

    monkeypatch.setattr(Content, "has", collected)
    [again] = await store.import_archive(archive)
    assert collections
    assert again.digest == before.digest
    assert await has_snapshot(client, before.snapshot)
    for digest in (before.digest, before.config_digest):
        assert await has(Content(client, blobs=None), digest)


async def test_leases_downloads_and_snapshots_of_a_killed_daemon_are_swept(
    worker: ContainerWorker, tmp_path: Path
) -> None:
    executor = worker.node_executor
    store, cleaner = executor.images, executor.cleaner
    assert store is not None
    assert cleaner is not None
    assert executor.containers is not None
    client = await executor.containers.engine.client()
    await client.leases.Create(leases_pb2.CreateRequest(id="swarmd-dead"))
    image = await store.find(parse(IMAGE))
    assert image is not None
    for key in ("stray", "known", f"extract {image.snapshot}x"):
        prepare = snapshots_pb2.PrepareSnapshotRequest(
            snapshotter=SNAPSHOTTER,
            key=key,
            parent=image.snapshot,
            labels={"containerd.io/gc.root": "container"},
        )
        await client.snapshots.Prepare(prepare)
    downloads = worker.directory / "downloads"
    downloads.mkdir()
    for name, age_s in (("old", DOWNLOAD_S_MAX + 60), ("new", 60)):
        path = downloads / name
        path.touch()
        moment = path.stat().st_mtime - age_s
        os.utime(path, (moment, moment))

    await cleaner.sweep({"known"})

    assert (await client.leases.List(leases_pb2.ListRequest())).leases == []
    assert [await has_snapshot(client, key) for key in ("stray", "known")] == [False, True]
    assert not await has_snapshot(client, f"extract {image.snapshot}x")
    assert await has_snapshot(client, image.snapshot)
    assert [path.name for path in downloads.iterdir()] == ["new"]
    await cleaner.sweep(())
