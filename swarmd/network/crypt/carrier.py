"""The process that carries a node's tunnels: packets between an interface and sealed streams.

    python -m swarmd.network.crypt.carrier DESCRIPTOR

It is a process of its own so that bulk transfers don't hold up the daemon, and the daemon doesn't
hold up packets. It decides nothing: the daemon says who the peers are, and hands over streams that
it has opened (`orders`). Packets to one peer that wait together are sealed and sent together.

    swcrypt ─ read ─► record ─ seal ─► stream          one loop, whichever is ready
    swcrypt ◄─ write ─ check ◄─ open ─ stream
"""

from __future__ import annotations

import os
import select
import socket
import sys
from collections.abc import Callable
from ipaddress import ip_address

from swarmd.network.core.encryption import target_of, vxlan_between
from swarmd.network.crypt import orders
from swarmd.network.crypt.carrier_stream import CarrierStream, StreamLost
from swarmd.network.crypt.records import (
    LENGTH_BYTES,
    PACKET_BYTES_MAX,
    PLAIN_BYTES_MAX,
    packets_of,
)

PACKETS_PER_TURN = 64  # then streams get their turn
COUNT_EVERY_S = 1.0
_HEADERS_BYTES = 56  # IPv6, UDP, VXLAN


class Carrier:
    """All of it. Everything happens within `run`."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._epoll = select.epoll()
        self._epoll.register(control, select.EPOLLIN)
        self._handlers: dict[int, Callable[[int], None]] = {control.fileno(): self._obey}
        self._is_over = False
        self._tun = -1
        self._own = b""
        self._ids: frozenset[bytes] = frozenset()
        self._addresses: dict[str, bytes] = {}  # by node
        self._nodes: dict[bytes, str] = {}  # by address
        self._streams: dict[int, CarrierStream] = {}  # by descriptor
        self._current: dict[str, CarrierStream] = {}  # by node
        self._record = memoryview(bytearray(PLAIN_BYTES_MAX))
        self._dropped = self._refused = 0

    def run(self) -> None:
        """Carry packets until the daemon is gone."""
        while not self._is_over:
            for descriptor, events in self._epoll.poll(COUNT_EVERY_S):
                handler = self._handlers.get(descriptor)  # it may be gone by now
                if handler is not None:
                    handler(events)
            if self._dropped or self._refused:
                self._tell(orders.Counted(self._dropped, self._refused))
                self._dropped = self._refused = 0

    # --- the daemon

    def _obey(self, _events: int) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._control, orders.MESSAGE_BYTES_MAX, 1)
        except ConnectionResetError:  # it went without having read all
            data, descriptors = b"", []
        if not data:
            self._is_over = True
            return
        match orders.decode_order(data):
            case orders.Carry(own, ids, peers):
                self._own, self._ids = ip_address(own).packed, frozenset(ids)
                self._addresses = {node: ip_address(at).packed for node, at in peers.items()}
                self._nodes = {at: node for node, at in self._addresses.items()}
            case orders.Device():
                self._use_device(descriptors[0])
            case orders.Stream() as order:
                self._begin(order, socket.socket(fileno=descriptors[0]))
            case orders.End(node_id):
                for stream in [one for one in self._streams.values() if one.node_id == node_id]:
                    self._lose(stream, "")

    def _tell(self, report: orders.Report) -> None:
        try:
            self._control.send(orders.encode(report))
        except (BrokenPipeError, ConnectionResetError):
            self._is_over = True

    # --- streams

    def _begin(self, order: orders.Stream, sock: socket.socket) -> None:
        stream = CarrierStream(order, sock)
        descriptor = sock.fileno()
        self._streams[descriptor] = stream
        self._handlers[descriptor] = lambda events: self._on_stream(stream, events)
        self._epoll.register(descriptor, stream.events)
        if order.begins:
            self._try(stream, stream.greet)
            self._use(stream)

    def _use(self, stream: CarrierStream) -> None:
        """Send by this stream from now on, and by the one before no more."""
        stream.is_ready = True
        before = self._current.get(stream.node_id)
        self._current[stream.node_id] = stream
        self._tell(orders.Ready(stream.number))
        if before is not None:
            self._try(before, before.finish)

    def _on_stream(self, stream: CarrierStream, events: int) -> None:
        if events & select.EPOLLOUT:
            self._try(stream, stream.flush)
        if events & ~select.EPOLLOUT:
            self._try(stream, lambda: self._receive(stream))

    def _receive(self, stream: CarrierStream) -> None:
        source = self._addresses.get(stream.node_id)
        for record in stream.receive():
            if not stream.is_ready:
                self._use(stream)
            for packet in packets_of(record):
                if not packet:
                    stream.finish_other_end()
                elif source is None or not self._may_send(packet, source):
                    self._refused += 1
                else:
                    self._write(packet)

    def _try(self, stream: CarrierStream, action: Callable[[], None]) -> None:
        """Do something with a stream; see to it what has become of it by that."""
        if stream.sock.fileno() not in self._streams:
            return
        before = stream.events
        try:
            action()
        except StreamLost as error:
            self._lose(stream, str(error))
            return
        if stream.is_done:
            self._lose(stream, "")
        elif stream.events != before:
            self._epoll.modify(stream.sock, stream.events)

    def _lose(self, stream: CarrierStream, reason: str) -> None:
        descriptor = stream.sock.fileno()
        del self._streams[descriptor], self._handlers[descriptor]
        self._epoll.unregister(descriptor)
        stream.sock.close()
        if self._current.get(stream.node_id) is stream:
            del self._current[stream.node_id]
        self._tell(orders.Lost(stream.number, reason))

    # --- packets

    def _may_send(self, packet: memoryview, source: bytes) -> bool:
        return vxlan_between(bytes(packet[:_HEADERS_BYTES]), source, self._own) in self._ids

    def _use_device(self, descriptor: int) -> None:
        self._drop_device()
        self._tun = descriptor
        self._handlers[descriptor] = self._read
        self._epoll.register(descriptor, select.EPOLLIN)

    def _drop_device(self) -> None:
        if self._tun >= 0:
            self._epoll.unregister(self._tun)
            del self._handlers[self._tun]
            os.close(self._tun)
            self._tun = -1

    def _read(self, _events: int) -> None:
        """Send what waits, as few records as it takes."""
        record, at, target = self._record, 0, b""
        try:
            for _ in range(PACKETS_PER_TURN):
                start = at + LENGTH_BYTES
                size = os.readv(self._tun, [record[start : start + PACKET_BYTES_MAX]])
                address = target_of(bytes(record[start : start + 40]))
                if address != target and at:
                    self._send(target, record[:at])
                    record[LENGTH_BYTES : LENGTH_BYTES + size] = record[start : start + size]
                    at = 0
                target = address
                record[at : at + LENGTH_BYTES] = size.to_bytes(LENGTH_BYTES, "big")
                at += LENGTH_BYTES + size
                if at + LENGTH_BYTES + PACKET_BYTES_MAX > len(record):
                    self._send(target, record[:at])
                    at = 0
        except BlockingIOError:
            pass  # that was all
        except OSError:
            self._drop_device()  # it is gone; the daemon finds out, and makes another
        if at:
            self._send(target, record[:at])

    def _send(self, address: bytes, plain: memoryview) -> None:
        stream = self._current.get(self._nodes.get(address, ""))
        if stream is None or stream.is_full:
            self._dropped += 1
        else:
            self._try(stream, lambda: stream.send(plain))

    def _write(self, packet: memoryview) -> None:
        try:
            os.write(self._tun, packet)
        except OSError:  # the interface is down, or out of memory: as any network does
            self._dropped += 1


if __name__ == "__main__":
    Carrier(socket.socket(fileno=int(sys.argv[1]))).run()
