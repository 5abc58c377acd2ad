"""What stands in the way of a published port is said in one sentence."""

from __future__ import annotations

import errno
import os

import pytest

from swarmd.lb.core.plan import PortKey
from swarmd.lb.proxy.binding import explain
from swarmd.lb.proxy.holder import holder_of
from swarmd.model.states import Protocol

KEY = PortKey(Protocol.TCP, 80)


@pytest.mark.parametrize(
    ("code", "holder", "sentence"),
    [
        pytest.param(
            errno.EADDRINUSE,
            "nginx, process 812",
            "port 80/tcp on node web-1 is taken by another program (nginx, process 812); "
            "publish another port or stop it",
            id="taken by a known program",
        ),
        pytest.param(
            errno.EADDRINUSE,
            "",
            "port 80/tcp on node web-1 is taken by another program; "
            "publish another port or stop it",
            id="taken by someone",
        ),
        pytest.param(
            errno.EACCES,
            "",
            "port 80/tcp on node web-1 needs privileges the daemon does not have; run it as root, "
            "publish a port from 1024 up, or lower net.ipv4.ip_unprivileged_port_start",
            id="privileged",
        ),
        pytest.param(
            errno.EADDRNOTAVAIL,
            "",
            "port 80/tcp on node web-1 can't be answered at 10.0.0.1, which is not an address of "
            "this machine; correct the node's advertised address",
            id="foreign address",
        ),
        pytest.param(
            errno.ENOBUFS,
            "",
            "port 80/tcp on node web-1 can't be answered at 10.0.0.1: No buffer space available",
            id="anything else",
        ),
    ],
)
def test_sentences(code: int, holder: str, sentence: str) -> None:
    error = OSError(code, os.strerror(code))
    assert explain(error, KEY, address="10.0.0.1", node="web-1", holder=holder) == sentence


def test_a_port_nobody_holds_has_no_holder() -> None:
    assert holder_of(PortKey(Protocol.SCTP, 1)) == ""
