"""Volumes as directories: made, filled, held, removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarmd.agent.volumes import VolumeProblem, VolumeStore
from swarmd.agent.volumes.options import mount_flags
from swarmd.model.ids import TaskId
from swarmd.model.spec import Driver, VolumeOptions

T1, T2 = TaskId("t1"), TaskId("t2")
NOTHING = VolumeOptions()


@pytest.fixture
def store(tmp_path: Path) -> VolumeStore:
    return VolumeStore(tmp_path / "volumes", now=lambda: 7)


def fill(directory: str) -> None:
    Path(directory, "seed").write_text("seeded")


async def test_a_volume_is_made_on_first_use_and_filled_once(store: VolumeStore) -> None:
    path = Path(await store.use(T1, "data", NOTHING, fill=fill))
    assert (path / "seed").read_text() == "seeded"
    (path / "seed").unlink()
    (path / "own").write_text("kept")
    assert Path(await store.use(T2, "data", NOTHING, fill=fill)) == path
    assert [entry.name for entry in path.iterdir()] == ["own"]
    [volume] = store.all()
    assert (volume.name, volume.created_at) == ("data", 7)


async def test_what_a_crash_left_half_filled_is_not_the_volume(store: VolumeStore) -> None:
    await store.create("data", labels={}, options={})
    half = store.path("data").with_name("_data.new")
    half.mkdir()
    (half / "half").write_text("")
    path = Path(await store.use(T1, "data", NOTHING, fill=fill))
    assert [entry.name for entry in path.iterdir()] == ["seed"]


async def test_a_volume_that_a_task_uses_is_not_removed(store: VolumeStore) -> None:
    await store.use(T1, "data", NOTHING)
    store.hold(T2, ("data",))
    store.release(T1)
    with pytest.raises(VolumeProblem, match="used by task t2"):
        await store.remove("data")
    store.release(T2)
    assert await store.remove("data")
    assert not await store.remove("data")
    assert store.all() == ()


async def test_a_name_cannot_lead_elsewhere(store: VolumeStore, tmp_path: Path) -> None:
    (tmp_path / "else").mkdir()
    assert not await store.remove("../else")
    assert (tmp_path / "else").exists()
    with pytest.raises(VolumeProblem, match="no name for a volume"):
        await store.create("../else", labels={}, options={})


async def test_other_options_than_a_volume_has_are_refused(store: VolumeStore) -> None:
    options = {"type": "nfs", "device": ":/a"}
    made = await store.create("data", labels={"a": "b"}, options=options)
    assert await store.create("data", labels={}, options={}) == made
    other = VolumeOptions(driver_config=Driver(options={"type": "nfs", "device": ":/b"}))
    with pytest.raises(VolumeProblem, match="with other options"):
        await store.use(T1, "data", other)


async def test_a_subpath_is_a_directory_inside(store: VolumeStore, tmp_path: Path) -> None:
    path = Path(await store.use(T1, "data", NOTHING))
    (path / "in" / "it").mkdir(parents=True)
    (path / "link").symlink_to("/in")
    (path / "out").symlink_to(tmp_path)
    inner = str(path / "in")
    assert await store.use(T1, "data", VolumeOptions(subpath="in")) == inner
    assert await store.use(T1, "data", VolumeOptions(subpath="link")) == inner
    with pytest.raises(VolumeProblem, match="subpath out"):
        await store.use(T1, "data", VolumeOptions(subpath="out"))


async def test_a_volume_without_a_name_goes_with_its_task(store: VolumeStore) -> None:
    path = Path(await store.own(T1, 0, fill=fill))
    assert (path / "seed").exists()
    assert store.all() == ()
    await store.forget(T1)
    assert not path.exists()


async def test_a_volume_that_cannot_be_filled_is_tried_again(store: VolumeStore) -> None:
    def fail(_: str) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(VolumeProblem, match="No space left"):
        await store.use(T1, "data", NOTHING, fill=fail)
    path = Path(await store.use(T1, "data", NOTHING, fill=fill))
    assert (path / "seed").exists()


def test_options_are_read_as_by_mount() -> None:
    assert mount_flags("") == (0, "")
    assert mount_flags("rw,noexec,size=1m,defaults") == (0x8, "size=1m")
    assert mount_flags("ro,rw,bind") == (0x1000, "")
