"""A registry, asked over HTTP by the OCI distribution protocol; everything here blocks.

Registries on this machine's loopback may be spoken to in plain; all others need TLS. Credentials
go to the registry and its token service, never to a mirror nor to where it redirects. What arrives
is checked against digest and length as it comes, so that a registry that lies costs no more than it
announced.
"""

from __future__ import annotations

import hashlib
import http.client
import ipaddress
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from swarmd.agent.images import auth
from swarmd.agent.images.asking import (
    CHUNK_BYTES,
    SILENCE_S_MAX,
    BrokenOff,
    pieces,
    read_document,
    send,
)
from swarmd.agent.images.manifest import (
    DOCUMENT_BYTES_MAX,
    INDEXES,
    MANIFESTS,
    Descriptor,
    digest_of,
)
from swarmd.agent.images.problems import BadImage, Denied, NoSuchImage, Unreachable
from swarmd.model.reference import DOCKER_HUB, Reference
from swarmd.model.registry_login import NOBODY, Credentials

DOCKER_HUB_HOST = "registry-1.docker.io"
CLIENT_ID = "swarmd"
_ACCEPT = ", ".join((*MANIFESTS, *INDEXES))


class NoRange(Unreachable):
    """A registry has not as much of a blob as has come already."""


class Registry:
    """The repository of one image in its registry, or in a mirror of that.

    Args:
        mirror: asked in place of the registry: scheme, host and perhaps a path.
        silence_s: how long it may say nothing.
    """

    def __init__(
        self,
        reference: Reference,
        credentials: Credentials = NOBODY,
        *,
        mirror: str = "",
        silence_s: float = SILENCE_S_MAX,
    ) -> None:
        self._silence_s = silence_s
        self.name = urlsplit(mirror).netloc if mirror else reference.registry
        self._reference = reference
        self._credentials = credentials
        self._authorization = ""
        self._root = f"{(mirror or _url(reference.registry)).rstrip('/')}/v2/"
        self._base = f"{self._root}{reference.path}"

    def check_login(self) -> None:
        """Ask whether the registry knows us.

        Raises:
            NoSuchImage, Unreachable: it does not, or cannot be asked.
        """
        with self._open(self._root) as answer:
            read_document(answer, DOCUMENT_BYTES_MAX)

    def manifest(self, name: str) -> tuple[str, bytes]:
        """A manifest or index by tag or digest: its media type and content.

        Raises:
            NoSuchImage, Unreachable
            BadImage: it is not what the digest says.
        """
        with self._open(f"{self._base}/manifests/{name}", accept=_ACCEPT) as answer:
            kind = answer.headers.get("Content-Type", "").partition(";")[0].strip()
            data = read_document(answer, DOCUMENT_BYTES_MAX)
        if name.startswith("sha256:") and digest_of(data) != name:
            raise BadImage(f"{self.name} answers for {name} with something else")
        return kind, data

    def fetch(
        self, blob: Descriptor, path: Path, *, on_size: Callable[[int], None] = lambda _: None
    ) -> None:
        """Bring a blob into a file, going on where an earlier attempt broke off.

        Args:
            on_size: told how much there is whenever more has come, in this thread.

        Raises:
            NoSuchImage, Unreachable: what has arrived stays for the next attempt.
            BadImage: the content is not what was announced; nothing stays.
        """
        digest, size = hashlib.sha256(), 0
        if path.exists():
            with path.open("rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    digest.update(chunk)
                    size += len(chunk)
        earlier = size
        if size < blob.size:
            with self._open_blob(blob, path, size) as answer:
                if size and answer.status != http.client.PARTIAL_CONTENT:
                    digest, size, earlier = hashlib.sha256(), 0, 0
                with path.open("r+b" if size else "wb") as file:
                    file.seek(size)
                    try:
                        for piece in pieces(answer):
                            size += len(piece)
                            if size > blob.size:
                                break
                            digest.update(piece)
                            file.write(piece)
                            on_size(size)
                    except BrokenOff as error:
                        raise Unreachable(
                            f"{self.name} {error} after {size} of {blob.size} bytes of a layer; "
                            "will try again"
                        ) from None
        if size != blob.size or f"sha256:{digest.hexdigest()}" != blob.digest:
            path.unlink()
            if earlier:  # perhaps of somebody else, who is to blame
                raise Unreachable(f"what had come of {blob.digest} was damaged; will try again")
            if size < blob.size:
                raise BadImage(f"{self.name} sent {size} of the {blob.size} bytes of {blob.digest}")
            raise BadImage(f"{self.name} sent something else than {blob.digest} promises")

    def _open_blob(self, blob: Descriptor, path: Path, begin: int) -> http.client.HTTPResponse:
        """The blob from some byte on, if the registry can do that."""
        url = f"{self._base}/blobs/{blob.digest}"
        try:
            return self._open(url, **({"Range": f"bytes={begin}-"} if begin else {}))
        except NoRange:
            path.unlink()  # the next attempt begins anew
            raise
        except Denied:
            raise
        except NoSuchImage:
            raise NoSuchImage(
                f"{self.name} lacks {blob.digest}, a part of {self._reference.familiar}"
            ) from None

    def _open(self, url: str, *, accept: str = "", **headers: str) -> http.client.HTTPResponse:
        if accept:
            headers["Accept"] = accept
        authorization = self._authorization
        for attempt in (1, 2):
            request = urllib.request.Request(url, headers=headers)
            if authorization:
                # Unredirected: not for whoever serves the content in the end.
                request.add_unredirected_header("Authorization", authorization)
            try:
                answer: http.client.HTTPResponse = send(request, self._silence_s)
                return answer
            except urllib.error.HTTPError as error:
                with error:
                    challenge = error.headers.get("WWW-Authenticate", "")
                    if error.code == http.client.UNAUTHORIZED and attempt == 1:
                        # Our own: another thread may be asking for one at the same time.
                        authorization = self._authorization = self._answer(challenge)
                        if authorization:
                            continue
                    raise self._explained(error.code) from None
        raise AssertionError("the second attempt answers or raises")

    def _answer(self, header: str) -> str:
        """The authorization that a challenge asks for; empty when we have none to give."""
        challenge = auth.parse_challenge(header)
        if challenge is None or challenge.scheme == "basic":
            return self._credentials.basic
        scope = f"repository:{self._reference.path}:pull" if self._reference.path else ""
        url = auth.token_url(challenge, scope=scope, credentials=self._credentials)
        parts = urlsplit(url)
        if parts.scheme != "https" and not is_loopback(parts.netloc):
            raise NoSuchImage(f"{self.name} wants credentials sent to {parts.netloc} in plain")
        request = urllib.request.Request(url)
        if self._credentials.identity_token:
            request = self._refresh_request(challenge, scope)
        elif self._credentials.basic:
            request.add_unredirected_header("Authorization", self._credentials.basic)
        try:
            with send(request, self._silence_s) as answer:
                token = auth.parse_token(read_document(answer, DOCUMENT_BYTES_MAX))
        except urllib.error.HTTPError as error:
            with error:
                raise self._explained(error.code) from None
        return f"Bearer {token}" if token else ""

    def _refresh_request(self, challenge: auth.Challenge, scope: str) -> urllib.request.Request:
        """The request for a token in exchange for the one that we were given to keep."""
        form = {
            "grant_type": "refresh_token",
            "service": challenge.service,
            "scope": challenge.scope or scope,
            "client_id": CLIENT_ID,
            "refresh_token": self._credentials.identity_token,
        }
        return urllib.request.Request(challenge.realm, data=urlencode(form).encode())

    def _explained(self, code: int) -> Exception:
        reference = self._reference
        if code == http.client.NOT_FOUND:
            return NoSuchImage(f"no such image: {reference.familiar}")
        if code in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
            who = self._credentials.username or "anybody"
            if not reference.path:
                return Denied(f"{self.name} does not take the credentials of {who}")
            return Denied(
                f"no such image: {reference.familiar}, or {self.name} does not show it "
                f"to {who}; check the name and the credentials"
            )
        kind = NoRange if code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE else Unreachable
        return kind(f"{self.name} answers {code}; will try again")


def _url(registry: str) -> str:
    host = DOCKER_HUB_HOST if registry == DOCKER_HUB else registry
    return f"{'http' if is_loopback(host) else 'https'}://{host}"


def is_loopback(host: str) -> bool:
    """Whether a host, with or without a port, is this machine."""
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
