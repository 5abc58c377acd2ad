"""What containers say of themselves: reasons and remedies from raw facts. Pure."""

from __future__ import annotations

import re

from swarmd.agent.executors.base import TaskFailure, TemporaryFailure
from swarmd.model.errors import Code
from swarmd.model.record import Record
from swarmd.model.spec import Resources
from swarmd.rpc.errors import RpcError

_PASSING = (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.ABORTED, Code.RESOURCE_EXHAUSTED)
# How a chain of programs passes an error on; only the last word of each tells something.
_WRAPPINGS = re.compile(
    r"(?:failed to create (?:shim task|task for container)|OCI runtime \w+ failed|runc \w+ failed|"
    r"unable to start container process|error during container init): "
)
SIGNALLED = 128
KILLED = SIGNALLED + 9


class Exit(Record, frozen=True):
    """How a container ended; kept as a label of it until its task is removed."""

    code: int
    oom: bool = False
    lapsed: bool = False  # its lease has run out, and it was killed

    def __str__(self) -> str:
        words = (str(self.code), "oom" if self.oom else "", "lapsed" if self.lapsed else "")
        return " ".join(filter(None, words))


def parse_exit(text: str) -> Exit | None:
    """The exit that a label tells of; None when there is none."""
    code, _, rest = text.partition(" ")
    if not code.isdigit():
        return None
    return Exit(code=int(code), oom="oom" in rest.split(), lapsed="lapsed" in rest.split())


def end_reason(exit: Exit | None, limits: Resources) -> str:
    """What went wrong with a container that has ended; empty when nothing did."""
    if exit is None:
        return "the container ended unseen: the node was restarted, or its shim was killed"
    if exit.code == 0:
        return ""
    text = f"task: non-zero exit ({exit.code})"
    if exit.oom:
        return (
            f"{text}: killed by the kernel for want of memory (its limit is {limits.memory_bytes} "
            "bytes); raise the limit or make the program use less"
        )
    return text


def failure(error: RpcError, *, doing: str) -> TaskFailure | TemporaryFailure:
    """The error for a request that containerd refused or did not answer."""
    reason = _WRAPPINGS.sub("", error.message).removesuffix(": unknown")
    if error.code in _PASSING:
        return TemporaryFailure(f"{doing}: containerd is not available just now: {reason}")
    if "no space left on device" in reason:
        return TemporaryFailure(f"{doing}: the node's disk is full")
    if "executable file not found" in reason or "no such file or directory" in reason:
        return TaskFailure(f"{doing}: {reason}; is the command in the image?")
    return TaskFailure(f"{doing}: {reason}")
