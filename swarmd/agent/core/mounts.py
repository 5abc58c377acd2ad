"""A task's mounts in the order and the words in which they are made, whoever makes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from swarmd.agent.core.launch import Unfit
from swarmd.model import mounts as rules
from swarmd.model.record import Record
from swarmd.model.spec import BindOptions, Mount, TmpfsOptions
from swarmd.model.states import MountType, Propagation

TMPFS_MODE = 0o1777
_OPPOSITES = {"exec": "noexec", "suid": "nosuid", "dev": "nodev"}


class Placed(Record, frozen=True):
    """A mount whose source is known: a path of the node, or memory where there is none."""

    target: str
    source: str = ""
    read_only: bool = False
    recursive: bool = True  # with what is mounted below the source
    # Whether read-only goes for what is mounted below as well: always, where possible, or never.
    read_only_below: bool | None = None
    propagation: Propagation = Propagation.RPRIVATE
    options: tuple[str, ...] = ()  # of a memory file system

    @property
    def is_memory(self) -> bool:
        return not self.source


def check(mounts: Iterable[Mount]) -> None:
    """Refuse mounts that can't be made anywhere; their templates are expanded.

    Raises:
        Unfit
    """
    mounts = tuple(mounts)
    for mount in mounts:
        wrong = rules.problem(mount)
        if wrong:
            raise Unfit(f"mount {mount.target or mount.source}: {wrong}")
    target = rules.doubled(mounts)
    if target:
        raise Unfit(f"two mounts have the target {target}; choose another for one of them")


def placed(mounts: Iterable[Mount], source_of: Callable[[Mount], str]) -> tuple[Placed, ...]:
    """The mounts, those first that others may lie below.

    Args:
        source_of: the path that a bind or volume shows.
    """
    made = [_placed(mount, source_of) for mount in mounts]
    return tuple(sorted(made, key=lambda one: (one.target.count("/"), one.target)))


def _placed(mount: Mount, source_of: Callable[[Mount], str]) -> Placed:
    target = rules.target_of(mount)
    match mount.type:
        case MountType.TMPFS:
            return Placed(
                target=target,
                read_only=mount.read_only,
                options=tmpfs_options(mount.tmpfs_options or TmpfsOptions()),
            )
        case MountType.BIND:
            options = mount.bind_options or BindOptions()
            below = True if options.read_only_force_recursive else None
            return Placed(
                target=target,
                source=source_of(mount),
                read_only=mount.read_only,
                recursive=not options.non_recursive,
                read_only_below=False if options.read_only_non_recursive else below,
                propagation=options.propagation,
            )
        case MountType.IMAGE:
            # An image is what it is: nobody writes to it.
            return Placed(
                target=target,
                source=source_of(mount),
                read_only=True,
                recursive=False,
                read_only_below=False,
            )
        case _:
            return Placed(
                target=target,
                source=source_of(mount),
                read_only=mount.read_only,
                recursive=False,
                read_only_below=False,
            )


def tmpfs_options(options: TmpfsOptions) -> tuple[str, ...]:
    """Without programs, devices and other users' rights, unless asked for."""
    asked = tuple(word for word in options.options.split(",") if word)
    safe = [off for on, off in _OPPOSITES.items() if on not in asked]
    words = dict.fromkeys((*safe, *asked))
    if options.size_bytes:
        words[f"size={options.size_bytes}"] = None
    words[f"mode={options.mode or TMPFS_MODE:o}"] = None
    return tuple(words)
