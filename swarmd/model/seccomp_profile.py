"""Filters of system calls as Docker's profiles describe them, and what they mean on a node. Pure.

A profile has rules that hold on some architectures, from some kernel on, or with some capabilities;
what remains for one container is what its runtime is given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

PROFILE_BYTES_MAX = 256 * 1024
_ACTIONS = frozenset(
    f"SCMP_ACT_{word}"
    for word in ("ALLOW", "ERRNO", "KILL", "KILL_PROCESS", "KILL_THREAD", "LOG", "TRACE", "TRAP")
)
_OPERATORS = frozenset(
    f"SCMP_CMP_{word}" for word in ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")
)
# What Go, and with it Docker's profiles, calls the machines that the kernel names otherwise.
_GO_NAMES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
_SECCOMP_NAMES = {
    "x86_64": "SCMP_ARCH_X86_64",
    "aarch64": "SCMP_ARCH_AARCH64",
    "armv7l": "SCMP_ARCH_ARM",
    "i686": "SCMP_ARCH_X86",
    "ppc64le": "SCMP_ARCH_PPC64LE",
    "riscv64": "SCMP_ARCH_RISCV64",
    "s390x": "SCMP_ARCH_S390X",
}
_KERNEL = re.compile(r"(\d+)\.(\d+)")


class Where(Struct, frozen=True, rename="camel"):
    """What a rule is tied to; every part that is given must hold."""

    caps: tuple[str, ...] | None = None
    arches: tuple[str, ...] | None = None
    min_kernel: str = ""


class Argument(Struct, frozen=True, rename="camel"):
    index: int
    value: int
    op: str
    value_two: int = 0


class Rule(Struct, frozen=True, rename="camel"):
    action: str
    names: tuple[str, ...] | None = None
    name: str = ""
    errno_ret: int | None = None
    args: tuple[Argument, ...] | None = None
    includes: Where | None = None
    excludes: Where | None = None


class Architectures(Struct, frozen=True, rename="camel"):
    architecture: str
    sub_architectures: tuple[str, ...] | None = None


class Profile(Struct, frozen=True, rename="camel"):
    default_action: str
    default_errno_ret: int | None = None
    arch_map: tuple[Architectures, ...] | None = None
    architectures: tuple[str, ...] | None = None
    syscalls: tuple[Rule, ...] | None = None


def read(data: bytes) -> Profile:
    """The profile in a JSON document.

    Raises:
        ValueError: it is none; the message says what is wrong.
    """
    if len(data) > PROFILE_BYTES_MAX:
        raise ValueError(f"it has {len(data)} bytes, the most is {PROFILE_BYTES_MAX}")
    try:
        profile = msgspec.json.decode(data, type=Profile)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(f"it is no seccomp profile: {error}") from None
    rules = profile.syscalls or ()
    for action in (profile.default_action, *(rule.action for rule in rules)):
        if action not in _ACTIONS:
            raise ValueError(f"its action {action!r} is unknown or not supported")
    for rule in rules:
        if not _names(rule):
            raise ValueError("one of its rules names no system call")
        for argument in rule.args or ():
            if argument.op not in _OPERATORS or not 0 <= argument.index <= 5:
                raise ValueError(f"its rule on {_names(rule)[0]} has an argument that can't be")
        for where in (rule.includes, rule.excludes):
            if where is not None and where.min_kernel and not _KERNEL.match(where.min_kernel):
                raise ValueError(f"its kernel version {where.min_kernel!r} is none")
    return profile


def resolved(
    profile: Profile, capabilities: Iterable[str], *, architecture: str, kernel: tuple[int, int]
) -> dict[str, Any]:
    """What the runtime is given for a container with these capabilities on this machine.

    Args:
        architecture: as uname says it.
    """
    held = frozenset(capabilities)
    machine = _GO_NAMES.get(architecture, architecture)

    def holds(where: Where | None, *, every: bool) -> bool:
        """Whether what a rule is tied to is so: all of it, or any."""
        if where is None:
            return every
        given = []
        if where.arches:
            given.append(machine in where.arches)
        if where.caps:
            met = [capability in held for capability in where.caps]
            given.append(all(met) if every else any(met))
        if where.min_kernel:
            given.append(kernel >= _version(where.min_kernel))
        return all(given) if every else any(given)

    document: dict[str, Any] = {
        "defaultAction": profile.default_action,
        "architectures": _architectures(profile, architecture),
        "syscalls": [
            _rule(rule)
            for rule in profile.syscalls or ()
            if holds(rule.includes, every=True) and not holds(rule.excludes, every=False)
        ],
    }
    if profile.default_errno_ret is not None:
        document["defaultErrnoRet"] = profile.default_errno_ret
    return document


def _architectures(profile: Profile, architecture: str) -> list[str]:
    own = _SECCOMP_NAMES.get(architecture, "")
    for row in profile.arch_map or ():
        if row.architecture == own:
            return [own, *(row.sub_architectures or ())]
    return list(profile.architectures or ())


def _rule(rule: Rule) -> dict[str, Any]:
    document: dict[str, Any] = {"names": list(_names(rule)), "action": rule.action}
    if rule.errno_ret is not None:
        document["errnoRet"] = rule.errno_ret
    if rule.args:
        document["args"] = [msgspec.to_builtins(argument) for argument in rule.args]
    return document


def _names(rule: Rule) -> tuple[str, ...]:
    return rule.names or ((rule.name,) if rule.name else ())


def _version(text: str) -> tuple[int, int]:
    match = _KERNEL.match(text)
    if match is None:
        raise AssertionError("profiles with other versions are refused when they are read")
    return int(match[1]), int(match[2])
