"""What process tasks say of themselves."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from swarmd.agent.core.launch import Launch, LogPolicy
from swarmd.agent.executors.base import TaskFailure, TemporaryFailure
from swarmd.agent.executors.process_words import (
    describe_executor,
    end_reason,
    exit_code,
    ports_from_memo,
    ports_to_memo,
    start_failure,
)
from swarmd.model.spec import PortConfig, Resources
from swarmd.model.states import Protocol, PublishMode

LAUNCH = Launch(
    argv=("prog",), env={}, directory="/", hostname="", stop_signal=15, grace_ns=0, log=LogPolicy()
)


def an_exit(**fields: Any) -> dict[str, Any]:
    return {"code": 0, "signal": 0, "oom": False, **fields}


@pytest.mark.parametrize(
    ("record", "code", "reason"),
    [
        (an_exit(), 0, ""),
        (an_exit(code=3), 3, "task: non-zero exit (3)"),
        (an_exit(signal=9), 137, "task: non-zero exit (137): killed by SIGKILL"),
        (an_exit(signal=63), 191, "task: non-zero exit (191): killed by signal 63"),
    ],
)
def test_an_end_is_told_by_code_and_signal(record: dict[str, Any], code: int, reason: str) -> None:
    assert exit_code(record) == code
    assert end_reason(record, Resources()) == reason


def test_an_end_is_told_with_the_last_words_of_the_program() -> None:
    said = "python3: can't open file 'web.py'"
    assert end_reason(an_exit(code=2), Resources(), said) == f"task: non-zero exit (2): {said}"
    assert end_reason(an_exit(signal=9), Resources(), said).endswith("killed by SIGKILL")
    assert end_reason(an_exit(), Resources(), said) == ""


def test_an_end_for_want_of_memory_names_limit_and_remedy() -> None:
    reason = end_reason(an_exit(signal=9, oom=True), Resources(memory_bytes=1000))
    assert "limit is 1000 bytes); raise the limit" in reason


def test_an_end_nobody_saw_is_called_that() -> None:
    assert "ended unseen" in end_reason(None, Resources())


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM, errno.EMFILE])
def test_a_shortage_of_the_node_is_tried_again(number: int) -> None:
    failure = start_failure({"step": "start", "errno": number, "about": ""}, LAUNCH, "h1")
    assert isinstance(failure, TemporaryFailure)
    assert "will try again" in str(failure)


@pytest.mark.parametrize(
    ("step", "number", "about", "says"),
    [
        ("command", errno.ENOENT, "prog", "command prog not found on node h1"),
        ("command", errno.EACCES, "prog", "check its mode"),
        ("command", errno.ENOEXEC, "prog", "begin it with #!"),
        ("directory", errno.EACCES, "/secret", "/secret cannot be entered on node h1"),
        ("files", errno.EACCES, "/run/secrets", "/run/secrets cannot be made on node h1"),
        ("files", errno.ENOSPC, "/run/secrets", "/run/secrets cannot be mounted on node h1"),
        ("user", errno.EPERM, "bob", "cannot become user bob"),
        ("namespaces", errno.EPERM, "mount", "could not be started on node h1 (namespaces)"),
        ("request", 0, "KeyError('x')", "KeyError('x')"),
    ],
)
def test_a_start_that_failed_for_good_says_where_and_why(
    step: str, number: int, about: str, says: str
) -> None:
    failure = start_failure({"step": step, "errno": number, "about": about}, LAUNCH, "h1")
    assert isinstance(failure, TaskFailure)
    assert says in str(failure)


def test_the_executor_says_what_it_can_and_cannot_do() -> None:
    assert describe_executor({"controllers": ["cpu", "pids", "x"], "namespaces": ["uts"]}) == (
        "process (limits cpu pids; namespaces uts)"
    )
    assert describe_executor({}) == (
        "process (no limits: no cgroup is writable; no namespaces: not privileged)"
    )


def test_ports_survive_their_way_through_the_keeper() -> None:
    ports = (
        PortConfig(target_port=53, published_port=20_000, protocol=Protocol.UDP,
                   publish_mode=PublishMode.HOST),
    )  # fmt: skip
    assert ports_from_memo(ports_to_memo(ports)) == ports
