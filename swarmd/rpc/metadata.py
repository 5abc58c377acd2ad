"""Call metadata: an ordered multimap of ASCII keys, as it travels in headers and trailers.

Keys that end in `-bin` carry bytes; they travel in base64.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator

Field = tuple[bytes, bytes]


class Metadata:
    """Immutable view of header fields. Lookups are linear: there are a handful of fields."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Iterable[Field] = ()) -> None:
        self._fields = tuple(fields)

    @classmethod
    def of(cls, *pairs: tuple[str, str]) -> Metadata:
        """Metadata with these keys (lower case) and values."""
        return cls(_encode(key, value) for key, value in pairs)

    def get(self, key: str) -> str | None:
        """The first value of `key`."""
        wanted = key.encode()
        for name, value in self._fields:
            if name == wanted:
                return _text(value)
        return None

    def all(self, key: str) -> list[str]:
        """Every value of `key`, in order."""
        wanted = key.encode()
        return [_text(value) for name, value in self._fields if name == wanted]

    def get_bytes(self, key: str) -> bytes | None:
        """The first value of a `-bin` key, decoded; None when it is absent or not base64."""
        wanted = key.encode()
        for name, value in self._fields:
            if name == wanted:
                try:
                    return base64.b64decode(value + b"=" * (-len(value) % 4), validate=True)
                except binascii.Error:
                    return None
        return None

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields as they travel."""
        return self._fields

    def __contains__(self, key: str) -> bool:
        return key.encode() in [name for name, _ in self._fields]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((name.decode("ascii", "replace"), _text(value)) for name, value in self._fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Metadata) and other._fields == self._fields

    def __hash__(self) -> int:
        return hash(self._fields)

    def __repr__(self) -> str:
        return f"Metadata({', '.join(name for name, _ in self)})"


EMPTY = Metadata()
Pairs = Metadata | Iterable[tuple[str, str]]


def metadata_of(pairs: Pairs) -> Metadata:
    """Metadata as it is, or made of pairs."""
    return pairs if isinstance(pairs, Metadata) else Metadata.of(*pairs)


def _encode(key: str, value: str) -> Field:
    name = key.encode("ascii")
    if name != name.lower() or name.startswith(b":") or not name:
        raise AssertionError(f"{key!r} is not a metadata key")
    data = value.encode("utf-8")
    if any(byte < 0x20 or byte == 0x7F for byte in data):
        raise AssertionError(f"metadata {key} with a control character in its value")
    return name, data


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
