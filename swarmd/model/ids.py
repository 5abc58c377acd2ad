"""Identifiers: 25 characters of base 36, opaque to everyone, and one NewType per kind."""

from __future__ import annotations

from typing import NewType

ClusterId = NewType("ClusterId", str)
NodeId = NewType("NodeId", str)
ServiceId = NewType("ServiceId", str)
TaskId = NewType("TaskId", str)
NetworkId = NewType("NetworkId", str)
SecretId = NewType("SecretId", str)
ConfigId = NewType("ConfigId", str)
ExtensionId = NewType("ExtensionId", str)
ResourceId = NewType("ResourceId", str)
SessionId = NewType("SessionId", str)

ID_LENGTH = 25
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def base36(number: int, *, width: int) -> str:
    """`number` in base 36, padded with zeros on the left to at least `width` characters."""
    digits = []
    while number:
        number, rest = divmod(number, 36)
        digits.append(_DIGITS[rest])
    return "".join(reversed(digits)).rjust(width, "0")


def id_from_bytes(random_bytes: bytes) -> str:
    """An object id from 17 random bytes, in the form swarm clients know (swarm-mode ids).

    The top bit is set so that the base 36 form always has the same length; its first character
    carries little entropy and is dropped.
    """
    if len(random_bytes) != 17:
        raise AssertionError("an id is made of 17 random bytes")
    number = int.from_bytes(random_bytes, "big") | (1 << 135)
    return base36(number, width=ID_LENGTH + 1)[1 : ID_LENGTH + 1]
