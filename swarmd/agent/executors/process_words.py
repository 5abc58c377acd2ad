"""What process tasks say of themselves: reasons, remedies and notes, from raw facts."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from swarmd.agent.core.launch import PATH, Launch
from swarmd.agent.executors.base import TaskFailure, TemporaryFailure
from swarmd.model.instant import format_duration
from swarmd.model.spec import PortConfig, Resources

# Shortage of processes or memory on the node passes; nothing is wrong with the task.
_SHORTAGES = {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
_CONTROLLERS = ("cpu", "memory", "pids")


def describe_executor(facts: Mapping[str, Any]) -> str:
    """The executor in one line, with what it cannot do on this node."""
    controllers = [name for name in _CONTROLLERS if name in facts.get("controllers", ())]
    namespaces = list(facts.get("namespaces", ()))
    limits = (
        f"limits {' '.join(controllers)}" if controllers else "no limits: no cgroup is writable"
    )
    isolation = (
        f"namespaces {' '.join(namespaces)}" if namespaces else "no namespaces: not privileged"
    )
    return f"process ({limits}; {isolation})"


def unapplied_limits(unapplied: tuple[str, ...]) -> str:
    return f"runs without some limits: {', '.join(unapplied)}" if unapplied else ""


def missing(
    launch: Launch, hostname: str, *, is_elsewhere: Callable[[str], bool] = lambda _: False
) -> str:
    """Why the launch is bound to fail on this node as it is now; empty when it is not.

    Args:
        is_elsewhere: whether a path is one that the task alone will see.
    """
    if not os.path.isdir(launch.directory) and not is_elsewhere(f"{launch.directory}/"):
        return (
            f"working directory {launch.directory} does not exist on node {hostname}; create it or "
            "constrain the service to nodes that have it"
        )
    command = launch.argv[0]
    if "/" in command:
        # A relative path is meant from the task's directory.
        path = os.path.join(launch.directory, command)
        if is_elsewhere(path):
            return ""
        if not os.path.exists(path):
            return _not_found(command, hostname)
        if os.path.isdir(path) or not os.access(path, os.X_OK):
            return f"command {command} on node {hostname} is not executable; chmod +x it"
        return ""
    if shutil.which(command, path=launch.env.get("PATH", PATH)) is None:
        return _not_found(command, hostname)
    return ""


def _not_found(command: str, hostname: str) -> str:
    return (
        f"command {command} not found on node {hostname}; install it, give its full path, or "
        "constrain the service to nodes that have it"
    )


def start_failure(
    failure: Mapping[str, Any], launch: Launch, hostname: str
) -> TaskFailure | TemporaryFailure:
    """The error for a start that the keeper reports as failed in some step."""
    step, number, about = failure["step"], failure["errno"], failure["about"]
    reason = os.strerror(number) if number else about
    if step == "lease":
        return TemporaryFailure("waits for word from a manager, without which it may not run")
    if number in _SHORTAGES:
        return TemporaryFailure(f"node {hostname} is short of something: {reason}; will try again")
    if step == "command" and number == errno.ENOENT:
        return TaskFailure(_not_found(launch.argv[0], hostname))
    if step == "command" and number == errno.ENOEXEC:
        return TaskFailure(f"{about} is not a program node {hostname} can run; begin it with #!")
    if step == "command":
        return TaskFailure(
            f"command {about} cannot be run on node {hostname}: {reason}; check its mode and "
            "the rights of the task's user"
        )
    if step == "directory":
        return TaskFailure(
            f"working directory {about} cannot be entered on node {hostname}: {reason}; check the "
            "rights of the task's user"
        )
    if step == "files" and number == errno.EACCES:
        return TaskFailure(
            f"{about} cannot be made on node {hostname} by an ordinary user: have root make this "
            "directory there, or constrain the service to other nodes"
        )
    if step in ("mounts", "files"):
        return TaskFailure(f"{about} cannot be mounted on node {hostname}: {reason}")
    if step == "user":
        return TaskFailure(f"the task cannot become user {about} on node {hostname}: {reason}")
    return TaskFailure(f"the task could not be started on node {hostname} ({step}): {reason}")


def exit_code(record: Mapping[str, Any]) -> int:
    """The exit code as shells give it: 128 and the signal's number for a task killed by one."""
    number = int(record["signal"])
    return 128 + number if number else int(record["code"])


def end_reason(record: Mapping[str, Any] | None, limits: Resources, last_words: str = "") -> str:
    """What went wrong with a task that has ended; empty when nothing did.

    Args:
        last_words: what the program said last, for when it ended by itself.
    """
    if record is None:
        return (
            "the task ended unseen: the node was restarted, or the keeper of its tasks was killed"
        )
    code = exit_code(record)
    if code == 0:
        return ""
    text = f"task: non-zero exit ({code})"
    if record["oom"]:
        return (
            f"{text}: killed by the kernel for want of memory (its limit is {limits.memory_bytes} "
            "bytes); raise the limit or make the program use less"
        )
    if record["signal"]:
        return f"{text}: killed by {_signal_name(record['signal'])}"
    return f"{text}: {last_words}" if last_words else text


def lease_ran_out(lease_ns: int) -> str:
    return (
        f"no manager answered this node for {format_duration(lease_ns)}, so the task was ended: "
        "another node may run its ordinal now"
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def ports_to_memo(ports: tuple[PortConfig, ...]) -> list[Any]:
    return [msgspec.to_builtins(port) for port in ports]


def ports_from_memo(memo: list[Any]) -> tuple[PortConfig, ...]:
    return tuple(msgspec.convert(port, PortConfig) for port in memo)
