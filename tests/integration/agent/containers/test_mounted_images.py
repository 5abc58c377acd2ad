"""Images as mounts, and what a node lets containers mount of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from swarmd.model import reference
from swarmd.model.spec import (
    BindOptions,
    Driver,
    ImageMountOptions,
    Mount,
    TmpfsOptions,
    VolumeOptions,
)
from swarmd.model.states import MountType, Propagation, TaskState
from tests.support import images
from tests.support.containers import (
    ContainerWorker,
    a_container,
    a_container_worker,
    an_id,
    needs_containers,
)
from tests.support.workers import eventually

pytestmark = needs_containers


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[ContainerWorker]:
    async with a_container_worker(tmp_path) as running:
        yield running


def of_image(target: str, *, source: str = "assets:1", subpath: str = "") -> Mount:
    options = ImageMountOptions(subpath=subpath) if subpath else None
    return Mount(type=MountType.IMAGE, source=source, target=target, image_options=options)


async def load_assets(worker: ContainerWorker, directory: Path) -> None:
    """An image of two layers that nothing could be run from, with a link that leads out of it."""
    below = images.layer([images.a_directory("site"), images.a_file("site/index", b"old")])
    above = images.layer(
        [images.a_file("site/index", b"new", mode=0o640), images.a_link("out", "/../../etc")]
    )
    images.docker_archive(directory / "assets.tar", "assets:1", [below, above])
    await worker.load(directory / "assets.tar")


def mounted_below(directory: Path) -> list[str]:
    points = (line.split()[1] for line in Path("/proc/mounts").read_text().splitlines())
    return [point for point in points if point.startswith(f"{directory}/containers")]


async def test_an_image_is_mounted_whole_or_in_part_and_outlives_its_name(
    worker: ContainerWorker, tmp_path: Path
) -> None:
    await load_assets(worker, tmp_path)
    script = (
        "cat /srv/site/index /part/index; echo; touch /part/x 2>/dev/null || echo read-only; "
        "stat -c %a /part/index; until test -e /told/go; do sleep 0.05; done; "
        "cat /srv/site/index; echo; ls /part"
    )
    task_id = an_id()
    told = Mount(source=str(tmp_path), target="/told")
    mounts = (of_image("/srv"), of_image("/part", subpath="site"), told)
    worker.assign(a_container(task_id, "sh", "-c", script, mounts=mounts))
    await worker.reaches(task_id, TaskState.RUNNING)
    assert len(mounted_below(worker.directory)) == 2
    store = worker.node_executor.images
    assert store is not None
    await store.remove(reference.parse("assets:1"))
    (tmp_path / "go").touch()
    await worker.ends(task_id)
    assert worker.output(task_id).splitlines() == ["newnew", "read-only", "640", "new", "index"]
    await eventually(lambda: mounted_below(worker.directory) == [], "the end of its mounts")


async def test_what_an_image_has_not_got_is_no_mount(
    worker: ContainerWorker, tmp_path: Path
) -> None:
    await load_assets(worker, tmp_path)
    wanted = {
        "subpath none of image assets:1: No such file": of_image("/x", subpath="none"),
        "subpath out of image assets:1: No such file": of_image("/x", subpath="out"),
    }
    tasks = {
        sentence: a_container(an_id(), "true", mounts=(mount,))
        for sentence, mount in wanted.items()
    }
    worker.assign(*tasks.values())
    for sentence, task in tasks.items():
        status = await worker.ends(task.id)
        assert status.state == TaskState.REJECTED, status
        assert sentence in status.err
    assert mounted_below(worker.directory) == []


async def test_nobody_mounts_the_nodes_state_or_what_the_node_does_not_allow(
    worker: ContainerWorker, tmp_path: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to(worker.directory / "volumes")
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    outside = Mount(source=str(tmp_path), target="/in")
    shows = VolumeOptions(
        driver_config=Driver(
            options={"type": "none", "o": "bind", "device": str(worker.directory / "containerd")}
        )
    )
    disguised = Mount(type=MountType.VOLUME, source="v1", target="/in", volume_options=shows)
    wanted = {
        "containerd lies in the state directory": (disguised, ()),
        "lies in the state directory": (Mount(source=str(worker.directory), target="/in"), ()),
        "link lies in the state directory": (Mount(source=str(link), target="/in"), ()),
        "mount only what bind=": (outside, (f"bind={allowed}",)),
        "mount none": (outside, ("no-bind",)),
    }
    tasks = {
        sentence: replace(a_container(an_id(), "true", mounts=(mount,)), allow=allow)
        for sentence, (mount, allow) in wanted.items()
    }
    inside = replace(
        a_container(an_id(), "true", mounts=(Mount(source=str(allowed), target="/in"),)),
        allow=(f"bind={allowed}",),
    )
    worker.assign(inside, *tasks.values())
    for sentence, task in tasks.items():
        status = await worker.ends(task.id)
        assert status.state == TaskState.REJECTED, status
        assert sentence in status.err
        assert "node host1" in status.err
    assert (await worker.ends(inside.id)).state == TaskState.COMPLETE


async def test_options_of_memory_file_systems_and_propagation(
    worker: ContainerWorker, tmp_path: Path
) -> None:
    output = await worker.run_to_end(
        "sh",
        "-c",
        "grep ' /run/x ' /proc/mounts; grep ' /in ' /proc/self/mountinfo; "
        "test -d /in/below || echo alone",
        mounts=(
            Mount(
                type=MountType.TMPFS,
                target="/run/x",
                tmpfs_options=TmpfsOptions(options="exec,noatime", size_bytes=4096),
            ),
            Mount(
                source="/proc",
                target="/in",
                bind_options=BindOptions(propagation=Propagation.RSLAVE, non_recursive=True),
            ),
        ),
    )
    lines = output.splitlines()
    assert "noexec" not in lines[0]
    assert all(word in lines[0] for word in ("nosuid", "nodev", "noatime", "size=4k"))
    assert "shared:" not in lines[1]
    assert lines[-1] == "alone"
