"""The checksum of the Internet (RFC 1071), by the sum of all words, in which carries count."""

from __future__ import annotations

WORD = 0xFFFF
NONE = 0  # in place of a sum: there is none


def word_sum(data: bytes | bytearray) -> int:
    """A number that leaves the same remainder by 65535 as the sum of all words."""
    return int.from_bytes(data + b"\0" if len(data) % 2 else data, "big")


def checksum(total: int) -> int:
    """The complement of such a sum; never `NONE`."""
    return WORD - total % WORD
