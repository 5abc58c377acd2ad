"""Which mounts make sense."""

from __future__ import annotations

import pytest

from swarmd.model.mounts import doubled, problem, target_of
from swarmd.model.spec import BindOptions, Driver, Mount, TmpfsOptions, VolumeOptions
from swarmd.model.states import MountType

VOLUME, TMPFS = MountType.VOLUME, MountType.TMPFS


def a_volume(**options: object) -> Mount:
    given = VolumeOptions(**options)  # type: ignore[arg-type]
    return Mount(type=VOLUME, source="data", target="/d", volume_options=given)


@pytest.mark.parametrize(
    "mount",
    [
        Mount(source="/a", target="/b"),
        Mount(source="/a", target="/b", read_only=True, bind_options=BindOptions()),
        Mount(type=VOLUME, target="/d"),
        a_volume(subpath="in/it"),
        a_volume(driver_config=Driver(name="local", options={"type": "nfs", "device": ":/x"})),
        Mount(type=TMPFS, target="/t", tmpfs_options=TmpfsOptions(options="exec,noatime")),
    ],
)
def test_mounts_that_make_sense(mount: Mount) -> None:
    assert problem(mount) == ""


@pytest.mark.parametrize(
    ("mount", "complaint"),
    [
        (Mount(source="/a"), "no target"),
        (Mount(source="/a", target="b"), "not an absolute path"),
        (Mount(source="/a", target="//"), "root directory"),
        (Mount(source="a", target="/b"), "for a volume use type=volume"),
        (Mount(target="/b"), "needs a source"),
        (Mount(source="/a", target="/b\0"), "zero byte"),
        (Mount(source="/a", target="/b", tmpfs_options=TmpfsOptions()), "of a tmpfs mount"),
        (
            Mount(
                source="/a", target="/b", bind_options=BindOptions(read_only_force_recursive=True)
            ),
            "not read-only",
        ),
        (Mount(type=VOLUME, source="/a", target="/b"), "is a path"),
        (Mount(type=VOLUME, source="x", target="/b"), "no name for a volume"),
        (a_volume(subpath="../x"), "leads out"),
        (a_volume(driver_config=Driver(name="rexray")), "is not there"),
        (a_volume(driver_config=Driver(options={"size": "1"})), "is unknown"),
        (a_volume(driver_config=Driver(options={"type": "nfs"})), "both type and device"),
        (Mount(type=TMPFS, source="/a", target="/t"), "no source"),
        (
            Mount(type=TMPFS, target="/t", tmpfs_options=TmpfsOptions(size_bytes=-1)),
            "negative",
        ),
        (
            Mount(type=TMPFS, target="/t", tmpfs_options=TmpfsOptions(options="size=1g")),
            "not allowed",
        ),
        (Mount(type=MountType.NPIPE, source="x", target="/t"), "Windows"),
        (Mount(type=MountType.CLUSTER, source="x", target="/t"), "storage plugin"),
    ],
)
def test_mounts_that_make_no_sense(mount: Mount, complaint: str) -> None:
    assert complaint in problem(mount)


def test_one_target_may_be_written_in_several_ways() -> None:
    one, two = Mount(source="/a", target="/x/../b/"), Mount(source="/c", target="//b")
    assert target_of(one) == target_of(two) == "/b"
    assert doubled((one, two)) == "/b"
    assert doubled((one, Mount(source="/a", target="/c"))) == ""
