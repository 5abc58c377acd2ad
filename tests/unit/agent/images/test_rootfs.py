"""How an image made of a root filesystem is to be run."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from swarmd.agent.images import rootfs
from swarmd.agent.images.manifest import parse_config, parse_manifest
from swarmd.agent.images.problems import BadImage
from swarmd.model.spec import Platform


def test_instructions_are_those_of_a_dockerfile() -> None:
    assert rootfs.configuration(
        [
            'CMD ["sh", "-c"]',
            "ENTRYPOINT run me",
            "ENV A=b C='d e'",
            "env F=g",
            "LABEL kind=test",
            "USER web",
            "WORKDIR /srv",
            "VOLUME /data /logs",
            "STOPSIGNAL SIGINT",
        ]
    ) == {
        "Cmd": ["sh", "-c"],
        "Entrypoint": ["/bin/sh", "-c", "run me"],
        "Env": ["A=b", "C=d e", "F=g"],
        "Labels": {"kind": "test"},
        "User": "web",
        "WorkingDir": "/srv",
        "Volumes": {"/data": {}, "/logs": {}},
        "StopSignal": "SIGINT",
    }


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("RUN make", "RUN can't be given"),
        ("CMD", "is no instruction"),
        ("CMD [1]", "is no list of words"),
        ("ENV A", "is not NAME=value"),
        ("ENV A='b", "No closing quotation"),
    ],
)
def test_what_is_no_instruction_is_refused(line: str, sentence: str) -> None:
    with pytest.raises(BadImage, match=sentence):
        rootfs.configuration([line])


@pytest.mark.parametrize("packed", [False, True])
def test_the_configuration_names_the_content_of_the_layer(tmp_path: Path, packed: bool) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("etc"))
    plain = out.getvalue()
    layer, config = tmp_path / "layer", tmp_path / "config"
    layer.write_bytes(gzip.compress(plain) if packed else plain)
    item = rootfs.image_of(
        layer,
        config,
        run={"Cmd": ["sh"]},
        platform=Platform(architecture="x86_64", os="linux"),
        created="2030-01-01T00:00:00Z",
    )
    manifest = parse_manifest(item.manifest)
    found = parse_config(config.read_bytes(), manifest)
    assert found.rootfs.diff_ids == (f"sha256:{hashlib.sha256(plain).hexdigest()}",)
    assert (found.architecture, found.run.cmd) == ("amd64", ("sh",))
    assert manifest.layers[0].media_type.endswith("+gzip") is packed
    assert item.blobs[manifest.layers[0].digest] == str(layer)


def test_a_packed_root_filesystem_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    layer.write_bytes(gzip.compress(b"x" * 10_000)[:-10])
    with pytest.raises(BadImage, match="is damaged"):
        rootfs.image_of(
            layer,
            tmp_path / "config",
            run={},
            platform=Platform(architecture="x86_64", os="linux"),
            created="",
        )
