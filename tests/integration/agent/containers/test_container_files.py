"""Secrets, configs, mounts and volumes of containers, seen from inside."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from swarmd.agent import mount_calls
from swarmd.model.host_access import AppArmor, Privileges
from swarmd.model.spec import BindOptions, Driver, Mount, TmpfsOptions, VolumeOptions
from swarmd.model.states import AppArmorMode, MountType, Propagation, TaskState
from swarmd.network.kernel import netns
from tests.support import images
from tests.support.containers import (
    ContainerWorker,
    a_container,
    a_container_worker,
    an_id,
    needs_containers,
)
from tests.support.task_files import a_config, a_secret, uses_config, uses_secret
from tests.support.workers import eventually

pytestmark = needs_containers


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[ContainerWorker]:
    async with a_container_worker(tmp_path) as running:
        yield running


def mounted_below(directory: Path) -> list[str]:
    """Memory file systems of the node below `directory` that hold files of containers."""
    lines = Path("/proc/mounts").read_text().splitlines()
    points = [line.split()[1] for line in lines]
    return [
        point for point in points if point.startswith(str(directory)) and point.endswith("/files")
    ]


async def test_secrets_and_configs_lie_in_memory_with_their_owners_and_modes(
    worker: ContainerWorker,
) -> None:
    worker.give(a_secret("key", b"hunter2"), a_secret("deep", b"d"), a_config("app", b"red"))
    output = await worker.run_to_end(
        "sh",
        "-c",
        "cat /run/secrets/key; echo; "
        "stat -c '%u:%g %a' /run/secrets/key /etc/deep /app /run/secrets;"
        "cat /app; echo; grep -E ' (/run/secrets|/app|/etc/deep) ' /proc/mounts | awk '{print $3}';"
        "touch /run/secrets/x 2>/dev/null || echo read-only; id -u",
        user="web",
        secrets=(
            uses_secret("key", uid="1000", gid="2000", mode=0o400),
            uses_secret("deep", "/etc/deep"),
        ),
        configs=(uses_config("app", mode=0o640, gid="1000"),),
    )
    assert output.splitlines() == [
        *("hunter2", "1000:2000 400", "0:0 444", "0:1000 640", "0:0 755"),
        *("red", "tmpfs", "tmpfs", "tmpfs", "read-only", "1000"),
    ]
    assert mounted_below(worker.directory) == []
    left = [
        path
        for path in worker.directory.rglob("*")
        # Namespaces are files that hold nothing.
        if path.is_file() and path.suffix != ".log" and not netns.exists(path)
        if b"hunter2" in path.read_bytes()
    ]
    assert left == []


async def test_secrets_stay_with_a_container_over_a_restart_and_go_when_it_ends(
    worker: ContainerWorker,
) -> None:
    worker.give(a_secret("key", b"kept"))
    task_id = an_id()
    task = a_container(
        task_id,
        *("sh", "-c", "trap 'cat /run/secrets/key; exit 0' TERM; while :; do sleep 0.1; done"),
        secrets=(uses_secret("key"),),
    )
    worker.assign(task)
    await worker.reaches(task_id, TaskState.RUNNING)
    assert len(mounted_below(worker.directory)) == 1
    worker.give(complete=True)
    await worker.restart()
    await worker.reaches(task_id, TaskState.RUNNING)
    worker.assign(
        a_container(
            task_id,
            *("sh", "-c", "trap 'cat /run/secrets/key; exit 0' TERM; while :; do sleep 0.1; done"),
            secrets=(uses_secret("key"),),
            desired=TaskState.SHUTDOWN,
        )
    )
    await worker.ends(task_id)
    assert worker.output(task_id) == "kept\n"
    assert mounted_below(worker.directory) == []


async def test_a_container_waits_for_its_secret_and_is_rejected_when_there_is_none(
    worker: ContainerWorker,
) -> None:
    waiting = an_id()
    worker.assign(a_container(waiting, "cat", "/run/secrets/key", secrets=(uses_secret("key"),)))
    await eventually(
        lambda: "waits for secret key" in worker.status(waiting).err, "a word of what it waits for"
    )
    worker.give(a_secret("key", b"late"))
    await worker.ends(waiting)
    assert worker.output(waiting) == "late\n"
    worker.give()
    refused = an_id()
    worker.assign(a_container(refused, "true", secrets=(uses_secret("key"),)))
    status = await worker.ends(refused)
    assert status.state == TaskState.REJECTED
    assert "does not exist any more" in status.err


async def test_mounts_of_every_type_appear_as_asked(
    worker: ContainerWorker, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("bound")
    output = await worker.run_to_end(
        "sh",
        "-c",
        "cat /in/file; echo; touch /in/x 2>/dev/null || echo read-only; echo out > /deep/rw/made;"
        "grep ' /mem ' /proc/mounts; stat -c %a /mem; grep ' /deep/rw ' /proc/self/mountinfo;"
        "df -h > /dev/null 2>&1; ls /deep; touch /mem/ok && echo ok",
        mounts=(
            Mount(source=str(tmp_path), target="/deep/rw"),
            Mount(source=str(tmp_path), target="/in", read_only=True),
            Mount(
                type=MountType.TMPFS,
                target="/mem",
                tmpfs_options=TmpfsOptions(size_bytes=1 << 20, mode=0o750),
            ),
            Mount(type=MountType.TMPFS, target="/deep"),
        ),
    )
    lines = output.splitlines()
    assert lines[:2] == ["bound", "read-only"]
    assert all(word in lines[2] for word in ("size=1024k", "noexec", "nosuid", "nodev"))
    assert lines[3] == "750"
    assert "shared:" not in lines[4]
    assert lines[5:] == ["rw", "ok"]
    assert (tmp_path / "made").read_text() == "out\n"


async def test_a_missing_bind_source_rejects_the_task_unless_it_is_to_be_made(
    worker: ContainerWorker, tmp_path: Path
) -> None:
    source = tmp_path / "not" / "there"
    task_id = an_id()
    worker.assign(a_container(task_id, "true", mounts=(Mount(source=str(source), target="/in"),)))
    status = await worker.ends(task_id)
    assert status.state == TaskState.REJECTED
    assert f"bind source path does not exist: {source}" in status.err
    made = Mount(source=str(source), target="/in", bind_options=BindOptions(create_mountpoint=True))
    await worker.run_to_end("touch", "/in/made", mounts=(made,))
    assert (source / "made").exists()


async def test_a_fresh_volume_begins_with_what_the_image_has_and_outlives_its_task(
    worker: ContainerWorker, tmp_path: Path
) -> None:
    archive = tmp_path / "data.tar"
    extra = images.layer(
        [
            images.a_directory("srv", 0o750),
            images.a_file("srv/file", b"from the image", mode=0o600, uid=1000),
            images.a_link("linked", "/srv"),
        ]
    )
    images.docker_archive(archive, "data:1", [images.busybox_layer(), extra])
    await worker.load(archive)
    volume = Mount(type=MountType.VOLUME, source="data-{{.Task.Slot}}", target="/linked")
    script = "cat /srv/file; echo; stat -c '%u %a' /srv/file /srv; echo more > /srv/more"
    output = await worker.run_to_end("sh", "-c", script, image="data:1", mounts=(volume,))
    assert output.splitlines() == ["from the image", "1000 600", "0 750"]
    assert "more" in await worker.run_to_end("ls", "/linked", image="data:1", mounts=(volume,))
    [known] = worker.node_executor.volumes.all()
    assert known.name == "data-1"
    assert worker.node_executor.volumes.users("data-1") == ()
    bare = Mount(
        type=MountType.VOLUME,
        source="bare",
        target="/srv",
        volume_options=VolumeOptions(no_copy=True, labels={"a": "b"}),
    )
    look = ("sh", "-c", "ls /srv; touch /srv/x 2>/dev/null || echo read-only")
    seen = await worker.run_to_end(*look, image="data:1", mounts=(replace(bare, read_only=True),))
    assert seen == "read-only\n"
    assert worker.node_executor.volumes.all()[0].labels == {"a": "b"}


async def test_a_volume_with_options_shows_its_file_system_while_it_is_used(
    worker: ContainerWorker,
) -> None:
    driver = Driver(
        name="local", options={"type": "tmpfs", "device": "tmpfs", "o": "size=2m,noexec"}
    )
    mounts = (
        Mount(
            type=MountType.VOLUME,
            source="mem",
            target="/data",
            volume_options=VolumeOptions(driver_config=driver),
        ),
    )
    output = await worker.run_to_end("grep", " /data ", "/proc/mounts", mounts=mounts)
    assert "tmpfs" in output
    assert "size=2048k" in output
    await eventually(
        lambda: str(worker.directory / "volumes") not in Path("/proc/mounts").read_text(),
        "the unmounting of a volume that nobody uses",
    )


async def test_a_part_of_a_volume_is_mounted_and_nothing_beyond_it(
    worker: ContainerWorker,
) -> None:
    volumes = worker.node_executor.volumes
    await volumes.create("data", labels={}, options={})
    data = volumes.path("data")
    (data / "part" / "deep").mkdir(parents=True)
    (data / "part" / "deep" / "file").write_text("of the volume")
    (data / "out").symlink_to("/etc")

    def part(path: str) -> Mount:
        options = VolumeOptions(subpath=path, no_copy=True)
        return Mount(type=MountType.VOLUME, source="data", target="/part", volume_options=options)

    script = "ls -A /part; cat /part/file; echo; echo more > /part/more"
    output = await worker.run_to_end("sh", "-c", script, mounts=(part("part/deep"),))
    assert output.splitlines() == ["file", "of the volume"]
    assert (data / "part" / "deep" / "more").read_text() == "more\n"
    wanted = {
        "subpath none of volume data": part("none"),
        "subpath out of volume data": part("out"),
        # Nobody can make a directory there.
        "bind source path /proc/nothing can't be made on node host1": Mount(
            source="/proc/nothing",
            target="/in",
            bind_options=BindOptions(create_mountpoint=True),
        ),
    }
    tasks = {words: a_container(an_id(), "true", mounts=(one,)) for words, one in wanted.items()}
    worker.assign(*tasks.values())
    for words, task in tasks.items():
        status = await worker.ends(task.id)
        assert status.state is TaskState.REJECTED, status
        assert words in status.err


async def test_a_volume_without_a_name_goes_with_its_task(worker: ContainerWorker) -> None:
    task_id = an_id()
    mounts = (Mount(type=MountType.VOLUME, target="/data"),)
    worker.assign(a_container(task_id, "touch", "/data/x", mounts=mounts))
    await worker.ends(task_id)
    assert list((worker.directory / "volumes").rglob("x"))
    worker.assign()
    await eventually(
        lambda: not list((worker.directory / "volumes").rglob("x")), "the end of the volume"
    )


WAYS = {
    "private": BindOptions(),
    "slave": BindOptions(propagation=Propagation.RSLAVE),
    "shared": BindOptions(propagation=Propagation.RSHARED),
    "alone": BindOptions(propagation=Propagation.RSLAVE, non_recursive=True),
}
PROPAGATING = """
mount -t tmpfs none /shared/own; touch /shared/own/inside
mount -t tmpfs none /slave/hidden; touch /slave/hidden/inside
echo made; until test -e /told/go; do sleep 0.05; done
for way in private slave shared alone; do
  test -e /$way/later/file && echo $way sees the later
  test -e /$way/below/file && echo $way sees the earlier
done
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A directory of the node whose mounts are shared, with a file system mounted below it."""
    directory = tmp_path / "place"
    directory.mkdir()
    mount_calls.mount("tmpfs", str(directory), "tmpfs", 0)
    mount_calls.mount("", str(directory), "", mount_calls.MS_SHARED)
    for name in ("below", "later", "own", "hidden"):
        (directory / name).mkdir()
    mount_calls.mount("tmpfs", f"{directory}/below", "tmpfs", 0)
    (directory / "below" / "file").touch()
    yield directory
    subprocess.run(["umount", "-R", directory], check=True)


async def test_mounts_made_later_are_seen_on_either_side_as_each_bind_says(
    worker: ContainerWorker, place: Path, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    told.mkdir()
    binds = [Mount(source=str(place), target=f"/{way}", bind_options=o) for way, o in WAYS.items()]
    task = a_container(
        an_id(), "sh", "-c", PROPAGATING,
        mounts=(*binds, Mount(source=str(told), target="/told")),
        capability_add=("SYS_ADMIN",),
        privileges=Privileges(apparmor=AppArmor(mode=AppArmorMode.DISABLED)),
    )  # fmt: skip
    worker.assign(replace(task, allow=("security-opt",)))
    await eventually(lambda: worker.output(task.id) == "made\n", "the mounts of the container")
    assert (place / "own" / "inside").exists()
    assert not (place / "hidden" / "inside").exists()
    mount_calls.mount("tmpfs", f"{place}/later", "tmpfs", 0)
    (place / "later" / "file").touch()
    (told / "go").touch()
    await worker.ends(task.id)
    assert worker.output(task.id).splitlines()[1:] == [
        *("private sees the earlier", "slave sees the later", "slave sees the earlier"),
        *("shared sees the later", "shared sees the earlier", "alone sees the later"),
    ]


async def test_read_only_goes_for_what_is_mounted_below_unless_that_is_left_out(
    worker: ContainerWorker, place: Path
) -> None:
    ways = {
        "default": BindOptions(),
        "forced": BindOptions(read_only_force_recursive=True),
        "flat": BindOptions(read_only_non_recursive=True),
    }
    mounts = tuple(
        Mount(source=str(place), target=f"/{way}", read_only=True, bind_options=options)
        for way, options in ways.items()
    )
    touch = "for way in default forced flat; do touch /$way/$way /$way/below/$way; done; true"
    await worker.run_to_end("sh", "-c", touch, mounts=mounts)
    assert {path.name for path in (place / "below").iterdir()} == {"file", "flat"}
    assert {path.name for path in place.iterdir()} == {"below", "later", "own", "hidden"}
