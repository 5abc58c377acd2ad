"""Users and groups as an image's own files name them."""

from __future__ import annotations

from swarmd.model.record import Record

ID_MAX = 2**31 - 1


class UnknownUser(ValueError):
    """The image has no such user or group; the message names it."""


class ImageAccount(Record, frozen=True):
    """Who the first process of a container is."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    home: str = "/"


def look_up(user: str, groups: tuple[str, ...], *, passwd: str, group: str) -> ImageAccount:
    """The account for `user`, a name or id, optionally with `:group`.

    Without a group of its own, the user has its groups of the image.

    Args:
        groups: names or ids that come on top.
        passwd: the text of the image's /etc/passwd; empty if it has none.
        group: of its /etc/group.

    Raises:
        UnknownUser
    """
    name, _, group_name = user.partition(":")
    name = name or "0"
    entry = _find(passwd, name, fields=7)
    if entry is not None:
        uid, gid, home = int(entry[2]), int(entry[3]), entry[5] or "/"
    elif name.isdigit() and int(name) <= ID_MAX:
        uid, gid, home = int(name), 0, "/root" if name == "0" else "/"
    else:
        raise UnknownUser(f"user {name!r} is not in the image's /etc/passwd")
    extra = [_group_id(item, group) for item in groups]
    if group_name:
        gid = _group_id(group_name, group)
    elif entry is not None:
        extra = [*_memberships(group, entry[0]), *extra]
    return ImageAccount(uid=uid, gid=gid, groups=tuple(dict.fromkeys((gid, *extra))), home=home)


def _group_id(name: str, text: str) -> int:
    entry = _find(text, name, fields=3)
    if entry is not None:
        return int(entry[2])
    if name.isdigit() and int(name) <= ID_MAX:
        return int(name)
    raise UnknownUser(f"group {name!r} is not in the image's /etc/group")


def _find(text: str, name: str, *, fields: int) -> list[str] | None:
    """The line whose name is `name`, or whose id is."""
    by_id = None
    for line in text.splitlines():
        parts = line.split(":")
        if len(parts) < fields or not parts[2].isdigit():
            continue
        if fields == 7 and not parts[3].isdigit():
            continue
        if parts[0] == name:
            return parts
        if by_id is None and parts[2] == name:
            by_id = parts
    return by_id


def _memberships(text: str, user: str) -> list[int]:
    found = []
    for line in text.splitlines():
        parts = line.split(":")
        if len(parts) >= 4 and parts[2].isdigit() and user in parts[3].split(","):
            found.append(int(parts[2]))
    return found
