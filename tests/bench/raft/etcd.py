"""etcd with three members and mutual TLS, and a client that costs next to nothing.

The client speaks just enough HTTP/2 to keep many `KV/Put` calls under way on one connection. It
takes about 25 µs of Python per call; etcd itself needs several times that, so the figures are
etcd's. (grpcio would need 300 µs and measure mostly itself.)
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
import tempfile
from pathlib import Path

from tests.support import certs
from tests.support.raft_proc import iterate_ports

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _END_HEADERS = 1, 4


def _frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body


def _literal(name: bytes, value: bytes) -> bytes:
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


_PUT = (
    _literal(b":method", b"POST")
    + _literal(b":scheme", b"https")
    + _literal(b":path", b"/etcdserverpb.KV/Put")
    + _literal(b":authority", b"localhost")
    + _literal(b"content-type", b"application/grpc")
    + _literal(b"te", b"trailers")
)


def _varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def put_message(key: bytes, value: bytes) -> bytes:
    """A length-prefixed `PutRequest`."""
    body = b"\x0a" + _varint(len(key)) + key + b"\x12" + _varint(len(value)) + value
    return b"\0" + struct.pack(">I", len(body)) + body


class PutClient(asyncio.Protocol):
    """Puts over one connection; each call's future ends when its trailers arrive."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._stream = 1
        self._calls: dict[int, asyncio.Future[None]] = {}
        self._credit_used = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(_PREFACE + _frame(_SETTINGS, 0, 0, b""))

    def put(self, message: bytes) -> asyncio.Future[None]:
        assert self._transport is not None
        stream, self._stream = self._stream, self._stream + 2
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._calls[stream] = future
        frames = [_frame(_HEADERS, _END_HEADERS, stream, _PUT)]
        for start in range(0, len(message), 16384):
            part = message[start : start + 16384]
            last = start + 16384 >= len(message)
            frames.append(_frame(_DATA, _END_STREAM if last else 0, stream, part))
        self._transport.write(b"".join(frames))
        return future

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        buffer = self._buffer
        buffer += data
        while len(buffer) >= 9:
            length = int.from_bytes(buffer[:3], "big")
            if len(buffer) < 9 + length:
                break
            kind, flags = buffer[3], buffer[4]
            stream = int.from_bytes(buffer[5:9], "big")
            if kind == _HEADERS and flags & _END_STREAM:
                self._calls.pop(stream).set_result(None)
            elif kind == _DATA:
                self._credit_used += length
                if self._credit_used > 16384:
                    credit = struct.pack(">I", self._credit_used)
                    self._transport.write(_frame(_WINDOW, 0, 0, credit))
                    self._credit_used = 0
            elif kind == _SETTINGS and not flags & 1:
                self._transport.write(_frame(_SETTINGS, 1, 0, b""))
            elif kind == _PING and not flags & 1:
                self._transport.write(_frame(_PING, 1, 0, bytes(buffer[9:17])))
            elif kind in (_RESET, _GOAWAY):
                raise ConnectionError(f"etcd ended the call: {bytes(buffer[9 : 9 + length])!r}")
            del buffer[: 9 + length]

    def connection_lost(self, exc: Exception | None) -> None:
        for future in self._calls.values():
            if not future.done():
                future.set_exception(ConnectionResetError("etcd closed the connection"))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class Etcd:
    """Three etcd processes on loopback with throw-away certificates."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._processes: list[asyncio.subprocess.Process] = []
        self._ports: list[int] = []
        self._pair = _certificate(directory)

    async def start(self) -> None:
        ports = list(iterate_ports(6))
        self._ports = ports[:3]
        peers = ",".join(f"m{n}=https://localhost:{ports[3 + n]}" for n in range(3))
        cert, key, root = self._pair
        for number in range(3):
            client, peer = ports[number], ports[3 + number]
            self._processes.append(
                await asyncio.create_subprocess_exec(
                    "etcd",
                    f"--name=m{number}",
                    f"--data-dir={self.directory / f'm{number}'}",
                    f"--listen-client-urls=https://127.0.0.1:{client}",
                    f"--advertise-client-urls=https://localhost:{client}",
                    f"--listen-peer-urls=https://127.0.0.1:{peer}",
                    f"--initial-advertise-peer-urls=https://localhost:{peer}",
                    f"--initial-cluster={peers}",
                    "--client-cert-auth",
                    "--peer-client-cert-auth",
                    f"--trusted-ca-file={root}",
                    f"--cert-file={cert}",
                    f"--key-file={key}",
                    f"--peer-trusted-ca-file={root}",
                    f"--peer-cert-file={cert}",
                    f"--peer-key-file={key}",
                    "--logger=zap",
                    "--log-level=error",
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.DEVNULL,
                )
            )
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(OSError):
                    client = await self._connect(0)
                    await client.put(put_message(b"ready", b""))
                    client.close()
                    return
                await asyncio.sleep(0.2)

    async def stop(self) -> None:
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def load(self, outstanding: int, size: int, seconds: float) -> dict[str, float]:
        """Keep so many puts under way at the fastest of the members."""
        best: dict[str, float] = {"per_second": 0.0}
        for number in range(3):
            best = max(
                best,
                await self._load(number, outstanding, size, seconds / 3),
                key=lambda r: r["per_second"],
            )
        return best

    async def _load(
        self, number: int, outstanding: int, size: int, seconds: float
    ) -> dict[str, float]:
        client = await self._connect(number)
        loop, times = asyncio.get_running_loop(), []
        message = put_message(b"key", b"x" * size)
        begun = loop.time()

        async def one() -> None:
            while (started := loop.time()) < begun + seconds:
                await client.put(message)
                times.append(loop.time() - started)

        async with asyncio.TaskGroup() as clients:
            for _ in range(outstanding):
                clients.create_task(one())
        took = loop.time() - begun
        client.close()
        times.sort()
        return {
            "per_second": len(times) / took,
            "p50_ms": times[len(times) // 2] * 1e3,
            "p99_ms": times[len(times) * 99 // 100] * 1e3,
        }

    async def _connect(self, number: int) -> PutClient:
        cert, key, root = self._pair
        context = ssl.create_default_context(cafile=str(root))
        context.load_cert_chain(cert, key)
        context.set_alpn_protocols(["h2"])
        _, client = await asyncio.get_running_loop().create_connection(
            PutClient, "127.0.0.1", self._ports[number], ssl=context, server_hostname="localhost"
        )
        return client


def _certificate(directory: Path) -> tuple[Path, Path, Path]:
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    start = datetime.datetime.fromtimestamp(certs.wall_now() / 1e9, datetime.UTC)
    import ipaddress

    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - datetime.timedelta(hours=1))
        .not_valid_after(start + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = directory / "etcd.crt", directory / "etcd.key", directory / "etcd.crt"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A directory on a real disk: /tmp may be memory."""
    return tempfile.TemporaryDirectory(prefix="swarmd-bench-", dir="/var/tmp")
