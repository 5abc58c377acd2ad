"""Whether a node can run containers, and what it says when it can't."""

from __future__ import annotations

from pathlib import Path

from swarmd.agent.executors.containerd.engine import SHORT_SOCKETS, configuration, socket_path
from swarmd.agent.executors.containerd.installation import Installation, find_installation


def found(tmp_path: Path, *programs: str, root: bool = True) -> Installation | str:
    kinds = tmp_path / "filesystems"
    kinds.write_text("nodev\ttmpfs\nnodev\toverlay\n")
    return find_installation(
        which=lambda name: f"/opt/{name}" if name in programs else None,
        is_root=lambda: root,
        filesystems=kinds,
    )


def test_what_is_lacking_is_named_with_the_remedy(tmp_path: Path):
    assert found(tmp_path, "containerd", "containerd-shim-runc-v2") == (
        "no containers: runc not installed; apt-get install containerd runc"
    )
    assert found(tmp_path, root=False) == "no containers: the daemon does not run as root"


def test_either_runtime_will_do(tmp_path: Path):
    installation = found(tmp_path, "containerd", "containerd-shim-runc-v2", "crun")
    assert isinstance(installation, Installation)
    assert installation.runtime == "/opt/crun"
    assert installation.path.startswith("/opt:")


def test_a_long_state_directory_has_its_socket_elsewhere():
    assert socket_path(Path("/var/lib/swarmd")) == Path("/var/lib/swarmd/containerd.sock")
    long = socket_path(Path("/var/lib", "x" * 90))
    assert SHORT_SOCKETS in long.parents
    assert long != socket_path(Path("/var/lib", "y" * 90))


def test_paths_with_quotes_stay_within_their_strings():
    text = configuration(root=Path('/a"b'), state=Path("/s"), socket=Path("/c"))
    assert 'root = "/a\\"b"\n' in text
