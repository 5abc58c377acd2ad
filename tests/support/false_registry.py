"""A registry on the loopback that misbehaves, in a way that the name of the repository says."""

from __future__ import annotations

import contextlib
import gzip
import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from backports import zstd

from swarmd.agent.images.manifest import MANIFESTS
from tests.support import images

KIND = "application/vnd.oci.image"
DRIP_BYTES, DRIP_S = 200_000, 0.4
SILENT_S = 60.0  # longer than any test waits; the end of the server cuts it short


class FalseRegistry(ThreadingHTTPServer):
    """Serves one image per repository: `add` says what of, the repository's name how badly."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Asked)
        self.manifests: dict[str, bytes] = {}
        self.blobs: dict[str, bytes] = {}
        self.tokens: set[str] = set()
        self.tokens_given = 0
        self.honest = False
        self.spoken = Event()  # set when those that are silent go on

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def add(
        self,
        repository: str,
        layers: list[bytes],
        *,
        config: bytes | None = None,
        by_zstd: bool = False,
    ) -> str:
        """An image in a repository of the server; returns its name."""
        packing = "zstd" if by_zstd else "gzip"

        def packed(data: bytes) -> bytes:
            return zstd.compress(data, 1) if by_zstd else gzip.compress(data, 1, mtime=0)

        def blob(data: bytes, kind: str) -> dict[str, Any]:
            self.blobs[images.digest(data)] = data
            return {"mediaType": kind, "digest": images.digest(data), "size": len(data)}

        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFESTS[0],
            "config": blob(config or images.a_config(layers), f"{KIND}.config.v1+json"),
            "layers": [blob(packed(data), f"{KIND}.layer.v1.tar+{packing}") for data in layers],
        }
        self.manifests[repository] = json.dumps(manifest).encode()
        return f"{self.host}/{repository}:1"


class _Asked(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    server: FalseRegistry

    def do_GET(self) -> None:
        if self.path.startswith("/token"):
            self.server.tokens_given += 1
            token = f"t{self.server.tokens_given}"
            self.server.tokens.add(token)
            self._reply(200, json.dumps({"token": token}).encode())
            return
        _, _, repository, what, name = self.path.split("/")
        fault = "" if self.server.honest else repository
        if fault == "mute":
            self.server.spoken.wait(SILENT_S)
        if fault == "brief" and not self._may():
            realm = f'Bearer realm="http://{self.server.host}/token",service="s"'
            self._reply(401, WWW_Authenticate=realm)
        elif what == "manifests":
            self._manifest(repository, fault, name)
        elif name in self.server.blobs:
            self._blob(fault, self.server.blobs[name])
        else:
            self._reply(404)

    def _may(self) -> bool:
        """Whether the caller has a token; each is good for one request."""
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.server.tokens:
            return False
        self.server.tokens.discard(token)
        return True

    def _manifest(self, repository: str, fault: str, name: str) -> None:
        data = self.server.manifests.get(repository, b"")
        if fault == "forged" and name.startswith("sha256:"):
            data += b" "
        self._reply(200 if data else 404, data, Content_Type=MANIFESTS[0])

    def _blob(self, fault: str, data: bytes) -> None:
        begin = int(self.headers.get("Range", "bytes=0-")[6:-1])
        code = 206 if begin else 200
        data = data[begin:]
        match fault:
            case "altered":
                data = data[:-1] + bytes([data[-1] ^ 1])
            case "long":
                data += b"more"
            case "short":
                self._head(code, len(data))
                self.wfile.write(data[: len(data) // 2])
                return
            case "less":
                data = data[:-7]
            case "hush" if len(data) > DRIP_BYTES and not self.server.spoken.is_set():
                self._head(code, len(data))
                self.wfile.write(data[:DRIP_BYTES])
                self.server.spoken.wait(SILENT_S)
                return
            case "slow" if len(data) > DRIP_BYTES:
                self._head(code, len(data))
                for start in range(0, len(data), DRIP_BYTES):
                    self.wfile.write(data[start : start + DRIP_BYTES])
                    time.sleep(DRIP_S)
                return
        self._reply(code, data)

    def _reply(self, code: int, body: bytes = b"", **headers: str) -> None:
        self._head(code, len(body), **headers)
        self.wfile.write(body)

    def _head(self, code: int, length: int, **headers: str) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: tests look at what becomes of their tasks."""


@contextlib.contextmanager
def a_false_registry() -> Iterator[FalseRegistry]:
    with FalseRegistry() as running:
        thread = Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield running
        finally:
            running.spoken.set()
            running.shutdown()
            thread.join()
