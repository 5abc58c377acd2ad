"""How layers are packed, which their first bytes tell: not at all, by gzip or by zstd."""

from __future__ import annotations

import gzip
import sys
import zlib
from typing import BinaryIO, cast

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

GZIP, ZSTD, PLAIN = "gzip", "zstd", ""
# What reading may raise when the data is damaged.
DAMAGED = (EOFError, OSError, zlib.error, zstd.ZstdError)
_MAGIC = {GZIP: b"\x1f\x8b", ZSTD: b"\x28\xb5\x2f\xfd"}


def packing_of(stream: BinaryIO) -> str:
    """How a stream is packed that stands at its beginning, and does so afterwards."""
    start = stream.read(max(map(len, _MAGIC.values())))
    stream.seek(0)
    return next((name for name, magic in _MAGIC.items() if start.startswith(magic)), PLAIN)


def unpacked(stream: BinaryIO) -> BinaryIO:
    """What is in a stream that stands at its beginning; to be read from there to its end."""
    match packing_of(stream):
        case "gzip":
            return cast(BinaryIO, gzip.GzipFile(fileobj=stream))
        case "zstd":
            return cast(BinaryIO, zstd.ZstdFile(stream))
    return stream
