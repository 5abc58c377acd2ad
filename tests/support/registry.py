"""Debian's docker-registry on the loopback, and pushing archives to it."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

from swarmd.agent.images import manifest as documents
from swarmd.agent.images.archive import open_archive
from swarmd.model.spec import Platform
from tests.support.token_service import ISSUER, SERVICE, TokenService

PROGRAM = shutil.which("docker-registry")
USER, PASSWORD = "someone", "secret"
PATIENCE_S = 15.0
# The password above by bcrypt, which is what the registry wants.
_HASH = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"


class LocalRegistry:
    """A running registry; its images live below a directory of the test."""

    def __init__(self, host: str, *, private: bool) -> None:
        self.host = host
        self._headers = {}
        if private:
            pair = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            self._headers["Authorization"] = f"Basic {pair}"

    def push(self, archive: Path, repository: str, tag: str, platform: Platform) -> str:
        """Push the archive's image under a name; returns the digest of its manifest."""
        with open_archive(archive) as opened:
            (image,) = opened.images(platform)
            for digest, entry in image.blobs.items():
                with opened.open(entry) as file:
                    self._upload(repository, digest, file.read())
        return self.push_manifest(repository, tag, image.manifest, image.manifest_type)

    def push_manifest(self, repository: str, tag: str, data: bytes, kind: str) -> str:
        url = f"http://{self.host}/v2/{repository}/manifests/{tag}"
        self._request(url, data, {"Content-Type": kind}, method="PUT")
        return documents.digest_of(data)

    def is_up(self) -> bool:
        try:
            self._request(f"http://{self.host}/v2/", None, {}, method="GET")
        except urllib.error.HTTPError as refusal:
            return refusal.code == http.client.UNAUTHORIZED
        except OSError:
            return False
        return True

    def _upload(self, repository: str, digest: str, data: bytes) -> None:
        begun = self._request(
            f"http://{self.host}/v2/{repository}/blobs/uploads/", b"", {}, method="POST"
        )
        location = begun["Location"]
        separator = "&" if "?" in location else "?"
        self._request(
            f"{location}{separator}digest={digest}",
            data,
            {"Content-Type": "application/octet-stream"},
            method="PUT",
        )

    def _request(
        self, url: str, data: bytes | None, headers: dict[str, str], *, method: str
    ) -> dict[str, str]:
        request = urllib.request.Request(
            url, data=data, headers={**self._headers, **headers}, method=method
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return dict(answer.headers)


@contextlib.contextmanager
def a_registry(
    directory: Path, *, private: bool = False, tokens: TokenService | None = None
) -> Iterator[LocalRegistry]:
    """A registry on a free port of the loopback; with `private`, only for USER.

    Args:
        tokens: whose tokens open it, and nothing else; images are to be there already.
    """
    if PROGRAM is None:
        raise AssertionError("docker-registry is missing; apt-get install docker-registry")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    lines = [
        "version: 0.1",
        "log: {level: error}",
        f"storage: {{filesystem: {{rootdirectory: {directory / 'registry'}}}}}",
        f"http: {{addr: '127.0.0.1:{port}', secret: test}}",
    ]
    if private:
        users = directory / "htpasswd"
        users.write_text(f"{USER}:{_HASH}\n")
        lines.append(f"auth: {{htpasswd: {{realm: test, path: {users}}}}}")
    if tokens is not None:
        lines.append(
            f"auth: {{token: {{realm: '{tokens.realm}', service: {SERVICE}, issuer: {ISSUER}, "
            f"rootcertbundle: {tokens.bundle}}}}}"
        )
    config = directory / "registry.yml"
    config.write_text("\n".join(lines))
    with (directory / "registry.log").open("wb") as output:
        process = subprocess.Popen([PROGRAM, "serve", str(config)], stdout=output, stderr=output)
    registry = LocalRegistry(f"127.0.0.1:{port}", private=private)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not registry.is_up():
            assert process.poll() is None, (directory / "registry.log").read_text()
            assert time.monotonic() < deadline, "the registry did not start"
            time.sleep(0.02)
        yield registry
    finally:
        process.kill()
        process.wait()
