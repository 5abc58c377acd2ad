"""gRPC's textual header values: timeouts and status messages."""

from __future__ import annotations

_UNITS_NS = {
    ord("n"): 1,
    ord("u"): 1_000,
    ord("m"): 1_000_000,
    ord("S"): 1_000_000_000,
    ord("M"): 60_000_000_000,
    ord("H"): 3_600_000_000_000,
}
_DIGITS_MAX = 8


def parse_timeout_ns(value: bytes) -> int | None:
    """A `grpc-timeout` in nanoseconds; None when it is malformed."""
    digits = value[:-1]
    if not 0 < len(digits) <= _DIGITS_MAX or not digits.isdigit():
        return None
    unit = _UNITS_NS.get(value[-1])
    return None if unit is None else int(digits) * unit


def rounded_timeout(timeout_ns: int) -> int:
    """A round figure of at least `timeout_ns`, as the client's own timer is exact anyway.

    So header blocks repeat, which saves the server decoding them, even where a relay passes on what
    is left of a timeout.
    """
    step = _UNITS_NS[ord("m")] * (1 if timeout_ns < _UNITS_NS[ord("S")] else 100)
    return -(-timeout_ns // step) * step


def format_timeout(timeout_ns: int) -> bytes:
    """A `grpc-timeout` of at least `timeout_ns`, in the finest unit that has room for it."""
    timeout_ns = max(timeout_ns, 1)
    for unit, size in ((b"n", 1), (b"u", 1_000), (b"m", 1_000_000), (b"S", 1_000_000_000)):
        count = -(-timeout_ns // size)
        if count < 10**_DIGITS_MAX:
            return b"%d%s" % (count, unit)
    return b"%dH" % min(-(-timeout_ns // _UNITS_NS[ord("H")]), 10**_DIGITS_MAX - 1)


def escape(message: str) -> bytes:
    """A status message as printable ASCII: UTF-8, percent-encoded."""
    data = message.encode("utf-8", "replace")
    if data.isascii() and data.decode().isprintable() and b"%" not in data:
        return data
    return b"".join(
        bytes((byte,)) if 0x20 <= byte <= 0x7E and byte != 0x25 else b"%%%02X" % byte
        for byte in data
    )


def unescape(value: bytes) -> str:
    """The message of `escape`; what is not a valid escape stands for itself."""
    if b"%" not in value:
        return value.decode("utf-8", "replace")
    out = bytearray()
    at = 0
    while at < len(value):
        if value[at] == 0x25:
            digits = value[at + 1 : at + 3]
            if len(digits) == 2 and all(digit in b"0123456789abcdefABCDEF" for digit in digits):
                out.append(int(digits, 16))
                at += 3
                continue
        out.append(value[at])
        at += 1
    return out.decode("utf-8", "replace")
