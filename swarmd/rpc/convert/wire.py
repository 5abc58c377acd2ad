"""Framing of protobuf fields by hand, for messages put together from parts serialized before."""

from __future__ import annotations

_LENGTH_DELIMITED = 2


def varint(number: int) -> bytes:
    """A non-negative number in base 128, least significant group first."""
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def length_delimited(field_number: int, data: bytes) -> bytes:
    """Field `field_number` holding the string, bytes or submessage `data`."""
    return varint(field_number << 3 | _LENGTH_DELIMITED) + varint(len(data)) + data
