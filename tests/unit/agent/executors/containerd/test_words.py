"""What containers say of themselves."""

from __future__ import annotations

import pytest

from swarmd.agent.executors.base import TaskFailure, TemporaryFailure
from swarmd.agent.executors.containerd.words import Exit, end_reason, failure, parse_exit
from swarmd.model.errors import Code
from swarmd.model.spec import Resources
from swarmd.rpc.errors import RpcError


@pytest.mark.parametrize("exit", [Exit(0), Exit(137, oom=True), Exit(3)])
def test_an_exit_survives_being_a_label(exit):
    assert parse_exit(str(exit)) == exit


def test_no_label_is_no_exit():
    assert parse_exit("") is None


@pytest.mark.parametrize(
    ("exit", "reason"),
    [
        (Exit(0), ""),
        (Exit(3), "task: non-zero exit (3)"),
        (None, "the container ended unseen: the node was restarted, or its shim was killed"),
    ],
)
def test_an_end_is_explained(exit, reason):
    assert end_reason(exit, Resources()) == reason


def test_want_of_memory_names_the_limit():
    assert "(its limit is 5 bytes)" in end_reason(Exit(137, oom=True), Resources(memory_bytes=5))


@pytest.mark.parametrize(
    ("code", "message", "kind", "sentence"),
    [
        (
            Code.UNKNOWN,
            "failed to create shim task: OCI runtime create failed: runc create failed: "
            'unable to start container process: exec: "x": executable file not found in $PATH: '
            "unknown",
            TaskFailure,
            'doing: exec: "x": executable file not found in $PATH; is the command in the image?',
        ),
        (Code.UNAVAILABLE, "gone", TemporaryFailure, "doing: containerd is not available"),
        (Code.UNKNOWN, "write: no space left on device", TemporaryFailure, "disk is full"),
        (Code.INVALID_ARGUMENT, "bad", TaskFailure, "doing: bad"),
    ],
)
def test_refusals_of_containerd_say_what_matters(code, message, kind, sentence):
    error = failure(RpcError(code, message), doing="doing")
    assert isinstance(error, kind)
    assert sentence in str(error)
