"""The arithmetic of capabilities, and the filter that follows from it."""

from __future__ import annotations

import pytest

from swarmd.agent.oci import capabilities, seccomp


@pytest.mark.parametrize(
    ("add", "drop", "held"),
    [
        ((), ("ALL",), ()),
        (("net_admin",), ("ALL",), ("CAP_NET_ADMIN",)),
        (("ALL",), (), capabilities.KNOWN),
        (("ALL",), ("CAP_BPF",), tuple(c for c in capabilities.KNOWN if c != "CAP_BPF")),
    ],
)
def test_all_gives_way_to_what_is_named(add, drop, held):
    assert capabilities.effective(add=add, drop=drop) == held


def test_the_default_is_dockers():
    assert set(capabilities.effective()) == set(capabilities.DEFAULT)
    assert "CAP_CHOWN" not in capabilities.effective(drop=("chown",))


def test_what_the_node_has_not_got_is_left_out():
    available = capabilities.in_mask(0b111)
    assert capabilities.effective(add=("ALL",), available=available) == available
    assert available[-1] == "CAP_DAC_READ_SEARCH"
    assert capabilities.lacking(("chown", "ALL", "bpf"), available) == ("CAP_BPF",)


def allowed(profile, name):
    return [rule for rule in profile["syscalls"] if name in rule["names"]]


def test_calls_that_reach_beyond_need_their_capability():
    plain = seccomp.profile(capabilities.DEFAULT, architecture="x86_64")
    assert not allowed(plain, "mount")
    assert not allowed(plain, "init_module")
    assert allowed(plain, "clone3")[0]["action"] == "SCMP_ACT_ERRNO"
    assert plain["defaultAction"] == "SCMP_ACT_ERRNO"
    mighty = seccomp.profile(("CAP_SYS_ADMIN", "CAP_SYS_MODULE"), architecture="x86_64")
    assert allowed(mighty, "mount")
    assert allowed(mighty, "init_module")
    assert allowed(mighty, "clone3")[0]["action"] == "SCMP_ACT_ALLOW"


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64", "unheard-of"])
def test_no_call_is_allowed_twice(architecture):
    profile = seccomp.profile(capabilities.KNOWN, architecture=architecture)
    names = profile["syscalls"][0]["names"]
    assert len(names) == len(set(names))
    assert {"read", "write", "execve", "clock_gettime"} <= set(names)
