"""The keeper's conversation with the daemon: one JSON object per line over a unix socket.

Requests carry `seq` and `op`; the answer repeats `seq`. Operations: `hello` (all tasks known),
`start`, `stop`, `forget`, `ping`; `exec` and `signal`, for commands beside a task, whose end is
told as `{"over": …}` to the connection that asked; `lease`, which tells of the node's contact with
a manager; `collect` and `release`, which begin and end the logging of a container's output; and
`guard`, `guarded` and `unguard`, which have a container killed when its lease runs out, ask whether
it was, and take that back.
Ends of tasks are told to every connection as `{"ended": …}`.
Unknown members are ignored and new ones optional, for a newer daemon may meet an older keeper.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterable
from typing import Any

from swarmd.agent.executors import groups
from swarmd.agent.executors.keeper.collected import Collected
from swarmd.agent.executors.keeper.kept import Kept, Place
from swarmd.agent.executors.keeper.logfile import TaskLog
from swarmd.agent.executors.keeper.loop import Loop
from swarmd.agent.executors.keeper.session import Session
from swarmd.agent.executors.keeper.wards import Wards

PROTOCOL = 3
REQUEST_BYTES_MAX = 16 * 1024 * 1024
UNREAD_BYTES_MAX = 16 * 1024 * 1024
LONELY_NS = 10_000_000_000


class Connection:
    """One daemon; slow or broken ones are dropped, which ends nothing but the conversation."""

    def __init__(self, keeper: Keeper, sock: socket.socket) -> None:
        self._keeper = keeper
        self._socket = sock
        self._in = b""
        self._out = b""
        sock.setblocking(False)
        keeper.loop.reads(sock.fileno(), self._readable)

    def send(self, message: dict[str, Any]) -> None:
        if self._socket.fileno() < 0:
            return
        first = not self._out
        self._out += json.dumps(message).encode() + b"\n"
        if first:
            self._writable()

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            self._keeper.loop.forget(self._socket.fileno())
            self._socket.close()
            self._keeper.disconnected(self)

    def _readable(self) -> None:
        try:
            data = self._socket.recv(256 * 1024)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        self._in += data
        if not data or len(self._in) > REQUEST_BYTES_MAX:
            self.close()
            return
        *lines, self._in = self._in.split(b"\n")
        for line in lines:
            try:
                request = json.loads(line)
            except ValueError:
                # Whoever this is, it is not our daemon.
                self.close()
                return
            self._keeper.handle(request, self.send, owner=self)

    def _writable(self) -> None:
        try:
            sent = self._socket.send(self._out)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        self._out = self._out[sent:]
        if len(self._out) > UNREAD_BYTES_MAX:
            self.close()
            return
        self._keeper.loop.writes(self._socket.fileno(), self._writable if self._out else None)


class Keeper:
    """All tasks of one node and the connections that care about them."""

    def __init__(
        self,
        *,
        directory: str,
        listener: socket.socket,
        hierarchies: tuple[groups.Hierarchy, ...],
        namespaces: list[str],
        files_max: tuple[int, int],
        now: Callable[[], int],
    ) -> None:
        self.loop = Loop()
        self._tasks: dict[str, Kept] = {}
        self._by_pid: dict[int, Kept | Session] = {}
        self._sessions: dict[str, Session] = {}
        self._collected: dict[str, Collected] = {}
        self._connections: list[Connection] = []
        self._listener = listener
        self._namespaces = namespaces
        self._place = Place(
            loop=self.loop,
            directory=directory,
            hierarchies=hierarchies,
            files_max=files_max,
            now=now,
            ended=self._ended,
        )
        self._wards = Wards(self.loop, directory, self._tasks)
        self._load_exits(f"{directory}/exits")

    def serve(self) -> None:
        """Run until there is neither a task nor a daemon left."""
        wake_r, wake_w = socket.socketpair()
        for end in (wake_r, wake_w):
            end.setblocking(False)
        signal.set_wakeup_fd(wake_w.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        self.loop.reads(wake_r.fileno(), lambda: self._reap(wake_r))
        self.loop.reads(self._listener.fileno(), self._accept)
        self.loop.after(LONELY_NS, self._leave_if_idle)
        self.loop.run()

    def handle(
        self,
        request: dict[str, Any],
        send: Callable[[dict[str, Any]], None],
        *,
        owner: object = None,
    ) -> None:
        """Carry out one request; a failure of ours is answered, not fatal to the tasks we keep."""
        seq = request.get("seq", 0)

        def answer(result: dict[str, Any]) -> None:
            send({"seq": seq, **result})

        try:
            if request["op"] == "exec":
                self._exec(request, answer, send, owner)
            else:
                self._dispatch(request, answer)
        except OSError as error:
            report = {"step": request["op"], "errno": error.errno, "about": error.strerror}
            answer({"error": report})
        except (KeyError, TypeError, ValueError) as error:
            traceback.print_exc(file=sys.stderr)
            answer({"error": {"step": "request", "errno": 0, "about": repr(error)}})

    def disconnected(self, connection: Connection) -> None:
        self._connections.remove(connection)
        for session in self._sessions.values():
            if session.owner is connection:
                session.end()
        self._leave_if_idle()

    def _dispatch(self, request: dict[str, Any], answer: Callable[[dict[str, Any]], None]) -> None:
        op = request["op"]
        if op == "start":
            self._start(request["launch"], answer)
            return
        task = self._tasks.get(request.get("id", ""))
        if op == "hello":
            tasks = [task.summary() for task in self._tasks.values()]
            answer(
                {
                    "protocol": PROTOCOL,
                    "can": ["mounts", "guard", "network", "taps"],
                    "pid": os.getpid(),
                    "tasks": tasks,
                    "namespaces": self._namespaces,
                    "controllers": sorted(
                        {c for h in self._place.hierarchies for c in h.controllers}
                    ),
                    "cgroups": [h.base for h in self._place.hierarchies],
                }
            )
        elif op == "ping":
            answer({})
        elif op == "lease":
            self._wards.contacted(request["contact"])
            answer({})
        elif op == "collect":
            held = request.get("held", ())
            self._collect(request["id"], request["pipes"], request["log"], held=held)
            answer({})
        elif op == "tap":
            heard = task or self._collected.get(request["id"])
            if heard is None:
                raise OSError(errno.ESRCH, "it does not run")
            heard.taps.add({path: name.encode() for path, name in request["pipes"].items()})
            answer({})
        elif op == "guard":
            self._wards.contacted(request["contact"])
            lapsed = self._wards.guard(
                request["id"],
                lease_ns=request["lease_ns"],
                directories=tuple(request["directories"]),
            )
            answer({"lapsed": lapsed})
        elif op == "guarded":
            answer({"lapsed": self._wards.has_lapsed(request["id"])})
        elif op == "unguard":
            self._wards.unguard(request["id"])
            answer({})
        elif op == "release":
            collected = self._collected.pop(request["id"], None)
            if collected is not None:
                collected.release()
            self._wards.unguard(request["id"])
            answer({"known": collected is not None})
        elif op == "signal":
            session = self._sessions.get(request["session"])
            if session is not None:
                session.signal(request["signal"])
            answer({"known": session is not None})
        elif op == "stop":
            if task is not None:
                task.stop(number=request["signal"], grace_ns=request["grace_ns"])
            answer({"known": task is not None})
        elif op == "forget":
            if task is not None and task.state == "exited":
                task.forget()
                del self._tasks[task.id]
            answer({"forgotten": task is None or task.state == "exited"})
        else:
            answer({"error": {"step": "request", "errno": 0, "about": f"unknown operation {op}"}})

    def _collect(
        self, task_id: str, pipes: dict[str, str], log: dict[str, Any], *, held: Iterable[str]
    ) -> None:
        if task_id in self._collected:
            return
        task_log = TaskLog(log["directory"], max_bytes=log["max_bytes"], max_files=log["max_files"])
        streams = {path: stream.encode() for path, stream in pipes.items()}
        self._collected[task_id] = Collected(
            self.loop, task_log, streams, held=held, now=self._place.now
        )

    def _start(self, launch: dict[str, Any], answer: Callable[[dict[str, Any]], None]) -> None:
        task_id = launch["id"]
        known = self._tasks.get(task_id)
        if known is not None:
            answer({"pid": known.pid, "unapplied": list(known.unapplied), "already": True})
            return
        lease_ns = launch.get("lease_ns", 0)
        if lease_ns:
            self._wards.contacted(launch["contact"])
            if not self._wards.is_valid(lease_ns):
                answer({"error": {"step": "lease", "errno": 0, "about": "it has run out"}})
                return
        task = Kept(self._place, task_id)
        task.start(launch, answer)
        self._tasks[task_id] = task
        self._by_pid[task.pid] = task
        if lease_ns:
            self._wards.began(task)

    def _exec(
        self,
        request: dict[str, Any],
        answer: Callable[[dict[str, Any]], None],
        send: Callable[[dict[str, Any]], None],
        owner: object,
    ) -> None:
        task = self._tasks.get(request["id"])
        if task is None or task.state != "running":
            answer({"error": {"step": "task", "errno": 0, "about": "it does not run"}})
            return
        session = Session(self.loop, request["session"], owner=owner, tell=send)
        session.start(
            request,
            answer,
            leader=task.pid,
            groups=task.group_directories,
            files_max=self._place.files_max,
        )
        self._sessions[session.name] = session
        self._by_pid[session.pid] = session

    def _ended(self, task: Kept) -> None:
        self._wards.ended(task.id)
        if task.never_ran:
            del self._tasks[task.id]
        else:
            for connection in list(self._connections):
                connection.send({"ended": task.exit})
        self._leave_if_idle()

    def _reap(self, wake: socket.socket) -> None:
        """Collect every child that has ended: leaders, and orphans that were given to us."""
        try:
            while wake.recv(4096):
                pass
        except BlockingIOError:
            pass  # drained
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._wards.second_pid:
                self._wards.reaped()
                continue
            reaped = self._by_pid.pop(pid, None)
            if isinstance(reaped, Session):
                del self._sessions[reaped.name]
            if reaped is not None:
                reaped.reaped(status)

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError as error:
            print(f"a connection was not accepted: {error}", file=sys.stderr)
            return
        self._connections.append(Connection(self, sock))

    def _leave_if_idle(self) -> None:
        busy = (
            self._collected
            or self._wards.any_container
            or any(task.state != "exited" for task in self._tasks.values())
        )
        if not self._connections and not busy:
            self.loop.stop()

    def _load_exits(self, directory: str) -> None:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        for name in os.listdir(directory):
            if name.endswith(".new"):
                continue
            try:
                with open(f"{directory}/{name}") as file:
                    record = json.load(file)
                task = Kept(self._place, name)
                task.restore(record)
            except (OSError, ValueError, KeyError):
                print(f"exit record {directory}/{name} is unreadable; ignored", file=sys.stderr)
                continue
            self._tasks[name] = task
