"""Mounts as flags name them: `--mount type=volume,source=data,target=/data` and `-v data:/data`.

Reading a flag is pure. Whether the mount makes sense is for the managers to say.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from typing import Any

from swarmd.cli.values import size_bytes
from swarmd.model.spec import (
    BindOptions,
    Driver,
    ImageMountOptions,
    Mount,
    TmpfsOptions,
    VolumeOptions,
)
from swarmd.model.states import MountType, Propagation

TYPES = ("bind", "volume", "tmpfs", "image")
_ALIASES = {
    "src": "source",
    "dst": "target",
    "destination": "target",
    "ro": "readonly",
}
_RECURSIVE = ("enabled", "disabled", "writable", "readonly")
_KEYS = (
    *("type", "source", "target", "readonly", "consistency"),
    *("bind-propagation", "bind-nonrecursive", "bind-recursive", "bind-create-src"),
    *("volume-nocopy", "volume-label", "volume-driver", "volume-opt", "volume-subpath"),
    *("tmpfs-size", "tmpfs-mode", "tmpfs-options", "image-subpath"),
)


def mount(text: str) -> Mount:
    """The pairs of `--mount`, separated by commas; one with a comma in it stands in quotes."""
    pairs = [_pair(part, text) for part in next(csv.reader([text]), [])]
    given = dict(pairs)
    kind = given.get("type", "volume")
    if kind not in TYPES:
        raise ValueError(f"{text!r} has the type {kind!r}; use {', '.join(TYPES)}")
    if not given.get("target"):
        raise ValueError(f"{text!r} has no target; write target=/path")
    foreign = [key for key in given if "-" in key and not key.startswith(f"{kind}-")]
    if foreign:
        raise ValueError(f"{text!r}: {foreign[0]} does not go with type={kind}")
    return Mount(
        type=MountType(kind),
        source=given.get("source", ""),
        target=given["target"],
        read_only=_flag(given, "readonly"),
        bind_options=_bind(given) if _has(given, "bind-") else None,
        volume_options=_volume(given, pairs) if _has(given, "volume-") else None,
        tmpfs_options=_tmpfs(given) if _has(given, "tmpfs-") else None,
        image_options=_image(given) if _has(given, "image-") else None,
    )


def short_mount(text: str) -> Mount:
    """`data:/data`, `/srv:/srv:ro`, `/data`: as Docker's -v; a directory is made if need be."""
    source, target, options = _parted(text)
    is_path = source.startswith("/")
    fields: dict[str, Any] = {}
    for word in filter(None, options.split(",")):
        if word in ("ro", "rw"):
            fields["read_only"] = word == "ro"
        elif word == "nocopy" and not is_path:
            fields["volume_options"] = VolumeOptions(no_copy=True)
        elif word in {kind.value for kind in Propagation} and is_path:
            fields["bind_options"] = BindOptions(
                propagation=Propagation(word), create_mountpoint=True
            )
        else:
            raise ValueError(f"{text!r}: {word!r} is not understood; use ro or rw")
    if is_path:
        fields.setdefault("bind_options", BindOptions(create_mountpoint=True))
    kind = MountType.BIND if is_path else MountType.VOLUME
    return Mount(type=kind, source=source, target=target, **fields)


def _parted(text: str) -> tuple[str, str, str]:
    parts = text.split(":")
    match parts:
        case [target] if target.startswith("/"):
            return "", target, ""
        case [source, target] if source:
            return source, target, ""
        case [source, target, options] if source:
            return source, target, options
    raise ValueError(f"{text!r} is not understood; write VOLUME:/path or /path:/path[:ro]")


def _pair(part: str, text: str) -> tuple[str, str]:
    key, equals, value = part.partition("=")
    key = key.strip().lower()
    key = _ALIASES.get(key, key)
    if key not in _KEYS:
        raise ValueError(f"{text!r}: {key!r} is unknown; there are {', '.join(_KEYS)}")
    if not equals:
        if key not in ("readonly", "volume-nocopy", "bind-nonrecursive", "bind-create-src"):
            raise ValueError(f"{text!r}: {key} needs a value, as in {key}=...")
        value = "true"
    return key, value


def _has(given: dict[str, str], prefix: str) -> bool:
    return any(key.startswith(prefix) for key in given)


def _flag(given: dict[str, str], key: str) -> bool:
    text = given.get(key, "false").lower()
    if text not in ("true", "false", "1", "0"):
        raise ValueError(f"{key}={text} is neither true nor false")
    return text in ("true", "1")


def _bind(given: dict[str, str]) -> BindOptions:
    recursive = _one_of(given.get("bind-recursive", "enabled"), _RECURSIVE, "bind-recursive")
    return BindOptions(
        propagation=Propagation(
            _one_of(
                given.get("bind-propagation", "rprivate"),
                tuple(kind.value for kind in Propagation),
                "bind-propagation",
            )
        ),
        non_recursive=_flag(given, "bind-nonrecursive") or recursive == "disabled",
        create_mountpoint=_flag(given, "bind-create-src"),
        read_only_non_recursive=recursive == "writable",
        read_only_force_recursive=recursive == "readonly",
    )


def _volume(given: dict[str, str], pairs: list[tuple[str, str]]) -> VolumeOptions:
    def many(key: str) -> dict[str, str]:
        return dict(value.partition("=")[::2] for name, value in pairs if name == key)

    options, driver = many("volume-opt"), given.get("volume-driver", "")
    return VolumeOptions(
        no_copy=_flag(given, "volume-nocopy"),
        labels=many("volume-label"),
        driver_config=Driver(name=driver, options=options) if driver or options else None,
        subpath=given.get("volume-subpath", ""),
    )


def _tmpfs(given: dict[str, str]) -> TmpfsOptions:
    mode = given.get("tmpfs-mode", "")
    return TmpfsOptions(
        size_bytes=_read(size_bytes, given["tmpfs-size"]) if given.get("tmpfs-size") else 0,
        mode=_read(lambda text: int(text, 8), mode) if mode else 0,
        options=given.get("tmpfs-options", "").replace(";", ","),
    )


def _image(given: dict[str, str]) -> ImageMountOptions:
    return ImageMountOptions(subpath=given.get("image-subpath", ""))


def _read(read: Callable[[str], int], text: str) -> int:
    try:
        return read(text)
    except ValueError as error:
        raise ValueError(f"{text!r} can't be read: {error}") from None


def _one_of(text: str, known: tuple[str, ...], key: str) -> str:
    if text not in known:
        raise ValueError(f"{key}={text} is unknown; use one of {', '.join(known)}")
    return text
