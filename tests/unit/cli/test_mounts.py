"""Mounts on the command line: what `--mount` and `-v` are read as, and what an update changes."""

from __future__ import annotations

import pytest

from swarmd.cli.changes import Changes, apply
from swarmd.cli.mounts import mount, short_mount
from swarmd.model.spec import (
    BindOptions,
    Driver,
    Mount,
    ServiceSpec,
    TmpfsOptions,
    VolumeOptions,
)
from swarmd.model.states import MountType, Propagation


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("target=/d", Mount(type=MountType.VOLUME, target="/d"), id="no name"),
        pytest.param(
            "type=bind,src=/a,dst=/b,ro",
            Mount(source="/a", target="/b", read_only=True),
            id="bind",
        ),
        pytest.param(
            "type=bind,source=/a,target=/b,bind-propagation=rslave,bind-recursive=disabled",
            Mount(
                source="/a",
                target="/b",
                bind_options=BindOptions(propagation=Propagation.RSLAVE, non_recursive=True),
            ),
            id="bind with options",
        ),
        pytest.param(
            'type=volume,source=v,target=/d,volume-nocopy,volume-label=a=b,"volume-opt=o=rw,sync",'
            "volume-opt=type=nfs,volume-subpath=x",
            Mount(
                type=MountType.VOLUME,
                source="v",
                target="/d",
                volume_options=VolumeOptions(
                    no_copy=True,
                    labels={"a": "b"},
                    driver_config=Driver(options={"o": "rw,sync", "type": "nfs"}),
                    subpath="x",
                ),
            ),
            id="volume with options",
        ),
        pytest.param(
            "type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=0700",
            Mount(
                type=MountType.TMPFS,
                target="/t",
                tmpfs_options=TmpfsOptions(size_bytes=1 << 20, mode=0o700),
            ),
            id="tmpfs",
        ),
    ],
)
def test_mounts_are_written_as_for_docker(text: str, expected: Mount) -> None:
    assert mount(text) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("source=x", "no target"),
        ("type=bind,target=/x,volume-nocopy", "does not go with type=bind"),
        ("type=npipe,target=/x", "use bind, volume, tmpfs"),
        ("target=/x,size=3", "'size' is unknown"),
        ("target=/x,source", "needs a value"),
        ("type=bind,target=/x,readonly=maybe", "neither true nor false"),
        ("type=tmpfs,target=/x,tmpfs-mode=9", "can't be read"),
        ("type=bind,target=/x,bind-propagation=up", "is unknown"),
    ],
)
def test_a_mount_that_is_not_understood_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        mount(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "/a:/b:ro",
            Mount(
                source="/a",
                target="/b",
                read_only=True,
                bind_options=BindOptions(create_mountpoint=True),
            ),
            id="directory",
        ),
        pytest.param(
            "data:/b",
            Mount(type=MountType.VOLUME, source="data", target="/b"),
            id="volume",
        ),
        pytest.param("/b", Mount(type=MountType.VOLUME, target="/b"), id="no name"),
        pytest.param(
            "data:/b:nocopy",
            Mount(
                type=MountType.VOLUME,
                source="data",
                target="/b",
                volume_options=VolumeOptions(no_copy=True),
            ),
            id="not filled",
        ),
    ],
)
def test_short_mounts_are_written_as_for_docker(text: str, expected: Mount) -> None:
    assert short_mount(text) == expected


@pytest.mark.parametrize("text", ["", "a:b:c:d", "data", "data:/b:upside-down"])
def test_a_short_mount_that_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not understood"):
        short_mount(text)


def test_an_update_replaces_and_removes_mounts_by_their_targets() -> None:
    one, two = Mount(source="/1", target="/a"), Mount(source="/2", target="/b")
    spec = apply(ServiceSpec(), Changes(mounts=(one, two)))
    other = Mount(source="/3", target="/a", read_only=True)
    spec = apply(spec, Changes(mounts=(other,), mounts_removed=("/b",)))
    container = spec.task_template.container_spec
    assert container is not None
    assert container.mounts == (other,)


def test_two_new_mounts_of_one_target_are_left_for_the_managers_to_refuse() -> None:
    pair = (Mount(source="/1", target="/a"), Mount(source="/2", target="/a"))
    container = apply(ServiceSpec(), Changes(mounts=pair)).task_template.container_spec
    assert container is not None
    assert container.mounts == pair
