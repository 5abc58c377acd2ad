"""Process tasks on this machine: from assignment to removal."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from swarmd.agent.executors import groups
from swarmd.model.spec import PortConfig, Resources
from swarmd.model.states import Protocol, TaskState
from tests.support.workers import WorkerUnderTest, a_task, a_worker, alive, eventually

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[WorkerUnderTest]:
    async with a_worker(tmp_path) as running:
        yield running


async def test_an_assigned_task_runs_until_it_is_told_to_shut_down(worker: WorkerUnderTest) -> None:
    worker.assign(a_task("t1", "sleep", "1000"))
    status = await worker.reaches("t1", TaskState.RUNNING)
    assert status.message == "started"
    pid = worker.pid("t1")
    assert alive(pid)
    worker.assign(a_task("t1", "sleep", "1000", desired=TaskState.SHUTDOWN))
    status = await worker.reaches("t1", TaskState.SHUTDOWN)
    assert status.container is not None
    assert status.container.exit_code == 128 + signal.SIGTERM
    assert not alive(pid)


async def test_states_are_reported_in_order_up_to_running(worker: WorkerUnderTest) -> None:
    worker.assign(a_task("t1", "sleep", "1000"))
    await worker.reaches("t1", TaskState.RUNNING)
    states = [status.state for status in worker.history["t1"]]
    assert states == sorted(states)
    assert states[-1] == TaskState.RUNNING


async def test_a_task_no_longer_assigned_is_stopped_and_forgotten_with_its_logs(
    worker: WorkerUnderTest,
) -> None:
    worker.assign(a_task("t1", "sleep", "1000"))
    await worker.reaches("t1", TaskState.RUNNING)
    pid = worker.pid("t1")
    worker.assign()
    await eventually(lambda: not worker.worker.statuses(), "the removal of the task")
    assert not alive(pid)
    assert not worker.executor.log_directory("t1").exists()


async def test_a_task_that_ends_well_is_complete(worker: WorkerUnderTest) -> None:
    worker.assign(a_task("t1", "true"))
    status = await worker.reaches("t1", TaskState.COMPLETE)
    assert (status.message, status.err) == ("finished", "")


async def test_the_exit_status_of_a_failed_task_is_reported(worker: WorkerUnderTest) -> None:
    worker.assign(a_task("t1", "sh", "-c", "exit 3"))
    status = await worker.reaches("t1", TaskState.FAILED)
    assert status.err == "task: non-zero exit (3)"
    assert status.container is not None
    assert status.container.exit_code == 3


async def test_what_a_failed_task_said_last_is_part_of_the_reason(worker: WorkerUnderTest) -> None:
    worker.assign(a_task("t1", "sh", "-c", "echo no such table >&2; exit 4"))
    status = await worker.reaches("t1", TaskState.FAILED)
    assert status.err == "task: non-zero exit (4): no such table"


async def test_a_task_killed_from_outside_names_the_signal(worker: WorkerUnderTest) -> None:
    worker.assign(a_task("t1", "sleep", "1000"))
    await worker.reaches("t1", TaskState.RUNNING)
    os.kill(worker.pid("t1"), signal.SIGKILL)
    status = await worker.reaches("t1", TaskState.FAILED)
    assert status.err == "task: non-zero exit (137): killed by SIGKILL"


async def test_a_task_with_desired_state_ready_starts_only_when_told(
    worker: WorkerUnderTest,
) -> None:
    worker.assign(a_task("t1", "sleep", "1000", desired=TaskState.READY))
    await worker.reaches("t1", TaskState.READY)
    worker.assign(a_task("t1", "sleep", "1000"))
    await worker.reaches("t1", TaskState.RUNNING)


async def test_a_task_that_ignores_sigterm_is_killed_when_its_grace_is_over(
    worker: WorkerUnderTest,
) -> None:
    words = ("sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done")
    worker.assign(a_task("t1", *words, grace_ns=300_000_000))
    await worker.reaches("t1", TaskState.RUNNING)
    await eventually(lambda: "up" in worker.output("t1"), "the trap")
    started = time.monotonic()
    worker.assign(a_task("t1", *words, grace_ns=300_000_000, desired=TaskState.SHUTDOWN))
    status = await worker.reaches("t1", TaskState.SHUTDOWN)
    assert time.monotonic() - started >= 0.3
    assert status.container is not None
    assert status.container.exit_code == 128 + signal.SIGKILL


async def test_the_stop_signal_of_the_spec_is_sent(worker: WorkerUnderTest) -> None:
    words = ("sh", "-c", "trap 'echo usr1; exit 7' USR1; echo up; while :; do sleep 0.05; done")
    worker.assign(a_task("t1", *words, stop_signal="SIGUSR1"))
    await eventually(lambda: "up" in worker.output("t1"), "the trap")
    worker.assign(a_task("t1", *words, stop_signal="SIGUSR1", desired=TaskState.SHUTDOWN))
    status = await worker.reaches("t1", TaskState.SHUTDOWN)
    assert "usr1" in worker.output("t1")
    assert status.container is not None
    assert status.container.exit_code == 7


async def test_descendants_that_forked_away_die_with_their_task(worker: WorkerUnderTest) -> None:
    words = ("sh", "-c", "setsid sh -c 'setsid sleep 1000 & echo $!' & wait; exec sleep 1000")
    worker.assign(a_task("t1", *words))
    await eventually(lambda: worker.output("t1").strip().isdigit(), "the pid of the descendant")
    descendant = int(worker.output("t1"))
    assert alive(descendant)
    worker.assign(a_task("t1", *words, desired=TaskState.SHUTDOWN))
    await worker.reaches("t1", TaskState.SHUTDOWN)
    assert not alive(descendant)


async def test_what_a_task_leaves_behind_when_it_ends_by_itself_is_killed(
    worker: WorkerUnderTest,
) -> None:
    worker.assign(a_task("t1", "sh", "-c", "setsid sleep 1000 & echo $!"))
    await worker.reaches("t1", TaskState.COMPLETE)
    assert not alive(int(worker.output("t1")))


async def test_the_environment_is_clean_but_for_the_spec_and_what_the_node_adds(
    worker: WorkerUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_DAEMON", "1")
    env = ("GREETING=hello {{.Task.Slot}}", "WHO={{.Service.Name}} on {{.Node.Hostname}}")
    worker.assign(a_task("t1", "env", env=env))
    await worker.reaches("t1", TaskState.COMPLETE)
    seen = dict(line.split("=", 1) for line in worker.output("t1").splitlines())
    assert seen["GREETING"] == "hello 1"
    assert seen["WHO"] == "web on host1"
    assert set(seen) <= {
        "GREETING", "WHO", "PATH", "HOME", "HOSTNAME", "USER", "LOGNAME",
        "SWARMD_TASK_ID", "SWARMD_NODE_ID",
    }  # fmt: skip


async def test_a_task_runs_in_its_directory_with_its_words_expanded(
    worker: WorkerUnderTest, tmp_path: Path
) -> None:
    worker.assign(a_task("t1", "sh", "-c", "pwd; echo {{.Task.Name}}", dir=str(tmp_path)))
    await worker.reaches("t1", TaskState.COMPLETE)
    assert worker.output("t1").splitlines() == [str(tmp_path), "web.1.t1"]


async def test_a_task_is_told_the_ports_it_has_and_reports_them(worker: WorkerUnderTest) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        target = taken.getsockname()[1]
        ports = (
            PortConfig(target_port=target, published_port=31_999),
            PortConfig(target_port=target, protocol=Protocol.UDP, published_port=31_999),
        )
        worker.assign(a_task("t1", "sh", "-c", "env; exec sleep 1000", ports=ports))
        status = await worker.reaches("t1", TaskState.RUNNING)
    tcp, udp = status.ports
    assert tcp.target_port == udp.target_port == target
    assert tcp.published_port not in (target, 0)
    await eventually(lambda: "SWARMD_NODE_ID" in worker.output("t1"), "the environment")
    seen = dict(line.split("=", 1) for line in worker.output("t1").splitlines())
    assert seen["PORT"] == seen[f"SWARMD_PORT_{target}"] == str(tcp.published_port)
    assert seen[f"SWARMD_PORT_{target}_UDP"] == str(udp.published_port)


async def test_two_tasks_of_a_node_never_share_a_port(worker: WorkerUnderTest) -> None:
    ports = (PortConfig(target_port=28_080),)
    worker.assign(*(a_task(f"t{n}", "sleep", "1000", ports=ports) for n in range(5)))
    given = [
        (await worker.reaches(f"t{n}", TaskState.RUNNING)).ports[0].published_port for n in range(5)
    ]
    assert len(set(given)) == 5
    assert 28_080 in given


@pytest.mark.parametrize(
    ("words", "container", "says"),
    [
        pytest.param(("no-such-command",), {}, "command no-such-command not found", id="command"),
        pytest.param(("/etc/passwd",), {}, "is not executable; chmod +x", id="mode"),
        pytest.param(("true",), {"dir": "/no/such/dir"}, "does not exist on node host1", id="dir"),
        pytest.param(
            ("true",), {"user": "no-such-user"}, "user 'no-such-user' does not", id="user"
        ),
        pytest.param(("true",), {"groups": ("no-group",)}, "group 'no-group' does not", id="group"),
        pytest.param((), {"image": "nginx"}, "image 'nginx' cannot be run", id="image"),
        pytest.param((), {}, "has no command", id="nothing"),
        pytest.param(("true",), {"stop_signal": "SIGNOPE"}, "'SIGNOPE' is unknown", id="signal"),
        pytest.param(("echo", "{{.Nope}}"), {}, "'.Nope' is unknown", id="template"),
    ],
)
async def test_a_task_that_cannot_run_here_is_rejected_with_a_sentence(
    worker: WorkerUnderTest, words: tuple[str, ...], container: dict[str, object], says: str
) -> None:
    worker.assign(a_task("t1", *words, **container))
    status = await worker.reaches("t1", TaskState.REJECTED)
    assert says in status.err


async def test_a_file_that_is_no_program_fails_the_task_and_frees_its_ports(
    worker: WorkerUnderTest, tmp_path: Path
) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x00not a program")
    program.chmod(0o755)
    ports = (PortConfig(target_port=28_081),)
    worker.assign(a_task("t1", str(program), ports=ports))
    status = await worker.reaches("t1", TaskState.FAILED)
    assert "is not a program node host1 can run" in status.err
    worker.assign(a_task("t2", "sleep", "1000", ports=ports))
    status = await worker.reaches("t2", TaskState.RUNNING)
    assert status.ports[0].published_port == 28_081


@as_root
async def test_a_task_runs_as_the_user_and_groups_it_asks_for(worker: WorkerUnderTest) -> None:
    worker.assign(
        a_task("t1", "sh", "-c", "id -u; id -g; id -G; echo $HOME; echo ok > /dev/stderr",
               user="nobody", groups=("daemon",))
    )  # fmt: skip
    await worker.reaches("t1", TaskState.COMPLETE)
    uid, gid, ids, home, said = worker.output("t1").splitlines()
    assert (uid, gid, said) == ("65534", "65534", "ok")
    assert set(ids.split()) == {"1", "65534"}
    assert home == "/nonexistent"


@as_root
async def test_a_task_has_its_own_hostname_and_the_node_keeps_its_own(
    worker: WorkerUnderTest,
) -> None:
    before = socket.gethostname()
    worker.assign(a_task("t1", "hostname", hostname="{{.Service.Name}}-{{.Task.Slot}}"))
    await worker.reaches("t1", TaskState.COMPLETE)
    assert worker.output("t1") == "web-1\n"
    assert socket.gethostname() == before


@as_root
async def test_limits_are_set_on_the_task_group(worker: WorkerUnderTest) -> None:
    limits = Resources(nano_cpus=500_000_000, memory_bytes=64 * 1024 * 1024, pids=10)
    hierarchies = groups.detect(worker.node_id)
    held = {controller for h in hierarchies for controller in h.controllers}
    if not {"cpu", "memory", "pids"} <= held:
        pytest.skip("this machine lacks a writable cpu, memory or pids controller")
    worker.assign(a_task("t1", "sleep", "1000", limits=limits))
    status = await worker.reaches("t1", TaskState.RUNNING)
    assert status.message == "started"
    seen: dict[str, str] = {}
    for hierarchy in hierarchies:
        for name in ("cpu.max", "cpu.cfs_quota_us", "memory.max", "memory.limit_in_bytes",
                     "pids.max"):  # fmt: skip
            path = Path(hierarchy.base) / "t1" / name
            if path.exists():
                seen[name.split(".")[0]] = path.read_text().split()[0]
    assert seen == {"cpu": "50000", "memory": str(64 * 1024 * 1024), "pids": "10"}


@as_root
async def test_a_task_over_its_memory_limit_says_so(worker: WorkerUnderTest) -> None:
    if not any("memory" in h.controllers for h in groups.detect(worker.node_id)):
        pytest.skip("this machine has no writable memory controller")
    limits = Resources(memory_bytes=20 * 1024 * 1024)
    program = "x = bytearray(200 * 1024 * 1024); print(len(x))"
    worker.assign(a_task("t1", "python3", "-c", program, limits=limits))
    status = await worker.reaches("t1", TaskState.FAILED)
    assert "killed by the kernel for want of memory (its limit is 20971520 bytes)" in status.err


async def test_draining_a_worker_leaves_nothing_running(worker: WorkerUnderTest) -> None:
    worker.assign(*(a_task(f"t{n}", "sleep", "1000") for n in range(3)))
    pids = []
    for n in range(3):
        await worker.reaches(f"t{n}", TaskState.RUNNING)
        pids.append(worker.pid(f"t{n}"))
    await worker.worker.drain()
    assert not any(alive(pid) for pid in pids)
    assert worker.worker.statuses() == ()
