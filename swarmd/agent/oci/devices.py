"""The devices of a container: those that do no harm, and what it is given of its node's. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from swarmd.model.record import Record

# null, zero, full, random, urandom, tty, console, and pseudo-terminals.
_HARMLESS = (
    ("c", 1, 3), ("c", 1, 5), ("c", 1, 7), ("c", 1, 8), ("c", 1, 9),
    ("c", 5, 0), ("c", 5, 1), ("c", 5, 2), ("c", 136, None),
)  # fmt: skip
EVERY_ACCESS = "rwm"


class DeviceNode(Record, frozen=True):
    """A device of the node by the name that it has in the container."""

    path: str
    kind: str  # c or b
    major: int
    minor: int
    mode: int = 0o666
    uid: int = 0
    gid: int = 0
    access: str = EVERY_ACCESS


def nodes(devices: Iterable[DeviceNode]) -> list[dict[str, Any]]:
    """The device files to make."""
    return [
        {
            "path": device.path,
            "type": device.kind,
            "major": device.major,
            "minor": device.minor,
            "fileMode": device.mode,
            "uid": device.uid,
            "gid": device.gid,
        }
        for device in devices
    ]


def rules(
    devices: Iterable[DeviceNode], extra: Iterable[str], *, privileged: bool
) -> list[dict[str, Any]]:
    """What may be done with which devices: the later rule wins.

    Args:
        extra: rules as Docker writes them, "c 10:* rwm".
    """
    if privileged:
        return [{"allow": True, "access": EVERY_ACCESS}]
    found: list[dict[str, Any]] = [{"allow": False, "access": EVERY_ACCESS}]
    # Nodes may be made, which archives want, but not used.
    found += [{"allow": True, "type": kind, "access": "m"} for kind in ("c", "b")]
    for kind, major, minor in _HARMLESS:
        found.append(_rule(kind, major, minor, EVERY_ACCESS))
    found += [_rule(device.kind, device.major, device.minor, device.access) for device in devices]
    found += map(_parsed, extra)
    return found


def _parsed(text: str) -> dict[str, Any]:
    kind, numbers, access = text.split()
    major, _, minor = numbers.partition(":")
    return _rule(kind, _number(major), _number(minor), access)


def _number(text: str) -> int | None:
    return None if text == "*" else int(text)


def _rule(kind: str, major: int | None, minor: int | None, access: str) -> dict[str, Any]:
    rule: dict[str, Any] = {"allow": True, "type": kind, "access": access}
    if major is not None:
        rule["major"] = major
    if minor is not None:
        rule["minor"] = minor
    return rule
