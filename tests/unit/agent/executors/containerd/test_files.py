"""What a container finds in /etc."""

from __future__ import annotations

import os
from pathlib import Path

from swarmd.agent.executors.containerd.files import (
    layers,
    read_from_layers,
)
from swarmd.rpc.pb.containerd import types_pb2


def test_the_topmost_layer_that_has_a_file_decides(tmp_path: Path):
    upper, middle, lower = (tmp_path / name for name in ("upper", "middle", "lower"))
    for path in (upper, middle, lower):
        (path / "etc").mkdir(parents=True)
    (lower / "etc/passwd").write_text("lower")
    (middle / "etc/passwd").write_text("middle")
    (lower / "etc/group").write_text("group")
    os.symlink("/etc/shadow", middle / "etc/group")
    mount = types_pb2.Mount(
        type="overlay",
        source="overlay",
        options=["index=off", f"lowerdir={middle}:{lower}", f"upperdir={upper}"],
    )
    found = layers([mount])
    assert found == [str(upper), str(middle), str(lower)]
    assert read_from_layers(found, "passwd") == "middle"
    assert read_from_layers(found, "group") == ""
    assert read_from_layers(found, "none") == ""
