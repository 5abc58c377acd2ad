"""Just enough SCTP for kernels that forward it and have no sockets of it: chunks by raw sockets."""

from __future__ import annotations

import socket
import struct

PROTOCOL = 132
_INIT, _INIT_ACK = 1, 2
_COMMON = struct.Struct("!HHII")
_CHUNK = struct.Struct("!BBHIIHHI")
_WINDOW, _STREAMS, _TAG = 65536, 10, 0x1234
_CASTAGNOLI = 0x82F63B78


def raw_socket() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_RAW, PROTOCOL)


def init(source_port: int, port: int) -> bytes:
    """The packet that opens an association."""
    return _packet(source_port, port, 0, _INIT)


def init_ack(packet: bytes) -> bytes:
    """The answer to it."""
    source_port, port, _, _ = _COMMON.unpack_from(packet)
    (_, _, _, tag, *_) = _CHUNK.unpack_from(packet, _COMMON.size)
    return _packet(port, source_port, tag, _INIT_ACK)


def receive(sock: socket.socket) -> tuple[str, int, int, bytes]:
    """Sender, its port, one's own port, and the packet without its IP header."""
    data, (address, _) = sock.recvfrom(4096)
    packet = data[(data[0] & 15) * 4 :]
    source_port, port = struct.unpack_from("!HH", packet)
    return address, source_port, port, packet


def _packet(source_port: int, port: int, tag: int, kind: int) -> bytes:
    chunk = _CHUNK.pack(kind, 0, _CHUNK.size, _TAG, _WINDOW, _STREAMS, _STREAMS, 1)
    unsigned = _COMMON.pack(source_port, port, tag, 0) + chunk
    checksum = struct.pack("<I", _crc32c(unsigned))
    return unsigned[:8] + checksum + unsigned[12:]


def _crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (_CASTAGNOLI if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
