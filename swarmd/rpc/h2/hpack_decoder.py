"""HPACK decoding, made for the handful of header lists that gRPC clients send over and over.

The dynamic table and Huffman coding are needed because C-core and Go use both. A block that
neither reads nor writes the dynamic table means the same on every connection, so such blocks, which
is what our own clients send, are remembered whole. Huffman tables come from the `hpack` package;
its decoder costs four times what a small call may cost here.
"""

from __future__ import annotations

from collections import deque
from functools import lru_cache

from hpack.exceptions import HPACKDecodingError
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

from swarmd.rpc.h2.errors import ConnectionViolation, ErrorCode

Field = tuple[bytes, bytes]
Fields = tuple[Field, ...]

STATIC: tuple[Field, ...] = tuple(HeaderTable.STATIC_TABLE)
_STATIC_SIZE = len(STATIC)
_ENTRY_OVERHEAD = 32
_TABLE_SIZE = 4096
# Longer strings are rare, and a stranger could fill the cache with them.
_CACHED_STRING = 128
_CACHED_BLOCK = 512
# Calls that are passed on name their caller: a block per node and method, some 3 kB each.
_BLOCKS_MAX = 2048


def _broken(reason: str) -> ConnectionViolation:
    return ConnectionViolation(ErrorCode.COMPRESSION_ERROR, reason)


def _huffman(data: bytes) -> bytes:
    try:
        return bytes(decode_huffman(data))
    except HPACKDecodingError as error:
        raise _broken("invalid Huffman code in a header") from error


_cached_huffman = lru_cache(maxsize=2048)(_huffman)


class BlockCache:
    """Context-free blocks seen before; shared by the connections of one server or client.

    It is emptied when full: the blocks in use come back with their next call.
    """

    __slots__ = ("blocks",)

    def __init__(self) -> None:
        self.blocks: dict[bytes, Fields] = {}

    def remember(self, block: bytes, fields: Fields) -> None:
        if len(block) <= _CACHED_BLOCK:
            if len(self.blocks) >= _BLOCKS_MAX:
                self.blocks.clear()
            self.blocks[block] = fields


class HeaderDecoder:
    """Decodes the header blocks of one connection, in order; the order is part of the format."""

    __slots__ = ("_blocks", "_cache", "_dynamic", "_list_bytes_max", "_size", "_size_max")

    def __init__(self, *, list_bytes_max: int, cache: BlockCache) -> None:
        self._dynamic: deque[Field] = deque()
        self._size = 0
        self._size_max = _TABLE_SIZE
        self._list_bytes_max = list_bytes_max
        self._cache = cache
        self._blocks = cache.blocks

    def decode(self, block: bytes) -> Fields:
        """The fields of a complete block.

        Raises:
            ConnectionViolation: it cannot be decoded, or the list is larger than allowed. Either
                way the table is out of step, so the connection is lost.
        """
        cached = self._blocks.get(block)
        if cached is not None:
            return cached
        fields: list[Field] = []
        budget = self._list_bytes_max
        context_free = True
        at = 0
        end = len(block)
        try:
            while at < end:
                byte = block[at]
                if byte & 0x80:
                    index, at = _integer(block, at, 0x7F)
                    if index > _STATIC_SIZE:
                        context_free = False
                    field = self._lookup(index)
                elif byte & 0x40:
                    context_free = False
                    field, at = self._literal(block, at, 0x3F)
                    self._insert(field)
                elif byte & 0x20:
                    context_free = False
                    if fields:
                        raise _broken("a table size update after the first header of a block")
                    size, at = _integer(block, at, 0x1F)
                    self._resize(size)
                    continue
                else:
                    if (byte & 0x0F) == 0x0F:
                        context_free = False  # a name from the dynamic table, or a rare static one
                    field, at = self._literal(block, at, 0x0F)
                fields.append(field)
                budget -= len(field[0]) + len(field[1]) + _ENTRY_OVERHEAD
                if budget < 0:
                    raise ConnectionViolation(
                        ErrorCode.ENHANCE_YOUR_CALM,
                        f"a header list of more than {self._list_bytes_max} bytes",
                    )
        except IndexError:
            raise _broken("a header block that ends too early") from None
        result = tuple(fields)
        if context_free:
            self._cache.remember(block, result)
        return result

    def _lookup(self, index: int) -> Field:
        if 0 < index <= _STATIC_SIZE:
            return STATIC[index - 1]
        place = index - _STATIC_SIZE - 1
        if index == 0 or place >= len(self._dynamic):
            raise _broken(f"header index {index} is outside the tables")
        return self._dynamic[place]

    def _literal(self, block: bytes, at: int, mask: int) -> tuple[Field, int]:
        index, at = _integer(block, at, mask)
        if index:
            name = self._lookup(index)[0]
        else:
            name, at = _string(block, at)
        value, at = _string(block, at)
        return (name, value), at

    def _insert(self, field: Field) -> None:
        size = len(field[0]) + len(field[1]) + _ENTRY_OVERHEAD
        self._evict(self._size_max - size)
        if size <= self._size_max:
            self._dynamic.appendleft(field)
            self._size += size

    def _resize(self, size: int) -> None:
        if size > _TABLE_SIZE:
            raise _broken(f"a header table of {size} bytes where {_TABLE_SIZE} are allowed")
        self._size_max = size
        self._evict(size)

    def _evict(self, room: int) -> None:
        """Drop the oldest entries until at most `room` bytes are taken."""
        while self._size > room and self._dynamic:
            name, value = self._dynamic.pop()
            self._size -= len(name) + len(value) + _ENTRY_OVERHEAD


def _integer(block: bytes, at: int, mask: int) -> tuple[int, int]:
    value = block[at] & mask
    at += 1
    if value < mask:
        return value, at
    shift = 0
    while True:
        byte = block[at]
        at += 1
        value += (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, at
        shift += 7
        if shift > 28:
            raise _broken("an integer of more than 32 bits in a header block")


def _string(block: bytes, at: int) -> tuple[bytes, int]:
    huffman = block[at] & 0x80
    length, at = _integer(block, at, 0x7F)
    end = at + length
    if end > len(block):
        raise _broken("a header block that ends within a string")
    data = block[at:end]
    if huffman:
        data = _cached_huffman(data) if length <= _CACHED_STRING else _huffman(data)
    return data, end
