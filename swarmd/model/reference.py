"""Names of images: `nginx`, `registry.example.com:5000/team/app:2`, `app@sha256:…`.

A name without a registry is one of Docker Hub's, a name of one word there an official image, and a
name without tag and digest means `latest`; what is stored is the name written out.
"""

from __future__ import annotations

import re

from swarmd.model.record import Record

DOCKER_HUB = "docker.io"
LATEST = "latest"

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PATH = re.compile(
    r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*"
)
_HOST = re.compile(
    r"(?:\[[0-9a-fA-F:]+\]|[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?)(?::\d{1,5})?", re.ASCII
)
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)


class BadReference(ValueError):
    """The text names no image; the message says what is wrong."""


class Reference(Record, frozen=True):
    """A name written out. With a digest, the tag is only what people call it."""

    registry: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def repository(self) -> str:
        return f"{self.registry}/{self.path}"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.repository}{tag}{digest}"

    @property
    def familiar(self) -> str:
        """As people write it."""
        name = str(self).removeprefix(f"{DOCKER_HUB}/")
        return name.removeprefix("library/")


def parse(text: str) -> Reference:
    """The reference that `text` stands for.

    Raises:
        BadReference
    """
    name, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise BadReference(f"image {text!r}: {digest!r} is not a sha256 digest")
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        registry, path = first, rest
    else:
        registry, path = DOCKER_HUB, name
    path, colon, tag = path.partition(":")
    if registry in ("index.docker.io", "registry-1.docker.io"):
        registry = DOCKER_HUB
    if registry == DOCKER_HUB and "/" not in path:
        path = f"library/{path}"
    if not _HOST.fullmatch(registry) or not _PATH.fullmatch(path):
        raise BadReference(f"image {text!r} is not a name such as nginx:1.27")
    if colon and not _TAG.fullmatch(tag):
        raise BadReference(f"image {text!r}: {tag!r} is not a tag")
    if not tag and not digest:
        tag = LATEST
    return Reference(registry=registry, path=path, tag=tag, digest=digest)
