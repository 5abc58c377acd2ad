"""An image made of a root filesystem: one layer, and a configuration from a few instructions."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from swarmd.agent.images import manifest as documents
from swarmd.agent.images.archive import Archived
from swarmd.agent.images.manifest import (
    CONFIG_TYPE,
    LAYER_TYPE,
    MANIFESTS,
    Descriptor,
    Manifest,
)
from swarmd.agent.images.packing import DAMAGED, packing_of, unpacked
from swarmd.agent.images.problems import BadImage
from swarmd.model.spec import Platform

INSTRUCTIONS = "CMD, ENTRYPOINT, ENV, LABEL, STOPSIGNAL, USER, VOLUME and WORKDIR"
_CHUNK_BYTES = 1024 * 1024


def configuration(changes: Iterable[str]) -> dict[str, Any]:
    """How an image is run, from instructions as in a Dockerfile. Pure.

    Raises:
        BadImage: an instruction makes no sense here.
    """
    run: dict[str, Any] = {}
    for line in changes:
        word, _, rest = line.strip().partition(" ")
        rest = rest.strip()
        if not rest:
            raise BadImage(f"{line[:80]!r} is no instruction; use {INSTRUCTIONS}")
        match word.upper():
            case "CMD":
                run["Cmd"] = _command(rest)
            case "ENTRYPOINT":
                run["Entrypoint"] = _command(rest)
            case "ENV":
                run.setdefault("Env", []).extend(f"{k}={v}" for k, v in _pairs(rest))
            case "LABEL":
                run.setdefault("Labels", {}).update(_pairs(rest))
            case "STOPSIGNAL":
                run["StopSignal"] = rest
            case "USER":
                run["User"] = rest
            case "VOLUME":
                paths = _command(rest) if rest.startswith("[") else rest.split()
                run.setdefault("Volumes", {}).update({path: {} for path in paths})
            case "WORKDIR":
                run["WorkingDir"] = rest
            case _:
                raise BadImage(f"{word[:80]} can't be given on import; use {INSTRUCTIONS}")
    return run


def image_of(
    tar: Path, config_file: Path, *, run: dict[str, Any], platform: Platform, created: str
) -> Archived:
    """An image whose only layer is the tar at `tar`; blocks.

    Args:
        config_file: where its configuration is put.
        created: the time, as in RFC 3339.

    Raises:
        BadImage, OSError
    """
    with tar.open("rb") as file:
        packing = packing_of(file)
    digest, size = _digest(tar)
    diff_id = _digest_unpacked(tar) if packing else digest
    os, architecture = documents.normal(platform)
    config = msgspec.json.encode(
        {
            "architecture": architecture,
            "os": os,
            "created": created,
            "config": run,
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
            "history": [{"created": created, "comment": "imported from a root filesystem"}],
        }
    )
    config_file.write_bytes(config)
    described = Manifest(
        config=Descriptor(CONFIG_TYPE, documents.digest_of(config), len(config)),
        layers=(Descriptor(f"{LAYER_TYPE}+{packing}" if packing else LAYER_TYPE, digest, size),),
    )
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFESTS[0],
        **msgspec.to_builtins(described),
    }
    return Archived(
        names=(),
        manifest=msgspec.json.encode(document),
        manifest_type=MANIFESTS[0],
        blobs={described.config.digest: str(config_file), digest: str(tar)},
    )


def _command(text: str) -> list[str]:
    """Words as a list of JSON, or a line for a shell."""
    if not text.startswith("["):
        return ["/bin/sh", "-c", text]
    try:
        return msgspec.json.decode(text, type=list[str])
    except msgspec.DecodeError:
        raise BadImage(f'{text[:80]!r} is no list of words such as ["sh", "-c"]') from None


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise BadImage(f"{text[:80]!r}: {error}") from None
    pairs = [word.partition("=") for word in words]
    if not all(key and equals for key, equals, _ in pairs):
        raise BadImage(f"{text[:80]!r} is not NAME=value")
    return [(key, value) for key, _, value in pairs]


def _digest(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        return _digest_of(file)


def _digest_unpacked(path: Path) -> str:
    try:
        with path.open("rb") as packed, unpacked(packed) as file:
            return _digest_of(file)[0]
    except DAMAGED as error:
        raise BadImage(f"the root filesystem is damaged: {error}") from None


def _digest_of(file: BinaryIO) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
        size += len(chunk)
    return f"sha256:{digest.hexdigest()}", size
