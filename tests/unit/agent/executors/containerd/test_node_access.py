"""What a container gets of its node: an init that runs anywhere, runtimes, devices, AppArmor."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from swarmd.agent.core.launch import Unfit
from swarmd.agent.executors.containerd import node_access
from swarmd.agent.executors.containerd.apparmor import PROFILE, AppArmor
from swarmd.agent.executors.containerd.installation import Installation
from swarmd.model.host_access import Device, HostAccess
from swarmd.model.spec import ContainerSpec

HERE = Installation(containerd="/c", shim="/s", runtime="/usr/bin/runc")


def a_program(path: Path, *, interpreted: bool) -> Path:
    """The head of a program, with a table of one segment."""
    head = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    path.write_bytes(head + struct.pack("<I52x", 3 if interpreted else 1))
    return path


def test_an_init_needs_nothing_of_the_image(tmp_path: Path):
    static = a_program(tmp_path / "static", interpreted=False)
    dynamic = a_program(tmp_path / "dynamic", interpreted=True)
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    assert node_access.is_static(str(static))
    assert not node_access.is_static(str(dynamic))
    assert not node_access.is_static(str(script))
    assert not node_access.is_static(str(tmp_path / "none"))
    found = {"docker-init": str(dynamic), "tini-static": str(static)}
    assert node_access.find_init(found.get) == str(static)
    with pytest.raises(Unfit, match="apt-get install tini"):
        node_access.find_init({"tini": str(dynamic)}.get)


def test_runtimes_are_programs_for_the_usual_shim_or_shims_of_their_own():
    there = {"crun": "/usr/bin/crun", "containerd-shim-kata-v2": "/opt/kata/shim"}.get
    assert node_access.runtime("", HERE, there) == (node_access.RUNC_SHIM, "/usr/bin/runc")
    assert node_access.runtime("crun", HERE, there) == (node_access.RUNC_SHIM, "/usr/bin/crun")
    assert node_access.runtime("io.containerd.kata.v2", HERE, there) == (
        "io.containerd.kata.v2",
        "",
    )
    with pytest.raises(Unfit, match="runtime 'gvisor' needs gvisor, which is not installed"):
        node_access.runtime("gvisor", HERE, there)


def no_apparmor(tmp_path: Path) -> AppArmor:
    return AppArmor(sys=tmp_path, which=lambda _: None)


def test_devices_are_looked_up_and_directories_of_them_taken_whole(tmp_path: Path):
    spec = ContainerSpec(
        host_access=HostAccess(
            devices=(Device(source="/dev/null", target="/dev/x", permissions="r"),)
        )
    )
    [device] = node_access.given(spec, no_apparmor(tmp_path)).devices
    assert (device.path, device.kind, device.major, device.minor) == ("/dev/x", "c", 1, 3)
    assert device.access == "r"
    empty = ContainerSpec(host_access=HostAccess(devices=(Device(source=str(tmp_path)),)))
    with pytest.raises(Unfit, match="is no device of this node, and holds none"):
        node_access.given(empty, no_apparmor(tmp_path))


def test_a_privileged_container_gets_the_devices_of_the_node_but_no_terminals(tmp_path: Path):
    spec = ContainerSpec(host_access=HostAccess(privileged=True))
    paths = {device.path for device in node_access.given(spec, no_apparmor(tmp_path)).devices}
    assert "/dev/null" in paths
    assert not any(path.startswith(("/dev/pts/", "/dev/shm/")) for path in paths)


def enable(root: Path, answer: str = "Y\n") -> Path:
    (root / "module/apparmor/parameters").mkdir(parents=True)
    (root / "module/apparmor/parameters/enabled").write_text(answer)
    return root


def a_parser(path: Path, *, code: int = 0) -> Path:
    path.write_text(f'#!/bin/sh\necho "$@" >> {path}.log; cat >> {path}.log; exit {code}\n')
    path.chmod(0o755)
    return path


def test_a_profile_is_loaded_once_where_the_kernel_has_apparmor(tmp_path: Path):
    parser = a_parser(tmp_path / "parser")
    apparmor = AppArmor(sys=enable(tmp_path), which=lambda _: str(parser))
    assert apparmor.default() == PROFILE
    assert apparmor.default() == PROFILE
    said = Path(f"{parser}.log").read_text()
    assert said.count(f"profile {PROFILE} ") == 1
    assert "deny mount," in said


def test_containers_do_without_a_profile_that_can_not_be_had(tmp_path: Path):
    assert no_apparmor(tmp_path).default() == ""
    assert AppArmor(sys=enable(tmp_path), which=lambda _: None).default() == ""
    failing = a_parser(tmp_path / "parser", code=1)
    assert AppArmor(sys=tmp_path, which=lambda _: str(failing)).default() == ""
    off = tmp_path / "off"
    off.mkdir()
    assert AppArmor(sys=enable(off, "N\n"), which=lambda _: str(failing)).default() == ""


def test_a_profile_that_is_asked_for_by_name_must_be_loaded(tmp_path: Path):
    spec = ContainerSpec(host_access=HostAccess(apparmor_profile="mine"))
    with pytest.raises(Unfit, match="'mine' can't be given: this node's kernel has no AppArmor"):
        node_access.given(spec, no_apparmor(tmp_path))
    apparmor = AppArmor(sys=enable(tmp_path), which=lambda _: None)
    assert node_access.given(spec, apparmor).apparmor == "", "nobody can look: the runtime will"
    profiles = tmp_path / "kernel/security/apparmor/profiles"
    profiles.parent.mkdir(parents=True)
    profiles.write_text("mine and more (enforce)\nother (complain)\n")
    with pytest.raises(Unfit, match="AppArmor profile 'mine' is not loaded on this node"):
        node_access.given(spec, apparmor)
    profiles.write_text("other (complain)\nmine (enforce)\n")
    node_access.given(spec, apparmor)
