"""Image archives built on the spot: a root filesystem around the static busybox of the system."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import shutil
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

BUSYBOX = shutil.which("busybox")
APPLETS = [
    "sh",
    "cat",
    "ls",
    "echo",
    "sleep",
    "id",
    "env",
    "hostname",
    "httpd",
    "ps",
    "mount",
    "kill",
    "true",
    "false",
    "touch",
    "stat",
    "grep",
    "head",
    "wget",
    "nslookup",
    "ip",
    "seq",
    "yes",
    "dd",
    "mkdir",
    "rm",
    "test",
    "trap",
    "awk",
    "sed",
    "wc",
    "pwd",
    "chmod",
    "mknod",
    "tr",
    "nc",
    "setsid",
    "date",
]
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def layer(entries: Iterable[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    """A layer of the given entries, not packed."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for entry, data in entries:
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def a_file(name: str, data: bytes = b"", *, mode: int = 0o644, uid: int = 0) -> Any:
    entry = tarfile.TarInfo(name)
    entry.mode, entry.uid, entry.gid = mode, uid, uid
    return entry, data


def a_directory(name: str, mode: int = 0o755) -> Any:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, mode
    return entry, b""


def a_link(name: str, target: str, *, hard: bool = False) -> Any:
    entry = tarfile.TarInfo(name)
    entry.type = tarfile.LNKTYPE if hard else tarfile.SYMTYPE
    entry.linkname = target
    return entry, b""


def busybox_layer() -> bytes:
    """A root filesystem in which a shell and the usual commands work."""
    if BUSYBOX is None:
        raise AssertionError("busybox is missing; apt-get install busybox-static")
    entries = [a_directory(name) for name in ("bin", "etc", "proc", "sys", "dev", "root", "home")]
    entries.append(a_directory("tmp", 0o1777))
    entries.append(a_file("bin/busybox", Path(BUSYBOX).read_bytes(), mode=0o755))
    entries += [a_link(f"bin/{name}", "busybox") for name in APPLETS]
    entries.append(
        a_file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000::/home:/bin/sh\n")
    )
    entries.append(a_file("etc/group", b"root:x:0:\nweb:x:1000:\nextra:x:2000:web\n"))
    return layer(entries)


def a_config(layers: list[bytes], *, architecture: str = ARCHITECTURE, **run: Any) -> bytes:
    ids = [digest(data) for data in layers]
    document = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"], **run},
        "rootfs": {"type": "layers", "diff_ids": ids},
    }
    return json.dumps(document).encode()


def docker_archive(
    path: Path, name: str, layers: list[bytes], config: bytes | None = None, **run: Any
) -> Path:
    """An archive in Docker's older layout."""
    config = config if config is not None else a_config(layers, **run)
    listed = [
        {
            "Config": "config.json",
            "RepoTags": [name],
            "Layers": [f"{number}/layer.tar" for number in range(len(layers))],
        }
    ]
    files = {"config.json": config, "manifest.json": json.dumps(listed).encode()}
    files |= {f"{number}/layer.tar": data for number, data in enumerate(layers)}
    return _write(path, files)


def oci_archive(
    path: Path,
    name: str,
    layers: list[bytes],
    *,
    broken: Mapping[str, bytes] = {},
    others: Iterable[str] = (),
    **run: Any,
) -> Path:
    """An archive in OCI's layout, its layers packed.

    Args:
        broken: content to store under the digest of other content.
        others: architectures the index offers as well, first.
    """
    blobs: dict[str, bytes] = {}

    def add(data: bytes, media_type: str, **more: Any) -> dict[str, Any]:
        blobs[digest(data)] = data
        return {"mediaType": media_type, "digest": digest(data), "size": len(data), **more}

    kind = "application/vnd.oci.image"
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{kind}.manifest.v1+json",
        "config": add(a_config(layers, **run), f"{kind}.config.v1+json"),
        "layers": [
            add(gzip.compress(data, 1, mtime=0), f"{kind}.layer.v1.tar+gzip") for data in layers
        ],
    }
    inner = [
        add(
            json.dumps({**manifest, "annotations": {"for": architecture}}).encode(),
            f"{kind}.manifest.v1+json",
            platform={"os": "linux", "architecture": architecture},
        )
        for architecture in (*others, ARCHITECTURE)
    ]
    index = json.dumps({"schemaVersion": 2, "manifests": inner}).encode()
    outer = add(index, f"{kind}.index.v1+json", annotations={"io.containerd.image.name": name})
    files = {f"blobs/{key.replace(':', '/')}": data for key, data in {**blobs, **broken}.items()}
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [outer]}).encode()
    files["oci-layout"] = b'{"imageLayoutVersion": "1.0.0"}'
    return _write(path, files)


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _write(path: Path, files: Mapping[str, bytes]) -> Path:
    path.write_bytes(layer(a_file(name, data) for name, data in files.items()))
    return path
