"""Listening in on an interface: every packet that passes it, as somebody on the wire would see."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

from swarmd.network.kernel import netns

_ALL = 0x0003
_BUFFER_BYTES = 16 << 20


class Sniffer:
    """All packets of one interface since it was started."""

    def __init__(self, namespace: Path | None, interface: str) -> None:
        def listen() -> socket.socket:
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
            sock.bind((interface, 0))
            return sock

        self._packets: list[bytes] = []
        self._lock = threading.Lock()
        self._socket = netns.inside(namespace, listen)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    @property
    def packets(self) -> list[bytes]:
        """What has passed until now, or until the end, in order."""
        if not self._ends.is_set():
            self._take()
        return self._packets

    def saw(self, text: bytes) -> bool:
        """Whether somebody could have read this off the wire."""
        return any(text in packet for packet in self.packets)

    def udp_ports(self) -> set[int]:
        """The ports that UDP packets over IPv4 were sent to."""
        return {
            int.from_bytes(packet[36:38], "big")
            for packet in self.packets
            if packet[12:14] == b"\x08\x00" and packet[23] == socket.IPPROTO_UDP
        }

    def protocols(self) -> set[int]:
        """The protocols of packets over IPv4."""
        return {packet[23] for packet in self.packets if packet[12:14] == b"\x08\x00"}

    def close(self) -> None:
        self._take()
        self._ends.set()
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while not self._ends.is_set():
            readable, _, _ = select.select([self._socket], [], [], 0.2)
            if readable:
                self._take()

    def _take(self) -> None:
        with self._lock, contextlib.suppress(BlockingIOError):
            while True:
                self._packets.append(self._socket.recv(65536, socket.MSG_DONTWAIT))


@contextlib.contextmanager
def sniffing(namespace: Path | None, interface: str) -> Iterator[Sniffer]:
    sniffer = Sniffer(namespace, interface)
    try:
        yield sniffer
    finally:
        sniffer.close()
