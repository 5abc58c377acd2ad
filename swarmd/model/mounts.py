"""Which mounts make sense: managers ask before they store them, nodes before they mount."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

from swarmd.model.spec import BindOptions, ContainerSpec, Mount
from swarmd.model.states import MountType

VOLUME_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}")
LOCAL = "local"
LOCAL_OPTIONS = ("type", "o", "device")
TMPFS_OPTIONS = frozenset(
    (
        *("exec", "noexec", "suid", "nosuid", "dev", "nodev", "async", "sync", "dirsync"),
        *("atime", "noatime", "diratime", "nodiratime", "relatime", "norelatime"),
        *("strictatime", "nostrictatime"),
    )
)
MODE_MAX = 0o7777


def target_of(mount: Mount) -> str:
    """The target in one way of writing."""
    return posixpath.normpath(mount.target).replace("//", "/", 1)


def problem(mount: Mount) -> str:
    """What is wrong with a mount whose templates are expanded; empty when nothing is."""
    if not mount.target:
        return "it has no target; say where it is to appear"
    if not mount.target.startswith("/"):
        return f"its target {mount.target!r} is not an absolute path"
    if target_of(mount) == "/":
        return "its target is the root directory; mount below it"
    if "\0" in mount.target + mount.source:
        return "its paths hold a zero byte"
    foreign = _foreign_options(mount)
    if foreign:
        return f"it has options of a {foreign} mount, but is of type {mount.type.value}"
    match mount.type:
        case MountType.BIND:
            return _bind(mount)
        case MountType.VOLUME:
            return _volume(mount)
        case MountType.TMPFS:
            return _tmpfs(mount)
        case MountType.NPIPE:
            return "named pipes are Windows'; this node runs Linux"
        case MountType.CLUSTER:
            return (
                "cluster volumes need a storage plugin, which this version of swarmd doesn't "
                "support; use a volume with the options type, o and device"
            )
        case MountType.IMAGE:
            return _image(mount)


def doubled(mounts: Iterable[Mount]) -> str:
    """A target that two mounts have; empty when none has."""
    seen: set[str] = set()
    for mount in mounts:
        target = target_of(mount)
        if target in seen:
            return target
        seen.add(target)
    return ""


def name_problem(name: str) -> str:
    """What is wrong with the name of a volume."""
    if VOLUME_NAME.fullmatch(name):
        return ""
    return (
        f"{name[:80]!r} is no name for a volume: use at least two letters, digits, '_', '.' and "
        "'-', beginning with a letter or digit"
    )


def _foreign_options(mount: Mount) -> str:
    options = {
        MountType.BIND: mount.bind_options,
        MountType.VOLUME: mount.volume_options,
        MountType.TMPFS: mount.tmpfs_options,
        MountType.IMAGE: mount.image_options,
    }
    foreign = [kind for kind, given in options.items() if given is not None and kind != mount.type]
    return foreign[0].value if foreign else ""


def _bind(mount: Mount) -> str:
    if not mount.source:
        return "a bind needs a source: a path of the node"
    if not mount.source.startswith("/"):
        return f"its source {mount.source!r} is not an absolute path; for a volume use type=volume"
    options = mount.bind_options or BindOptions()
    how = (options.read_only_non_recursive, options.read_only_force_recursive)
    if any(how) and not mount.read_only:
        return "it says how to be read-only, but is not read-only"
    if all(how):
        return "it can't be read-only with and without what is mounted below it"
    return ""


def _volume(mount: Mount) -> str:
    if mount.source.startswith("/"):
        return f"its source {mount.source!r} is a path; give the name of a volume, or use type=bind"
    if mount.source and name_problem(mount.source):
        return name_problem(mount.source)
    options = mount.volume_options
    if options is None:
        return ""
    if _leads_out(options.subpath):
        return f"its subpath {options.subpath!r} leads out of the volume"
    if options.driver_config is not None:
        return driver_problem(options.driver_config.name, options.driver_config.options)
    return ""


def _image(mount: Mount) -> str:
    if not mount.source:
        return "it has no source: name an image"
    if mount.image_options is not None and _leads_out(mount.image_options.subpath):
        return f"its subpath {mount.image_options.subpath!r} leads out of the image"
    return ""


def _leads_out(subpath: str) -> bool:
    return subpath.startswith("/") or ".." in subpath.split("/")


def driver_problem(name: str, options: Iterable[str]) -> str:
    """What is wrong with the driver of a volume and the names of its options."""
    if name not in ("", LOCAL):
        return f"volume driver {name!r} is not there; use {LOCAL}"
    given = set(options)
    unknown = sorted(given - set(LOCAL_OPTIONS))
    if unknown:
        return f"volume option {unknown[0]!r} is unknown; there are {', '.join(LOCAL_OPTIONS)}"
    if given and not {"type", "device"} <= given:
        return "the options of a volume name a file system: give both type and device"
    return ""


def _tmpfs(mount: Mount) -> str:
    if mount.source:
        return "a tmpfs has no source"
    options = mount.tmpfs_options
    if options is None:
        return ""
    if options.size_bytes < 0:
        return f"its size of {options.size_bytes} bytes is negative"
    if not 0 <= options.mode <= MODE_MAX:
        return f"its mode {options.mode:o} is none; the largest is {MODE_MAX:o}"
    unknown = [word for word in options.options.split(",") if word and word not in TMPFS_OPTIONS]
    return f"tmpfs option {unknown[0]!r} is not allowed" if unknown else ""


def images_of(spec: ContainerSpec) -> tuple[str, ...]:
    """The images that a task needs: the one it runs, if any, and those it mounts."""
    mounted = (mount.source for mount in spec.mounts if mount.type is MountType.IMAGE)
    return tuple(dict.fromkeys(name for name in (spec.image, *mounted) if name))
