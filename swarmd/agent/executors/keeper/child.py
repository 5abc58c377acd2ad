"""From fork to exec: the steps that turn a copy of the keeper into a task.

Everything that can fail is reported to the parent through a pipe that exec closes: the name of
the step, the error number and what it was about. Nothing here may return to the keeper's code.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from typing import Any, NoReturn

from swarmd.agent.executors.keeper import mounting, syscalls
from swarmd.runtime import enclave

NAMESPACES = {
    "mount": syscalls.CLONE_NEWNS,
    "ipc": syscalls.CLONE_NEWIPC,
    "uts": syscalls.CLONE_NEWUTS,
}
FILES = {
    "mount": "mnt",
    "ipc": "ipc",
    "uts": "uts",
    "network": "net",
}  # of a process's namespaces, below /proc
EXIT_NOT_STARTED = 127
LOWEST_DESCRIPTOR = 10


def run(
    launch: dict[str, Any],
    *,
    keeper: int,
    groups: tuple[str, ...],
    stdout: int,
    stderr: int,
    report: int,
    files_max: tuple[int, int],
) -> NoReturn:
    """Become the task that `launch` describes, or report the step that failed and exit."""
    step, about = "fork", ""
    try:
        step = "cgroup"
        for about in groups:
            with open(f"{about}/cgroup.procs", "w") as file:
                file.write("0")
        step, about = "session", ""
        os.setsid()
        _restore_signals()
        _reset_oom_score()
        _restore_files_max(files_max)
        step, about = "network", launch.get("network", "")
        if about:
            _enter_network(about)
        step, about = "namespaces", ",".join(launch["namespaces"])
        _enter_namespaces(launch["namespaces"], launch["hostname"])
        step, about = "mounts", ""
        mounting.mount_all(launch.get("mounts", []))
        step = "files"
        mounting.place_files(launch.get("files", []))
        step, about = "streams", ""
        _attach_streams(stdout, stderr, launch["uid"])
        step, about = "user", str(launch["user"])
        _become_user(launch)
        step, about = "directory", launch["directory"]
        os.chdir(launch["directory"])
        os.umask(0o022)
        # Set last: a change of user clears it.
        step, about = "parent", ""
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != keeper:
            os._exit(EXIT_NOT_STARTED)
        enclave.give_up_rights()
        step, about = "command", launch["argv"][0]
        _execute(launch["argv"], launch["env"])
    except OSError as error:
        about = about or str(error.filename or "")
        os.write(report, f"{step}\0{error.errno or errno.EIO}\0{about}".encode())
    except ValueError as error:  # a zero byte in a word
        os.write(report, f"{step}\0{errno.EINVAL}\0{error}".encode())
    finally:
        os._exit(EXIT_NOT_STARTED)


def run_beside(
    request: dict[str, Any],
    *,
    keeper: int,
    leader: int,
    groups: tuple[str, ...],
    report: int,
    files_max: tuple[int, int],
) -> NoReturn:
    """Become a command beside the task whose first process is `leader`; see `run`."""
    step, about = "fork", ""
    try:
        step = "cgroup"
        for about in groups:
            with open(f"{about}/cgroup.procs", "w") as file:
                file.write("0")
        step, about = "session", ""
        os.setsid()
        _restore_signals()
        _reset_oom_score()
        _restore_files_max(files_max)
        step = "streams"
        streams = [_open_stream(path, mode) for path, mode in request["streams"]]
        step, about = "namespaces", ",".join(request["namespaces"])
        _join_namespaces(request["namespaces"], leader)
        step, about = "streams", ""
        if request["tty"]:
            syscalls.make_controlling_terminal(streams[0])
        for number, descriptor in enumerate(streams):
            if request["uid"] is not None:
                os.fchown(descriptor, request["uid"], -1)
            os.dup2(descriptor, number)
        step, about = "user", str(request["user"])
        _become_user(request)
        step, about = "directory", request["directory"]
        os.chdir(request["directory"])
        os.umask(0o022)
        step, about = "parent", ""
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != keeper:
            os._exit(EXIT_NOT_STARTED)
        enclave.give_up_rights()
        step, about = "command", request["argv"][0]
        _execute(request["argv"], request["env"])
    except OSError as error:
        os.write(report, f"{step}\0{error.errno or errno.EIO}\0{about}".encode())
    except ValueError as error:  # a zero byte in a word
        os.write(report, f"{step}\0{errno.EINVAL}\0{error}".encode())
    finally:
        os._exit(EXIT_NOT_STARTED)


def usable_namespaces() -> list[str]:
    """Kinds of namespace that this process may give to tasks, found out by trying."""
    return [name for name in NAMESPACES if _can_enter(name)]


def _can_enter(name: str) -> bool:
    pid = os.fork()
    if pid == 0:
        try:
            _enter_namespaces([name], "probe" if name == "uts" else "")
            os._exit(0)
        finally:
            os._exit(EXIT_NOT_STARTED)
    return os.waitpid(pid, 0)[1] == 0


def _restore_signals() -> None:
    """Dispositions as a fresh process has them; exec would pass on what Python ignores."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _reset_oom_score() -> None:
    """The keeper is the last to be killed for memory; its tasks are not."""
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("0")
    except PermissionError:
        return  # an unprivileged keeper could not lower its own either


def _restore_files_max(files_max: tuple[int, int]) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, files_max)


def _enter_namespaces(names: list[str], hostname: str) -> None:
    flags = 0
    for name in names:
        flags |= NAMESPACES[name]
    if not flags:
        return
    syscalls.unshare(flags)
    if flags & syscalls.CLONE_NEWNS:
        syscalls.receive_mounts_only()
    if flags & syscalls.CLONE_NEWUTS and hostname:
        syscalls.sethostname(hostname)


def _enter_network(path: str) -> None:
    namespace = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    syscalls.setns(namespace)


def _open_stream(path: str, mode: str) -> int:
    """A stream of the daemon by its place below /proc, numbered above those it will replace."""
    flags = {"r": os.O_RDONLY, "w": os.O_WRONLY, "rw": os.O_RDWR}[mode]
    opened = os.open(path, flags | os.O_NOCTTY | os.O_CLOEXEC)
    return fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, LOWEST_DESCRIPTOR)


def _join_namespaces(names: list[str], leader: int) -> None:
    # All are opened first: with another view of the files, /proc may be another's.
    opened = [
        os.open(f"/proc/{leader}/ns/{FILES[name]}", os.O_RDONLY | os.O_CLOEXEC) for name in names
    ]
    for descriptor in opened:
        syscalls.setns(descriptor)


def _attach_streams(stdout: int, stderr: int, uid: int | None) -> None:
    if uid is not None:
        # So that the task may open /dev/stdout and /dev/stderr itself.
        os.fchown(stdout, uid, -1)
        os.fchown(stderr, uid, -1)
    nothing = os.open("/dev/null", os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)


def _become_user(launch: dict[str, Any]) -> None:
    if launch["uid"] is None:
        return
    os.setgroups(launch["groups"])
    os.setgid(launch["gid"])
    os.setuid(launch["uid"])


def _execute(argv: list[str], env: dict[str, str]) -> None:
    """Like execvpe: the first word is looked up in the task's own PATH."""
    command = argv[0]
    if "/" in command:
        os.execve(command, argv, env)
    refused: OSError | None = None
    for directory in env.get("PATH", os.defpath).split(":"):
        try:
            os.execve(f"{directory or '.'}/{command}", argv, env)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            refused = error
    raise refused or FileNotFoundError(errno.ENOENT, command)
