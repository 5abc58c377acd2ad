"""A service that hands out tokens for a registry, as Docker Hub and its like have one."""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

ISSUER, SERVICE = "tokens of the tests", "registry of the tests"
LIFE_S = 300


class TokenService(ThreadingHTTPServer):
    """Gives pull tokens to one user, and to nobody else; also for an identity token."""

    daemon_threads = True

    def __init__(self, directory: Path, *, username: str, password: str) -> None:
        super().__init__(("127.0.0.1", 0), _Asked)
        pair = f"{username}:{password}".encode()
        self.expected = f"Basic {base64.b64encode(pair).decode()}"
        self.identity_token = f"of {username} for good"
        self.scopes: list[str] = []
        self._key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(self._key)
        self._x5c = base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()
        self.bundle = directory / "tokens.pem"
        self.bundle.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    @property
    def realm(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/token"

    def token(self, scope: str) -> str:
        kind, name, actions = scope.split(":")
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": "",
            "aud": SERVICE,
            "jti": str(now),
            "nbf": now - 10,
            "iat": now,
            "exp": now + LIFE_S,
            "access": [{"type": kind, "name": name, "actions": actions.split(",")}],
        }
        header = {"typ": "JWT", "alg": "ES256", "x5c": [self._x5c]}
        signed = ".".join(_encoded(json.dumps(part).encode()) for part in (header, claims))
        signature = self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256()))
        numbers = decode_dss_signature(signature)
        return f"{signed}.{_encoded(b''.join(n.to_bytes(32, 'big') for n in numbers))}"


class _Asked(BaseHTTPRequestHandler):
    server: TokenService

    def do_GET(self) -> None:
        known = self.headers.get("Authorization") == self.server.expected
        self._answer(parse_qs(urlsplit(self.path).query).get("scope", [""])[0], known=known)

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        form = {name: one for name, (one, *_) in parse_qs(self.rfile.read(length).decode()).items()}
        known = form.get("grant_type") == "refresh_token"
        known = known and form.get("refresh_token") == self.server.identity_token
        self._answer(form.get("scope", ""), known=known)

    def _answer(self, scope: str, *, known: bool) -> None:
        self.server.scopes.append(scope)
        body = json.dumps({"token": self.server.token(scope)}).encode() if known else b""
        self.send_response(200 if known else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: tests look at the scopes."""


@contextlib.contextmanager
def a_token_service(directory: Path, *, username: str, password: str) -> Iterator[TokenService]:
    with TokenService(directory, username=username, password=password) as running:
        thread = Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield running
        finally:
            running.shutdown()
            thread.join()


def _certificate(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tokens")])
    now = datetime.datetime.fromtimestamp(time.time(), datetime.UTC)
    day = datetime.timedelta(days=1)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - day).not_valid_after(now + day)
    constraints: Any = x509.BasicConstraints(ca=True, path_length=None)
    return builder.add_extension(constraints, critical=True).sign(key, hashes.SHA256())


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
