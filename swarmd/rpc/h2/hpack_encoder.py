"""HPACK encoding without state: literals that the peer need not remember.

Every block can be built once and sent for ever, and a block sent on one connection is good on
another. The price is a hundred bytes per call on the wire, next to no work on either side.
"""

from __future__ import annotations

from collections.abc import Iterable

from swarmd.rpc.h2.hpack_decoder import STATIC

_FULL_MATCH = {field: index for index, field in reversed(list(enumerate(STATIC, start=1)))}
# An index that fits the four-bit prefix keeps the literal one byte long, and cacheable for us.
_NAME_MATCH = {
    field[0]: index for index, field in reversed(list(enumerate(STATIC, start=1))) if index < 15
}


def encode(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A block with these fields, in order. Names must be lower case already."""
    out = bytearray()
    for field in fields:
        full = _FULL_MATCH.get(field)
        if full is not None:
            out.append(0x80 | full)
            continue
        name, value = field
        index = _NAME_MATCH.get(name, 0)
        out.append(index)
        if not index:
            out += _string(name)
        out += _string(value)
    return bytes(out)


def _string(data: bytes) -> bytes:
    return _integer(len(data), 0x7F) + data


def _integer(value: int, mask: int) -> bytes:
    if value < mask:
        return bytes((value,))
    out = bytearray((mask,))
    value -= mask
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
