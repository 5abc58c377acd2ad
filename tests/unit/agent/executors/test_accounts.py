"""Users and groups tasks may ask for."""

from __future__ import annotations

import os

import pytest

from swarmd.agent.executors.accounts import look_up
from swarmd.agent.executors.base import TaskFailure


def test_without_a_wish_a_task_runs_as_the_daemon_does() -> None:
    assert look_up("", ()).uid is None


@pytest.mark.parametrize(
    ("user", "groups", "says"),
    [
        ("no-such-user", (), "user 'no-such-user' does not exist"),
        ("", ("no-such-group",), "group 'no-such-group' does not exist"),
        ("0:no-such-group", (), "group 'no-such-group' does not exist"),
        ("4294967295", (), "out of range"),
        ("", ("4294967295",), "out of range"),
    ],
)
def test_the_unknown_and_the_impossible_are_refused(
    user: str, groups: tuple[str, ...], says: str
) -> None:
    with pytest.raises(TaskFailure, match=says):
        look_up(user, groups)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_ids_need_no_entry_and_groups_add_up() -> None:
    account = look_up("12345:54321", ("7",))
    assert (account.uid, account.gid, account.groups) == (12345, 54321, (7, 54321))
    assert account.home == "/"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_name_brings_its_group_and_home() -> None:
    account = look_up("nobody", ())
    assert (account.uid, account.gid, account.name) == (65534, 65534, "nobody")
