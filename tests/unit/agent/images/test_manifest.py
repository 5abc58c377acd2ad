"""Manifests, indexes and configurations from strangers."""

from __future__ import annotations

import hashlib
import json

import pytest

from swarmd.agent.images import manifest as documents
from swarmd.agent.images.problems import BadImage
from swarmd.model.spec import Platform

D1, D2 = (f"sha256:{character * 64}" for character in "12")
AMD = Platform(architecture="x86_64", os="linux")


def a_manifest(*layers: str) -> bytes:
    described = [{"mediaType": "t", "digest": digest, "size": 1} for digest in layers]
    return json.dumps({"config": {"digest": D1, "size": 1}, "layers": described}).encode()


def an_index(*platforms: tuple[str, str]) -> bytes:
    rows = [
        {"digest": D1 if n == 0 else D2, "size": 1, "platform": {"os": s, "architecture": a}}
        for n, (s, a) in enumerate(platforms)
    ]
    return json.dumps({"manifests": rows}).encode()


def test_the_manifest_for_this_machine_is_chosen_from_an_index():
    index = documents.parse_index(an_index(("linux", "arm64"), ("linux", "amd64")))
    assert documents.select(index, AMD).digest == D2


def test_an_index_without_this_machine_says_what_it_has():
    index = documents.parse_index(an_index(("linux", "arm64"), ("unknown", "unknown")))
    with pytest.raises(BadImage, match="not made for linux/amd64, only for linux/arm64"):
        documents.select(index, AMD)


def test_stacks_of_layers_are_named_as_everybody_names_them():
    both = f"sha256:{hashlib.sha256(f'{D1} {D2}'.encode()).hexdigest()}"
    assert documents.chain_ids((D1, D2)) == (D1, both)


@pytest.mark.parametrize(
    "data",
    [
        b"no json",
        b"[]",
        a_manifest("sha256:../../etc/passwd"),
        a_manifest(*[D1] * 128),
        b" " * (documents.DOCUMENT_BYTES_MAX + 1),
        b'{"config": {"digest": "x"}}',
    ],
    ids=["no json", "no object", "no digest", "too many layers", "too large", "bad config"],
)
def test_a_manifest_that_is_none_is_refused(data):
    with pytest.raises(BadImage):
        documents.parse_manifest(data)


def test_a_configuration_must_name_each_layers_content():
    manifest = documents.parse_manifest(a_manifest(D1, D2))
    with pytest.raises(BadImage, match="names 1 layers, the manifest 2"):
        documents.parse_config(json.dumps({"rootfs": {"diff_ids": [D1]}}).encode(), manifest)


def test_a_configuration_for_another_machine_is_refused():
    config = documents.ImageConfig(architecture="riscv64", os="linux")
    with pytest.raises(BadImage, match="made for linux/riscv64, this node is linux/amd64"):
        documents.check_platform(config, AMD)
