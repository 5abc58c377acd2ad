"""Mounts in the order and the words in which they are made."""

from __future__ import annotations

import pytest

from swarmd.agent.core.launch import Unfit
from swarmd.agent.core.mounts import Placed, check, placed, tmpfs_options
from swarmd.agent.oci.mounts import mount, root_propagation
from swarmd.model.spec import BindOptions, Mount, TmpfsOptions
from swarmd.model.states import MountType, Propagation


def test_what_lies_below_is_mounted_later() -> None:
    mounts = (
        Mount(source="/1", target="/a/b/"),
        Mount(type=MountType.TMPFS, target="/a"),
        Mount(source="/3", target="/z"),
    )
    assert [one.target for one in placed(mounts, lambda m: m.source)] == ["/a", "/z", "/a/b"]


def test_memory_is_safe_unless_asked_otherwise() -> None:
    assert tmpfs_options(TmpfsOptions()) == ("noexec", "nosuid", "nodev", "mode=1777")
    options = TmpfsOptions(size_bytes=9, mode=0o700, options="exec,noatime")
    assert tmpfs_options(options) == (
        *("nosuid", "nodev", "exec", "noatime"),
        *("size=9", "mode=700"),
    )


def test_two_mounts_of_one_target_are_refused() -> None:
    with pytest.raises(Unfit, match="/b"):
        check((Mount(source="/a", target="/b"), Mount(source="/c", target="/b/")))


@pytest.mark.parametrize(
    ("options", "deep", "expected"),
    [
        (None, True, ["rbind", "rprivate", "rro"]),
        (None, False, ["rbind", "rprivate", "ro"]),
        (BindOptions(read_only_force_recursive=True), False, ["rbind", "rprivate", "rro"]),
        (BindOptions(read_only_non_recursive=True), True, ["rbind", "rprivate", "ro"]),
        (BindOptions(non_recursive=True), True, ["bind", "rprivate", "ro"]),
        (BindOptions(propagation=Propagation.SLAVE), False, ["rbind", "slave", "ro"]),
    ],
)
def test_a_read_only_bind_is_so_for_what_is_mounted_below_where_it_can_be(
    options: BindOptions | None, deep: bool, expected: list[str]
) -> None:
    bind = Mount(source="/a", target="/b", read_only=True, bind_options=options)
    (one,) = placed((bind,), lambda m: m.source)
    assert mount(one, deep_read_only=deep)["options"] == expected


def test_the_root_passes_on_as_much_as_its_mounts_need() -> None:
    plain = Placed(target="/a", source="/a")
    slave = Placed(target="/b", source="/b", propagation=Propagation.RSLAVE)
    shared = Placed(target="/c", source="/c", propagation=Propagation.SHARED)
    assert root_propagation((plain,)) == ""
    assert root_propagation((plain, slave)) == "rslave"
    assert root_propagation((slave, shared)) == "rshared"
