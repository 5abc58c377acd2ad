"""Having the kernel forget what leads to tasks that left, by the mark of each connection.

To be called inside the namespace in which connections are translated.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from swarmd.lb.core import virtual
from swarmd.lb.core.leaving import Due
from swarmd.lb.core.virtual import is_ipv4
from swarmd.network.kernel import conntrack, datagrams


def forget(due: Due, *, passes_on: bool, mark_of: Callable[[str], int] = virtual.mark_of) -> None:
    """Cut off what leads to addresses that are gone, and UDP clients of those that moved.

    Args:
        passes_on: whether there are others' connections here. In a task's own namespace without a
            socket for datagrams nobody is to be moved, which saves a walk.
        mark_of: the mark of connections to an address; several addresses may share one.

    What other nodes led to a task that ended here bears no mark of it: it goes by where it led.

    Raises:
        OSError: the kernel refuses; again is fine.
    """
    for family in (socket.AF_INET, socket.AF_INET6):
        mine = (one for one in due.moved if is_ipv4(one) == (family is socket.AF_INET))
        marks = frozenset(map(mark_of, mine))
        if marks and (passes_on or datagrams.are_exchanged(family)):
            conntrack.flush_udp(marks, family)
    for mark in dict.fromkeys(map(mark_of, due.gone)):
        conntrack.flush(mark)
    for address in due.ended:
        conntrack.flush_answered_by(address)
