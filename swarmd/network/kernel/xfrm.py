"""The kernel's IPsec: associations and policies for UDP packets of one port, by netlink.

Associations carry a request id by which ours are known among those of others; policies a mark.
To be used by a thread inside of the namespace (`netns.inside`) or on a `Netlink` made there.
"""

from __future__ import annotations

import errno
import socket
import struct
from ipaddress import ip_address
from pathlib import Path

from msgspec import Struct

from swarmd.network.kernel import netns
from swarmd.network.kernel.netlink import (
    CREATE,
    EXCL,
    Netlink,
    Request,
    attribute,
    attributes,
)

REQUEST_ID = 0x5357
_NETLINK_XFRM = 6
_NEW_STATE, _DELETE_STATE, _GET_STATE = 0x10, 0x11, 0x12
_DELETE_POLICY, _GET_POLICY, _UPDATE_POLICY = 0x14, 0x15, 0x19
_ALG_AEAD, _TEMPLATE, _MARK = 18, 5, 21
_OUT = 1
_ESP, _UDP = 50, 17
_TRANSPORT = 0
_ALGORITHM = b"rfc4106(gcm(aes))"
_TAG_BITS = 128
_FOREVER = struct.pack("=QQQQQQQQ", *([2**64 - 1] * 4), 0, 0, 0, 0)
_NOTHING_YET = bytes(32)
_PRIORITY = 100
_ANY = 2**32 - 1
_SELECTOR_BYTES, _STATE_BYTES, _POLICY_BYTES = 56, 224, 168


class State(Struct, frozen=True, order=True):
    """A security association, without its secret."""

    source: str
    target: str
    spi: int


class Policy(Struct, frozen=True, order=True):
    """Marked packets to `target` go by the association with this number, or not at all."""

    source: str
    target: str
    spi: int


def open_xfrm(path: Path | None = None) -> Netlink:
    """The IPsec netlink of a namespace. Raises: OSError, where the kernel has none."""
    return netns.inside(path, _open)


def put_state(state: State, secret: bytes) -> Request:
    """A secret is a key of AES followed by four bytes of salt (RFC 4106)."""
    algorithm = struct.pack("=64sII", _ALGORITHM, 8 * len(secret), _TAG_BITS) + secret
    body = (
        _selector("", "", 0)
        + _identity(state.target, state.spi)
        + _packed(state.source)
        + _FOREVER
        + _NOTHING_YET
        + bytes(12)
        # No window against repetitions: counters begin anew with the sender's kernel.
        + struct.pack("=IIHBBB7x", 0, REQUEST_ID, _family(state.target), _TRANSPORT, 0, 0)
    )
    assert len(body) == _STATE_BYTES
    body += attribute(_ALG_AEAD, algorithm)
    return Request(_NEW_STATE, CREATE | EXCL, body, f"IPsec {state.spi:#x}", (errno.EEXIST,))


def delete_state(state: State) -> Request:
    family = _family(state.target)
    body = _packed(state.target) + struct.pack("!I", state.spi) + struct.pack("=HBx", family, _ESP)
    return Request(_DELETE_STATE, 0, body, f"IPsec {state.spi:#x}", (errno.ESRCH,))


def put_policy(policy: Policy, *, port: int, mark: int) -> Request:
    """In place of the one there is for the same two addresses."""
    template = (
        _identity(policy.target, policy.spi)
        + struct.pack("=H2x", _family(policy.target))
        + _packed(policy.source)
        + struct.pack("=IBBBxIII", REQUEST_ID, _TRANSPORT, 0, 0, _ANY, _ANY, _ANY)
    )
    body = (
        _selector(policy.source, policy.target, port)
        + _FOREVER
        + _NOTHING_YET
        + struct.pack("=IIBBBB4x", _PRIORITY, 0, _OUT, 0, 0, 0)
    )
    assert len(body) == _POLICY_BYTES
    body += attribute(_TEMPLATE, template) + _mark(mark)
    return Request(_UPDATE_POLICY, CREATE, body, f"IPsec policy to {policy.target}")


def delete_policy(policy: Policy, *, port: int, mark: int) -> Request:
    body = _selector(policy.source, policy.target, port) + struct.pack("=IB3x", 0, _OUT)
    return Request(
        _DELETE_POLICY, 0, body + _mark(mark), f"IPsec policy to {policy.target}", (errno.ENOENT,)
    )


def states(netlink: Netlink) -> set[State]:
    """Those that are ours."""
    found = set()
    for payload in netlink.dump(_GET_STATE, b""):
        (request_id, family) = struct.unpack_from("=IH", payload, 208)
        if request_id == REQUEST_ID:
            (spi,) = struct.unpack_from("!I", payload, _SELECTOR_BYTES + 16)
            target = _unpacked(payload, _SELECTOR_BYTES, family)
            found.add(State(_unpacked(payload, _SELECTOR_BYTES + 24, family), target, spi))
    return found


def policies(netlink: Netlink, *, mark: int) -> set[Policy]:
    """Those for a mark."""
    found = set()
    for payload in netlink.dump(_GET_POLICY, b""):
        known = attributes(payload, _POLICY_BYTES)
        template = known.get(_TEMPLATE)
        if template is None or known.get(_MARK, b"")[:4] != struct.pack("=I", mark):
            continue
        (family,) = struct.unpack_from("=H", payload, 40)
        (spi,) = struct.unpack_from("!I", template, 16)
        found.add(Policy(_unpacked(payload, 16, family), _unpacked(payload, 0, family), spi))
    return found


def missing(path: Path | None = None) -> str:
    """Why the kernel can't encrypt packets by itself; empty when it can, as was tried out."""
    probe = State("192.0.2.1", "192.0.2.2", 0x1000)
    try:
        with open_xfrm(path) as netlink:
            netlink.do(put_state(probe, bytes(20)))
            netlink.do(delete_state(probe))
    except OSError as error:
        return f"the kernel has no IPsec with AES-GCM ({error.strerror or error})"
    return ""


def _open() -> Netlink:
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_XFRM)
    sock.bind((0, 0))
    return Netlink(sock)


def _selector(source: str, target: str, port: int) -> bytes:
    """All packets of two addresses to a UDP port; of anything, without addresses."""
    length = ip_address(target).max_prefixlen if target else 0
    selector = (
        _packed(target)
        + _packed(source)
        + struct.pack("!HHHH", port, 0xFFFF if port else 0, 0, 0)
        + struct.pack(
            "=HBBB3xiI", _family(target) if target else 0, length, length, _UDP if port else 0, 0, 0
        )
    )
    assert len(selector) == _SELECTOR_BYTES
    return selector


def _identity(target: str, spi: int) -> bytes:
    return _packed(target) + struct.pack("!I", spi) + struct.pack("=B3x", _ESP)


def _mark(mark: int) -> bytes:
    return attribute(_MARK, struct.pack("=II", mark, _ANY))


def _family(address: str) -> int:
    return socket.AF_INET if ip_address(address).version == 4 else socket.AF_INET6


def _packed(address: str) -> bytes:
    packed = ip_address(address).packed if address else b""
    return packed + bytes(16 - len(packed))


def _unpacked(payload: bytes, at: int, family: int) -> str:
    length = 4 if family == socket.AF_INET else 16
    return str(ip_address(bytes(payload[at : at + length])))
