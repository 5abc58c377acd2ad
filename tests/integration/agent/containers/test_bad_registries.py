"""Tasks whose images come from registries that fail, lie or are slow, and images that mean harm."""

from __future__ import annotations

import gzip
import os
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from swarmd.agent import mount_calls
from swarmd.agent.images.mirrors import Mirrors
from swarmd.agent.images.problems import NoSuchImage
from swarmd.agent.images.puller import Puller
from swarmd.agent.images.unpack import SNAPSHOTTER
from swarmd.model.mirrors import RegistryMirror
from swarmd.model.reference import DOCKER_HUB, parse
from swarmd.model.states import TaskState
from swarmd.rpc.pb.containerd import leases_pb2, snapshots_pb2
from swarmd.runtime.clock import SystemClock
from tests.support import images
from tests.support.containers import (
    ContainerWorker,
    a_container,
    a_container_worker,
    an_id,
    needs_containers,
)
from tests.support.false_registry import a_false_registry
from tests.support.workers import eventually

pytestmark = needs_containers
ROOM_BYTES = 1_000_000


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[ContainerWorker]:
    async with a_container_worker(tmp_path) as running:
        running.files.assign(complete=True)
        yield running


def a_device(name: str) -> Any:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.devmajor, entry.devminor = tarfile.BLKTYPE, 0o666, 7, 0
    return entry, b""


def harmful(entry: Any) -> list[bytes]:
    return [images.busybox_layer(), images.layer([entry])]


async def extracts(worker: ContainerWorker) -> list[str]:
    """What is left of unpacking."""
    assert worker.node_executor.containers is not None
    client = await worker.node_executor.containers.engine.client()
    request = snapshots_pb2.ListSnapshotsRequest(snapshotter=SNAPSHOTTER)
    listed = [row async for portion in client.snapshots.List(request) for row in portion.info]
    leases = (await client.leases.List(leases_pb2.ListRequest())).leases
    return [row.name for row in listed if row.kind == snapshots_pb2.ACTIVE] + list(leases)


async def test_what_is_wrong_with_an_image_is_said_and_leaves_nothing(
    worker: ContainerWorker,
) -> None:
    def good(content: str) -> list[bytes]:
        return [images.layer([images.a_file(content, content.encode())])]

    with a_false_registry() as registry:
        sentences = {
            registry.add("altered", good("altered")): "something else than sha256:",
            registry.add("long", good("long")): "something else than sha256:",
            registry.add("less", good("less")): "sent ",
            registry.add("forged", good("forged")): "answers for sha256:",
            registry.add("garbage", [b"no tar" * 1000]): "layer of the image is damaged",
            registry.add("parent", harmful(images.a_file("../out"))): "leads out of it",
            registry.add("link", harmful(images.a_link("l", "../../etc/passwd", hard=True))): (
                "links 'l' to '../../etc/passwd', which leads out of it"
            ),
            registry.add("zstd", harmful(images.a_file("a/../../out")), by_zstd=True): (
                "'a/../../out', which leads out of it"
            ),
            registry.add("whiteout", harmful(images.a_file(".wh..."))): "removes '..'",
            registry.add(
                "other", good("other"), config=images.a_config([b"x"])
            ): "not to the sha256:",
            registry.add("count", good("count"), config=images.a_config([])): "names 0 layers",
            registry.add(
                "foreign",
                good("foreign"),
                config=images.a_config(good("foreign"), architecture="s390x"),
            ): "made for linux/s390x",
            f"{registry.host}/none:1": "no such image",
        }
        gone = registry.add("gone", good("gone"))
        sentences[gone] = f"a part of {gone}"
        del registry.blobs[images.digest(gzip.compress(good("gone")[0], 1, mtime=0))]
        expected = {}
        tasks = []
        for name, sentence in sentences.items():
            if "/forged" in name:
                name = f"{name}@{images.digest(registry.manifests['forged'])}"
            task_id = an_id()
            expected[task_id] = sentence
            tasks.append(a_container(task_id, "true", image=name))
        worker.assign(*tasks)
        for task_id, sentence in expected.items():
            status = await worker.ends(task_id)
            assert status.state is TaskState.REJECTED, status
            assert sentence in status.err
    assert await extracts(worker) == []
    assert list((worker.directory / "downloads").iterdir()) == []


async def test_a_registry_that_fails_for_now_delays_its_tasks(worker: ContainerWorker) -> None:
    with a_false_registry() as registry:
        bulk = images.layer([images.a_file("bulk", os.urandom(900_000))])
        short = registry.add("short", [bulk])
        slow = registry.add("slow", [images.busybox_layer(), bulk])
        brief = registry.add("brief", [images.busybox_layer(), images.layer([])])
        broken, waiting, renewed = an_id(), an_id(), an_id()
        worker.assign(
            a_container(broken, "true", image=short),
            a_container(waiting, "true", image=slow),
            a_container(renewed, "true", image=brief),
        )
        await worker.says(broken, "broke off after")
        assert worker.status(broken).state is TaskState.PREPARING
        # Every request costs a token, and each new one is asked for.
        assert (await worker.ends(renewed)).state is TaskState.COMPLETE
        assert registry.tokens_given >= 3
        assert (await worker.ends(waiting)).state is TaskState.COMPLETE
        told = [status.message for status in worker.history[waiting]]
        assert any(text.startswith(f"pulling {slow} ") and "/" in text for text in told), told


async def test_a_registry_that_falls_silent_is_named_while_it_is_waited_for(
    worker: ContainerWorker,
) -> None:
    puller = worker.node_executor.puller
    assert puller is not None
    puller.silence_s = 4.0
    with a_false_registry() as registry:
        bulk = images.layer([images.a_file("bulk", os.urandom(900_000))])
        mute = registry.add("mute", [images.busybox_layer()])
        hush = registry.add("hush", [images.busybox_layer(), bulk])
        unanswered, cut = an_id(), an_id()
        worker.assign(
            a_container(unanswered, "true", image=mute), a_container(cut, "true", image=hush)
        )
        silent = f"{registry.host} has been silent for 3 s"
        await eventually(
            lambda: worker.status(unanswered).message == f"pulling {mute}: {silent}", silent
        )
        await eventually(lambda: worker.status(cut).message.endswith(silent), silent)
        await worker.says(unanswered, f"{registry.host} said nothing for 4 s; will try again")
        assert worker.status(unanswered).state is TaskState.PREPARING
        registry.spoken.set()
        assert (await worker.ends(unanswered)).state is TaskState.COMPLETE
        assert (await worker.ends(cut)).state is TaskState.COMPLETE


async def test_a_full_disk_delays_a_pull_until_there_is_room(worker: ContainerWorker) -> None:
    downloads = worker.directory / "downloads"
    downloads.mkdir()
    mount_calls.mount("tmpfs", str(downloads), "tmpfs", 0, f"size={ROOM_BYTES}")
    try:
        with a_false_registry() as registry:
            bulk = images.layer([images.a_file("bulk", os.urandom(2 * ROOM_BYTES))])
            task_id = an_id()
            name = registry.add("bulky", [images.busybox_layer(), bulk])
            worker.assign(a_container(task_id, "true", image=name))
            await worker.says(task_id, f"the disk has no room for {name}")
            assert worker.status(task_id).state is TaskState.PREPARING
            mount_calls.mount("tmpfs", str(downloads), "tmpfs", mount_calls.MS_REMOUNT, "size=50m")
            assert (await worker.ends(task_id)).state is TaskState.COMPLETE
        assert list(downloads.iterdir()) == []
    finally:
        mount_calls.unmount(str(downloads))


async def test_a_full_disk_of_containerd_delays_a_pull_as_well(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount_calls.mount("tmpfs", str(small), "tmpfs", 0, "size=20m")
    try:
        async with a_container_worker(small / "x") as worker:
            worker.files.assign(complete=True)
            with a_false_registry() as registry:
                bulk = images.layer([images.a_file("bulk", os.urandom(6 * ROOM_BYTES))])
                task_id = an_id()
                name = registry.add("bulky", [images.busybox_layer(), bulk])
                worker.assign(a_container(task_id, "true", image=name))
                await worker.says(task_id, f"the disk has no room for {name}")
                assert worker.status(task_id).state is TaskState.PREPARING
                mount_calls.mount("tmpfs", str(small), "tmpfs", mount_calls.MS_REMOUNT, "size=90m")
                assert (await worker.ends(task_id)).state is TaskState.COMPLETE
            assert await extracts(worker) == [task_id]
    finally:
        mount_calls.unmount(str(small))


async def test_links_in_an_image_lead_nowhere_beyond_its_root(
    worker: ContainerWorker, tmp_path: Path
) -> None:
    with a_false_registry() as registry:
        linked = images.layer([images.a_link("way", str(tmp_path)), images.a_link("up", "../..")])
        through = images.layer(
            [images.a_file("way/there", b"by way"), images.a_file("up/there", b"by up")]
        )
        name = registry.add("links", [images.busybox_layer(), linked, through], by_zstd=True)
        output = await worker.run_to_end("cat", "/way/there", "/up/there", image=name)
    assert output.strip() == "by wayby up"
    assert not (tmp_path / "there").exists()
    assert not Path("/there").exists()


async def test_devices_in_an_image_are_of_no_use(worker: ContainerWorker) -> None:
    with a_false_registry() as registry:
        name = registry.add("device", harmful(a_device("disk")))
        output = await worker.run_to_end(
            "sh", "-c", "stat -c %F /disk; head -c 1 /disk 2>&1 || true", image=name
        )
    assert output.splitlines()[0] == "block special file"
    assert "not permitted" in output


async def test_mirrors_are_asked_first_and_passed_over_when_they_fail(
    worker: ContainerWorker, tmp_path: Path
) -> None:
    store, layers = worker.node_executor.images, [images.busybox_layer()]
    assert store is not None
    with a_false_registry() as mirror, a_false_registry() as registry:
        registry.honest = True
        mirrors = Mirrors([RegistryMirror(registry.host, f"http://{mirror.host}")])
        puller = Puller(
            store,
            tmp_path / "d",
            worker.node_executor.platform,
            mirrors=mirrors,
            now=SystemClock().now,
        )

        async def pulled(repository: str) -> str:
            image = await puller.pull(parse(f"{registry.host}/{repository}:1"), ())
            await store.remove(parse(image.name))
            return image.digest

        mirror.add("mirrored", layers)
        assert await pulled("mirrored") == images.digest(mirror.manifests["mirrored"])
        registry.add("elsewhere", layers)
        assert await pulled("elsewhere") == images.digest(registry.manifests["elsewhere"])
        for server in (mirror, registry):
            server.add("altered", [images.layer([images.a_file("x", b"y")])])
        assert await pulled("altered") == images.digest(registry.manifests["altered"])
        for server in (mirror, registry):
            server.manifests["missing"] = b""
        with pytest.raises(NoSuchImage, match=f"no such image: {registry.host}/missing:1"):
            await pulled("missing")
        mirrors.set_cluster([RegistryMirror(DOCKER_HUB, "https://mirror.test")])
        assert mirrors.of(DOCKER_HUB) == ("https://mirror.test",)
