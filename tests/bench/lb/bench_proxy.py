"""The userspace proxy against going to the task directly: requests, connections, bytes, datagrams.

    python tests/bench/lb/bench_proxy.py [seconds per measurement]

Clients, proxy and task are three processes. Rounds with and without the proxy alternate; the
medians and their ratio are printed, with the CPU time the proxy's process spent per request, which
is what stays comparable when the machine is busy.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import random
import resource
import selectors
import socket
import statistics
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

from swarmd.lb.core.tables import Backend, PortMapping, PublishedPort, ServiceEndpoints, Tables
from swarmd.lb.proxy import Place, ProxyBalancer
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.states import Protocol
from swarmd.runtime.clock import SystemClock

TASK = "127.0.0.21"
ENTRY = "127.0.0.22"
PORT, BULK, UDP = 18_080, 18_081, 18_082
ROUNDS = 3
CLIENTS = 32
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n" + b"x" * 64
REQUEST = b"GET / HTTP/1.1\r\nHost: web\r\n\r\n"
CHUNK = bytes(256 * 1024)


def serve_task() -> None:
    """Answers requests, sends bytes without end, echoes datagrams: one loop, no asyncio."""
    selector = selectors.DefaultSelector()

    def listen(port: int, ready: Callable[[socket.socket], None]) -> None:
        listener = socket.create_server((TASK, port), backlog=4096)
        listener.setblocking(False)
        selector.register(listener, selectors.EVENT_READ, ready)

    def accept_request(listener: socket.socket) -> None:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(sock, selectors.EVENT_READ, answer)

    def answer(sock: socket.socket) -> None:
        try:
            if sock.recv(65536):
                sock.send(RESPONSE)
                return
        except OSError:
            pass  # the client has gone, which is how every measurement ends
        selector.unregister(sock)
        sock.close()

    def accept_bulk(listener: socket.socket) -> None:
        sock, _ = listener.accept()
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_WRITE, flood)

    def flood(sock: socket.socket) -> None:
        try:
            sock.send(CHUNK)
        except OSError:
            selector.unregister(sock)
            sock.close()

    def echo(sock: socket.socket) -> None:
        data, address = sock.recvfrom(2048)
        sock.sendto(data, address)

    listen(PORT, accept_request)
    listen(BULK, accept_bulk)
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind((TASK, UDP))
    selector.register(datagrams, selectors.EVENT_READ, echo)
    while True:
        for key, _ in selector.select():
            key.data(key.fileobj)


def serve_proxy(control: Connection) -> None:
    """The proxy; answers every message on `control` with the CPU seconds used so far."""

    async def serve() -> None:
        balancer = ProxyBalancer(
            place=Place(node_name="bench", listen=(ENTRY,)),
            clock=SystemClock(),
            rng=random.Random(1),
        )
        report = await balancer.apply(_tables())
        loop = asyncio.get_running_loop()

        def tell() -> None:
            control.recv()
            usage = resource.getrusage(resource.RUSAGE_SELF)
            control.send(usage.ru_utime + usage.ru_stime)

        loop.add_reader(control.fileno(), tell)
        control.send(report.problems)
        await asyncio.Event().wait()

    asyncio.run(serve())


def _tables() -> Tables:
    ports = ((Protocol.TCP, PORT), (Protocol.TCP, BULK), (Protocol.UDP, UDP))
    row = ServiceEndpoints(
        service_id=ServiceId("bench"),
        service_name="bench",
        ports=tuple(PublishedPort(protocol, port, port) for protocol, port in ports),
        backends=(
            Backend(
                task_id=TaskId("task"),
                node_id=NodeId("node"),
                address=TASK,
                ports=tuple(PortMapping(protocol, port, port) for protocol, port in ports),
            ),
        ),
    )
    return Tables(1, {row.service_id: row})


def requests(address: str, seconds: float) -> float:
    """Requests per second over kept connections."""
    selector = selectors.DefaultSelector()
    for _ in range(CLIENTS):
        sock = socket.create_connection((address, PORT))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(sock, selectors.EVENT_READ)
        sock.send(REQUEST)
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        for key, _ in selector.select():
            key.fileobj.recv(65536)
            key.fileobj.send(REQUEST)
            count += 1
    for key in tuple(selector.get_map().values()):
        key.fileobj.close()
    return count / seconds


def connections(address: str, seconds: float) -> float:
    """Connections per second, each with one request, by several clients at once."""
    selector = selectors.DefaultSelector()

    def begin() -> None:
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex((address, PORT))
        selector.register(sock, selectors.EVENT_WRITE)

    for _ in range(CLIENTS):
        begin()
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        for key, events in selector.select():
            sock = key.fileobj
            if events & selectors.EVENT_WRITE:
                sock.send(REQUEST)
                selector.modify(sock, selectors.EVENT_READ)
            else:
                if sock.recv(65536) != RESPONSE:
                    raise AssertionError("an answer was not what the task sent")
                selector.unregister(sock)
                sock.close()
                count += 1
                begin()
    for key in tuple(selector.get_map().values()):
        key.fileobj.close()
    return count / seconds


def megabytes(address: str, seconds: float) -> float:
    """Megabytes per second on one connection."""
    buffer, count = bytearray(1 << 20), 0
    with socket.create_connection((address, BULK)) as sock:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            count += sock.recv_into(buffer)
    return count / seconds / 1e6


def datagrams(address: str, seconds: float) -> float:
    """Datagrams there and back per second, 32 on their way at a time."""
    count = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((address, UDP))
        sock.settimeout(0.2)
        for _ in range(32):
            sock.send(bytes(32))
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                sock.recv(2048)
            except TimeoutError:
                for _ in range(32):  # some were lost
                    sock.send(bytes(32))
                continue
            sock.send(bytes(32))
            count += 1
    return count / seconds


MEASUREMENTS: dict[str, Callable[[str, float], float]] = {
    "requests/s": requests,
    "connections/s": connections,
    "MB/s": megabytes,
    "datagrams/s": datagrams,
}


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    ours, theirs = multiprocessing.Pipe()
    task = multiprocessing.Process(target=serve_task, daemon=True)
    proxy = multiprocessing.Process(target=serve_proxy, args=(theirs,), daemon=True)
    task.start()
    proxy.start()
    if problems := ours.recv():
        sys.exit("\n".join(problems))
    results: dict[str, dict[str, float]] = {}
    try:
        _wait_for_task()
        for name, measure in MEASUREMENTS.items():
            direct, proxied, cpu_us = [], [], []
            for _ in range(ROUNDS):
                direct.append(measure(TASK, seconds))
                before = _cpu(ours)
                proxied.append(measure(ENTRY, seconds))
                cpu_us.append((_cpu(ours) - before) / (proxied[-1] * seconds) * 1e6)
            results[name] = {
                "direct": statistics.median(direct),
                "proxy": statistics.median(proxied),
                "proxy_cpu_us": statistics.median(cpu_us),
            }
    finally:
        for process in (proxy, task):
            process.terminate()
            process.join()
    for name, row in results.items():
        ratio = row["proxy"] / row["direct"]
        print(
            f"{name:>14}  direct {row['direct']:>9,.0f}  proxy {row['proxy']:>9,.0f}"
            f"  ratio {ratio:.2f}  proxy CPU {row['proxy_cpu_us']:.1f} us each"
        )
    print(json.dumps({"bench": "lb.proxy", "results": results}))


def _wait_for_task() -> None:
    end = time.monotonic() + 10
    while True:
        try:
            socket.create_connection((TASK, PORT)).close()
            return
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def _cpu(control: Connection) -> float:
    control.send(None)
    seconds: float = control.recv()
    return seconds


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    main()
