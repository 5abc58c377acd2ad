"""Which capabilities a container has: Docker's default set, with what the spec adds and drops."""

from __future__ import annotations

DEFAULT = (
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
)
# In the order of their numbers.
KNOWN = (
    *("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID"),
    *("CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE"),
    *("CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW"),
    *("CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT"),
    *("CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE"),
    *("CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE"),
    *("CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE"),
    *("CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ"),
    *("CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE"),
)
ALL = "ALL"


def full_name(name: str) -> str:
    """`net_admin` and `CAP_NET_ADMIN` are the same."""
    upper = name.upper()
    return upper if upper == ALL or upper.startswith("CAP_") else f"CAP_{upper}"


def unknown(names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of `names` that no kernel knows."""
    return tuple(name for name in names if full_name(name) not in (ALL, *KNOWN))


def in_mask(mask: int) -> tuple[str, ...]:
    """The capabilities whose bits are set, as a kernel writes a set of them."""
    return tuple(name for number, name in enumerate(KNOWN) if mask >> number & 1)


def lacking(names: tuple[str, ...], available: tuple[str, ...]) -> tuple[str, ...]:
    """Those of `names` that can't be given."""
    return tuple(name for name in map(full_name, names) if name not in (ALL, *available))


def effective(
    *, add: tuple[str, ...] = (), drop: tuple[str, ...] = (), available: tuple[str, ...] = KNOWN
) -> tuple[str, ...]:
    """The capabilities of a container, in the order of their numbers.

    As in Docker, `ALL` stands for every one, and what is named singly wins over `ALL`.

    Args:
        available: those that the node can give, which holds no more than it was given itself.
    """
    adding, dropping = set(map(full_name, add)), set(map(full_name, drop))
    if ALL in adding:
        wanted = set(available) - dropping
    elif ALL in dropping:
        wanted = adding
    else:
        wanted = (set(DEFAULT) | adding) - dropping
    return tuple(name for name in available if name in wanted)
