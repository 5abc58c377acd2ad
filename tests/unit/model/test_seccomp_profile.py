"""Docker's profiles of system calls, read and brought down to one machine."""

from __future__ import annotations

import json

import pytest

from swarmd.model import seccomp_profile

PROFILE = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "defaultErrnoRet": 1,
    "archMap": [
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": None},
    ],
    "syscalls": [
        {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW", "comment": "of no concern"},
        {"name": "old", "action": "SCMP_ACT_TRAP"},
        {
            "names": ["personality"],
            "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 0, "value": 8, "valueTwo": 0, "op": "SCMP_CMP_EQ"}],
        },
        {"names": ["arch_prctl"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["amd64"]}},
        {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
        {
            "names": ["clone3"],
            "action": "SCMP_ACT_ERRNO",
            "errnoRet": 38,
            "excludes": {"caps": ["CAP_SYS_ADMIN"]},
        },
        {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
    ],
}


def names(capabilities=(), *, architecture="x86_64", kernel=(6, 1)) -> set[str]:
    profile = seccomp_profile.read(json.dumps(PROFILE).encode())
    found = seccomp_profile.resolved(
        profile, capabilities, architecture=architecture, kernel=kernel
    )
    return {name for rule in found["syscalls"] for name in rule["names"]}


def test_rules_hold_where_their_conditions_do():
    common = {"read", "write", "old", "personality"}
    assert names() == common | {"arch_prctl", "clone3", "ptrace"}
    assert names(("CAP_SYS_ADMIN",)) == common | {"arch_prctl", "mount", "ptrace"}
    assert names(architecture="aarch64") == common | {"clone3", "ptrace"}
    assert names(kernel=(4, 7)) == common | {"arch_prctl", "clone3"}


def test_what_the_runtime_gets_is_its_own_vocabulary():
    profile = seccomp_profile.read(json.dumps(PROFILE).encode())
    found = seccomp_profile.resolved(profile, (), architecture="x86_64", kernel=(6, 1))
    assert found["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]
    assert found["defaultErrnoRet"] == 1
    assert found["syscalls"][2]["args"] == [
        {"index": 0, "value": 8, "op": "SCMP_CMP_EQ", "valueTwo": 0}
    ]
    assert [rule.get("errnoRet") for rule in found["syscalls"] if rule["names"] == ["clone3"]] == [
        38
    ]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no seccomp profile"),
        (b"\xff", "no seccomp profile"),
        (b"[]", "no seccomp profile"),
        (b"{}", "defaultAction"),
        (b'{"defaultAction":"SCMP_ACT_NOTIFY"}', "'SCMP_ACT_NOTIFY' is unknown"),
        (
            b'{"defaultAction":"SCMP_ACT_LOG","syscalls":[{"action":"SCMP_ACT_LOG"}]}',
            "names no system call",
        ),
        (
            b'{"defaultAction":"SCMP_ACT_LOG","syscalls":[{"action":"SCMP_ACT_LOG","name":"a",'
            b'"args":[{"index":6,"value":1,"op":"SCMP_CMP_EQ"}]}]}',
            "rule on a has an argument",
        ),
        (
            b'{"defaultAction":"SCMP_ACT_LOG","syscalls":[{"action":"SCMP_ACT_LOG","name":"a",'
            b'"includes":{"minKernel":"new"}}]}',
            "kernel version 'new'",
        ),
        (b" " * (seccomp_profile.PROFILE_BYTES_MAX + 1), "the most is"),
    ],
)
def test_what_is_no_profile_is_refused(data, why):
    with pytest.raises(ValueError, match=why):
        seccomp_profile.read(data)
