"""Manifests, indexes and image configurations: what they say, checked before anything is trusted.

Everything here came from a registry or an archive; whatever is malformed is refused with a
sentence, never passed on.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from swarmd.agent.images.problems import BadImage
from swarmd.model.spec import Platform

INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
DOCUMENT_BYTES_MAX = 4 * 1024 * 1024
LAYERS_MAX = 127  # more than overlayfs and its mount options take

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
_T = TypeVar("_T")


class _Document(msgspec.Struct, frozen=True, rename="camel"):
    """Unknown members are ignored, for documents grow."""


class DescribedPlatform(_Document, frozen=True):
    architecture: str = ""
    os: str = ""


class Descriptor(_Document, frozen=True):
    media_type: str = ""
    digest: str = ""
    size: int = 0
    platform: DescribedPlatform | None = None
    annotations: Mapping[str, str] = {}


class Index(_Document, frozen=True):
    manifests: tuple[Descriptor, ...] = ()


class Manifest(_Document, frozen=True):
    config: Descriptor = Descriptor()
    layers: tuple[Descriptor, ...] = ()


class _RootFs(msgspec.Struct, frozen=True):
    diff_ids: tuple[str, ...] = ()


class ImageHealth(msgspec.Struct, frozen=True, rename="pascal"):
    """The health check that Docker's builder puts into an image; times in nanoseconds."""

    test: tuple[str, ...] = ()
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class RunConfig(msgspec.Struct, frozen=True, rename="pascal"):
    """How the image wants to be run."""

    user: str = ""
    env: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    working_dir: str = ""
    stop_signal: str = ""
    volumes: Mapping[str, object] | None = None
    labels: Mapping[str, str] | None = None
    healthcheck: ImageHealth | None = None


class ImageConfig(msgspec.Struct, frozen=True):
    """The configuration document of an image."""

    architecture: str = ""
    os: str = ""
    created: str | None = None
    config: RunConfig | None = None
    rootfs: _RootFs = _RootFs()

    @property
    def run(self) -> RunConfig:
        return self.config or RunConfig()


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def parse_index(data: bytes) -> Index:
    index = _parse(data, Index, "the index")
    for descriptor in index.manifests:
        check_descriptor(descriptor)
    return index


def parse_manifest(data: bytes) -> Manifest:
    """A manifest of one platform's image; its digests and sizes are well-formed."""
    manifest = _parse(data, Manifest, "the manifest")
    check_descriptor(manifest.config)
    for layer in manifest.layers:
        check_descriptor(layer)
    if len(manifest.layers) > LAYERS_MAX:
        raise BadImage(f"the image has {len(manifest.layers)} layers; at most {LAYERS_MAX} work")
    return manifest


def parse_config(data: bytes, manifest: Manifest) -> ImageConfig:
    """The configuration that goes with `manifest`: it names each layer's content."""
    config = _parse(data, ImageConfig, "the image configuration")
    ids = config.rootfs.diff_ids
    if len(ids) != len(manifest.layers) or not all(map(_DIGEST.fullmatch, ids)):
        raise BadImage(
            f"the image configuration names {len(ids)} layers, the manifest {len(manifest.layers)}"
        )
    return config


def check_descriptor(descriptor: Descriptor) -> None:
    if not _DIGEST.fullmatch(descriptor.digest) or descriptor.size < 0:
        raise BadImage(f"the manifest names {descriptor.digest[:80]!r}, which is no sha256 digest")


def select(index: Index, platform: Platform) -> Descriptor:
    """The manifest, or inner index, for `platform`.

    Raises:
        BadImage: there is none; the message names the platforms there are.
    """
    wanted = normal(platform)
    named = [item for item in index.manifests if item.platform is not None]
    for item in named:
        if item.platform is not None and _platform(item.platform) == wanted:
            return item
    unnamed = [item for item in index.manifests if item.platform is None]
    if len(unnamed) == 1:
        return unnamed[0]
    offered = sorted({"/".join(_platform(i.platform)) for i in named if i.platform is not None})
    offered = [name for name in offered if name != "unknown/unknown"]
    raise BadImage(
        f"the image is not made for {'/'.join(wanted)}, only for {', '.join(offered) or 'nothing'}"
    )


def check_platform(config: ImageConfig, platform: Platform) -> None:
    """Refuse an image whose programs this machine cannot run."""
    own = (config.os or "linux", config.architecture)
    if config.architecture and own != normal(platform):
        raise BadImage(
            f"the image is made for {'/'.join(own)}, this node is {'/'.join(normal(platform))}"
        )


def normal(platform: Platform) -> tuple[str, str]:
    """Operating system and architecture in the words of images."""
    return platform.os, _ARCHITECTURES.get(platform.architecture, platform.architecture)


def chain_ids(diff_ids: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the stacks of layers: the first, the first two, and so on."""
    chain: list[str] = []
    for diff_id in diff_ids:
        chain.append(digest_of(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return tuple(chain)


def _platform(platform: DescribedPlatform) -> tuple[str, str]:
    return platform.os, platform.architecture


def _parse(data: bytes, kind: type[_T], what: str) -> _T:
    if len(data) > DOCUMENT_BYTES_MAX:
        raise BadImage(f"{what} has {len(data)} bytes; at most {DOCUMENT_BYTES_MAX} are read")
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise BadImage(f"{what} cannot be read: {error}") from None
