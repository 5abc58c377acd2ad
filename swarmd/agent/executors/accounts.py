"""Users and groups of the node, looked up for tasks that ask for another than the daemon's."""

from __future__ import annotations

import grp
import os
import pwd

from swarmd.agent.executors.base import TaskFailure
from swarmd.model.record import Record

ID_MAX = 2**32 - 2


class Account(Record, frozen=True):
    """Who a task runs as; `uid` None means: as the daemon does."""

    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] = ()
    name: str = ""
    home: str = "/"


def look_up(user: str, groups: tuple[str, ...]) -> Account:
    """The account for `user` (name or id, optionally `:group`) with additional `groups`.

    Blocks while the name service is asked.

    Raises:
        TaskFailure: someone is unknown here, or only root could become them.
    """
    own = _entry(os.geteuid())
    if not user and not groups:
        return Account(name=own.pw_name if own else "", home=own.pw_dir if own else "/")
    name, _, group = user.partition(":")
    entry, uid = _user(name) if name else (own, os.geteuid())
    if group:
        gid = _group(group)
    else:
        gid = entry.pw_gid if entry else uid
    login = os.getgrouplist(entry.pw_name, gid) if entry and not group else [gid]
    extra = [_group(item) for item in groups]
    account = Account(
        uid=uid,
        gid=gid,
        groups=tuple(sorted({*login, *extra})),
        name=entry.pw_name if entry else str(uid),
        home=entry.pw_dir if entry else "/",
    )
    if os.geteuid() != 0:
        if uid == os.geteuid() and gid == os.getegid() and not extra:
            return Account(name=account.name, home=account.home)
        raise TaskFailure(
            f"the task wants to run as user {user or name!r} with groups {list(groups)}, which "
            "only a daemon run by root can do; start swarmd as root on this node or drop the user"
        )
    return account


def _user(name: str) -> tuple[pwd.struct_passwd | None, int]:
    if name.isdigit():
        uid = int(name)
        if uid > ID_MAX:
            raise TaskFailure(f"user id {name} is out of range; the largest is {ID_MAX}")
        return _entry(uid), uid
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise TaskFailure(
            f"user {name!r} does not exist on this node; create it, give a numeric id, or "
            "constrain the service to nodes that have it"
        ) from None
    return entry, entry.pw_uid


def _entry(uid: int) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return None


def _group(name: str) -> int:
    if name.isdigit():
        if int(name) > ID_MAX:
            raise TaskFailure(f"group id {name} is out of range; the largest is {ID_MAX}")
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise TaskFailure(
            f"group {name!r} does not exist on this node; create it, give a numeric id, or "
            "constrain the service to nodes that have it"
        ) from None
