"""Start of a keeper: `python -m swarmd.agent.executors.keeper RUN_DIRECTORY NODE_ID`.

Returns 0 once the keeper, by then in the background, accepts connections; 3 when another one
already serves the directory. Whatever an earlier keeper of the node left running is killed first:
its tasks have lost their parent, their logs and their exit status.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import resource
import socket
import sys
import time

from swarmd.agent.executors import groups
from swarmd.agent.executors.keeper import child, syscalls
from swarmd.agent.executors.keeper.server import Keeper
from swarmd.runtime.clock import SystemClock

ALREADY_RUNNING = 3
SOCKET_NAME = "keeper.sock"
LOCK_NAME = "keeper.lock"
OOM_SCORE = -900
LEFTOVERS_S_MAX = 5.0


def main() -> int:
    directory, node_id = sys.argv[1:3]
    os.chdir(directory)
    lock = os.open(LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return ALREADY_RUNNING
    hierarchies = groups.detect(node_id)
    _kill_leftovers(hierarchies, node_id)
    namespaces = child.usable_namespaces()
    listener = _listen()
    if os.fork() > 0:
        return 0
    os.setsid()
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
    _protect()
    files_max = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files_max[1], files_max[1]))
    keeper = Keeper(
        directory=directory,
        listener=listener,
        hierarchies=hierarchies,
        namespaces=namespaces,
        files_max=files_max,
        now=SystemClock().now,
    )
    # Nothing created so far is garbage; leaving it alone keeps its pages shared with children.
    gc.collect()
    gc.freeze()
    keeper.serve()
    os.unlink(SOCKET_NAME)
    groups.remove_bases(hierarchies)
    return 0


def _listen() -> socket.socket:
    # The previous keeper leaves it behind when it is killed.
    with contextlib.suppress(FileNotFoundError):
        os.unlink(SOCKET_NAME)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    os.umask(0o077)
    listener.bind(SOCKET_NAME)
    listener.listen(16)
    return listener


def _kill_leftovers(hierarchies: tuple[groups.Hierarchy, ...], node_id: str) -> None:
    left = groups.leftovers(hierarchies, node_id)
    deadline = time.monotonic() + LEFTOVERS_S_MAX
    while left and time.monotonic() < deadline:
        left = [group for group in left if not (groups.kill(group) and groups.remove(group))]
        if left:
            time.sleep(0.01)
    for group in left:
        print(f"processes of task {group.task_id} could not be killed", file=sys.stderr)


def _protect() -> None:
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write(str(OOM_SCORE))
    except PermissionError:
        return  # lowering it needs privileges; unprivileged nodes live with the default


sys.exit(main())
