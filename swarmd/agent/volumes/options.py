"""The options of a file system as one writes them to mount(8), as mount(2) takes them. Pure."""

from __future__ import annotations

# As in the kernel's interface for user programs, include/uapi/linux/mount.h.
_ON = {
    "ro": 0x1,
    "nosuid": 0x2,
    "nodev": 0x4,
    "noexec": 0x8,
    "sync": 0x10,
    "remount": 0x20,
    "mand": 0x40,
    "dirsync": 0x80,
    "noatime": 0x400,
    "nodiratime": 0x800,
    "bind": 0x1000,
    "rbind": 0x5000,
    "relatime": 0x200000,
    "strictatime": 0x1000000,
}
_OFF = {
    "rw": "ro",
    "suid": "nosuid",
    "dev": "nodev",
    "exec": "noexec",
    "async": "sync",
    "atime": "noatime",
    "diratime": "nodiratime",
}
_NOTHING = ("defaults", "norelatime", "")


def mount_flags(text: str) -> tuple[int, str]:
    """Flags, and the rest that is the file system's own to understand; later words win."""
    flags, rest = 0, []
    for word in text.split(","):
        if word in _ON:
            flags |= _ON[word]
        elif word in _OFF:
            flags &= ~_ON[_OFF[word]]
        elif word not in _NOTHING:
            rest.append(word)
    return flags, ",".join(rest)
