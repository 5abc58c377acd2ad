"""Container tasks on this machine: from assignment to removal, seen from inside."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from swarmd.model.host_access import Privileges, Seccomp
from swarmd.model.spec import DnsConfig, LogDriver, PortConfig, Resources, Ulimit
from swarmd.model.states import SeccompMode, TaskState
from tests.bench.containers import idle
from tests.support import images
from tests.support.containers import (
    ContainerWorker,
    a_container,
    a_container_worker,
    an_id,
    needs_containers,
)
from tests.support.workers import PATIENCE_S, alive, eventually

pytestmark = needs_containers
TASK_BYTES_MAX = 500_000
QUIET_S = 3.0
WAKES_MAX = 6


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[ContainerWorker]:
    async with a_container_worker(tmp_path) as running:
        yield running


async def test_a_container_sees_what_its_spec_says_and_nothing_of_the_node(
    worker: ContainerWorker,
) -> None:
    script = (
        "echo $GREETING; pwd; id -u; id -g; id -G; hostname; ps | wc -l; "
        "cat /etc/hosts | grep db; cat /etc/resolv.conf; cat /proc/sys/net/core/somaxconn; "
        "sh -c 'ulimit -Sn; ulimit -Hn'; echo $HOME $HOSTNAME; cat /proc/self/oom_score_adj"
    )
    output = await worker.run_to_end(
        "sh",
        "-c",
        script,
        env=("GREETING=hello {{.Task.Slot}}",),
        dir="/tmp",
        user="web",
        hostname="inside",
        hosts=("10.1.1.1 db",),
        dns_config=DnsConfig(nameservers=("10.0.0.53",), search=("x.test",)),
        sysctls={"net.core.somaxconn": "77"},
        ulimits=(Ulimit("nofile", 64, 128),),
        oom_score_adj=500,
    )
    lines = output.splitlines()
    assert lines[:6] == ["hello 1", "/tmp", "1000", "1000", "1000 2000", "inside"]
    assert int(lines[6]) < 8
    assert lines[7] == "10.1.1.1 db"
    assert "nameserver 10.0.0.53" in lines
    assert "search x.test" in lines
    assert lines[-5:] == ["77", "64", "128", "/home inside", "500"]


async def test_what_reaches_beyond_the_container_is_refused(worker: ContainerWorker) -> None:
    script = (
        "grep -E 'Cap(Eff|Bnd)|Seccomp:' /proc/self/status; "
        "mount -t tmpfs none /tmp 2>/dev/null || echo no mount; "
        "echo 1 2>/dev/null > /proc/sys/kernel/panic || echo no sysctl; "
        "ls /sys/firmware | wc -l; "
        "mknod /tmp/sda b 8 0 && head -c 1 /tmp/sda 2>/dev/null || echo no device"
    )
    lines = (await worker.run_to_end("sh", "-c", script)).splitlines()
    # The fourteen that Docker leaves to containers.
    assert lines[0].split() == ["CapEff:", "00000000a80425fb"]
    assert lines[1].split() == ["CapBnd:", "00000000a80425fb"]
    assert lines[2].split() == ["Seccomp:", "2"]
    assert lines[3:] == ["no mount", "no sysctl", "0", "no device"]

    # User namespaces need no capability: nothing but the filter is in the way.
    script = "grep Seccomp: /proc/1/status; busybox unshare -U echo made 2>/dev/null || echo none"
    assert (await worker.run_to_end("sh", "-c", script)).split() == ["Seccomp:", "2", "none"]
    unconfined = Privileges(seccomp=Seccomp(mode=SeccompMode.UNCONFINED))
    task = a_container(an_id(), "sh", "-c", script, privileges=unconfined)
    worker.assign(replace(task, allow=("security-opt",)))
    await worker.ends(task.id)
    possible = subprocess.run(["unshare", "-U", "true"], check=False).returncode == 0
    made = "made" if possible else "none"
    assert worker.output(task.id).split() == ["Seccomp:", "0", made]


async def test_capabilities_are_added_and_dropped(worker: ContainerWorker) -> None:
    output = await worker.run_to_end(
        *("grep", "CapEff", "/proc/self/status"),
        capability_add=("NET_ADMIN",),
        capability_drop=("ALL",),
    )
    assert output.split()[1] == "0000000000001000"


async def test_a_read_only_root_is_read_only(worker: ContainerWorker) -> None:
    output = await worker.run_to_end(
        "sh", "-c", "touch /x 2>/dev/null || echo no; touch /dev/shm/x && echo yes", read_only=True
    )
    assert output == "no\nyes\n"


async def test_limits_are_the_kernels(worker: ContainerWorker) -> None:
    task_id = an_id()
    limits = Resources(nano_cpus=250_000_000, memory_bytes=64 << 20, pids=20)
    worker.assign(a_container(task_id, "sleep", "1000", limits=limits))
    await worker.reaches(task_id, TaskState.RUNNING)
    groups = Path(f"/proc/{worker.pid(task_id)}/cgroup").read_text()
    assert f"/swarmd-containers/{worker.node_id}/{task_id}" in groups
    values = set()
    for tree in ("", "cpu", "memory", "pids"):
        directory = Path("/sys/fs/cgroup", tree, "swarmd-containers", worker.node_id, task_id)
        for name in (
            "cpu.cfs_quota_us",
            "memory.limit_in_bytes",
            "pids.max",
            "cpu.max",
            "memory.max",
        ):
            if (directory / name).exists():
                values.add((directory / name).read_text().split()[0])
    assert {"25000", str(64 << 20), "20"} <= values


async def test_a_container_out_of_memory_says_so(worker: ContainerWorker) -> None:
    task_id = an_id()
    limits = Resources(memory_bytes=16 << 20)
    worker.assign(
        a_container(task_id, "dd", "if=/dev/zero", "of=/dev/null", "bs=100M", limits=limits)
    )
    status = await worker.ends(task_id)
    assert status.state == TaskState.FAILED
    assert "want of memory (its limit is 16777216 bytes)" in status.err
    assert status.container is not None
    assert status.container.exit_code == 137


async def test_a_fork_bomb_stays_within_its_limit(worker: ContainerWorker) -> None:
    script = "for i in $(seq 50); do sleep 100 & done; echo made"
    task_id = an_id()
    worker.assign(a_container(task_id, "sh", "-c", script, limits=Resources(pids=10)))
    await worker.ends(task_id)
    assert "Resource temporarily unavailable" in worker.output(task_id)


async def test_how_a_container_ends_is_how_its_task_ends(worker: ContainerWorker) -> None:
    good, bad = an_id(), an_id()
    worker.assign(a_container(good, "true"), a_container(bad, "sh", "-c", "exit 3"))
    status = await worker.ends(good)
    assert (status.state, status.err) == (TaskState.COMPLETE, "")
    status = await worker.ends(bad)
    assert (status.state, status.err) == (TaskState.FAILED, "task: non-zero exit (3)")
    assert status.container is not None
    assert status.container.exit_code == 3


async def test_a_container_is_asked_to_end_by_its_stop_signal(worker: ContainerWorker) -> None:
    task_id = an_id()
    script = "trap 'echo asked; exit 0' USR1; echo ready; while true; do sleep 0.05; done"
    words = ("sh", "-c", script)
    worker.assign(a_container(task_id, *words, stop_signal="SIGUSR1"))
    await worker.reaches(task_id, TaskState.RUNNING)
    await eventually(lambda: "ready" in worker.output(task_id), "the trap")
    worker.assign(a_container(task_id, *words, stop_signal="SIGUSR1", desired=TaskState.SHUTDOWN))
    await worker.reaches(task_id, TaskState.SHUTDOWN)
    assert worker.output(task_id) == "ready\nasked\n"


async def test_a_container_that_ignores_its_stop_signal_is_killed(worker: ContainerWorker) -> None:
    task_id = an_id()
    words = ("sh", "-c", "trap '' TERM; echo ready; while true; do sleep 1; done")
    worker.assign(a_container(task_id, *words))
    await worker.reaches(task_id, TaskState.RUNNING)
    await eventually(lambda: "ready" in worker.output(task_id), "the trap")
    pid = worker.pid(task_id)
    worker.assign(a_container(task_id, *words, grace_ns=100_000_000, desired=TaskState.SHUTDOWN))
    status = await worker.reaches(task_id, TaskState.SHUTDOWN)
    assert status.container is not None
    assert status.container.exit_code == 128 + signal.SIGKILL
    assert not alive(pid)


async def test_a_container_answers_on_a_port_of_its_node(worker: ContainerWorker) -> None:
    task_id = an_id()
    script = "mkdir /w; echo served > /w/index.html; exec httpd -f -p 80 -h /w"
    worker.assign(a_container(task_id, "sh", "-c", script, ports=(PortConfig(target_port=80),)))
    status = await worker.reaches(task_id, TaskState.RUNNING)
    port = status.ports[0].published_port
    assert status.ports[0].target_port == 80
    async with asyncio.timeout(PATIENCE_S):
        # The proxy lives on this loop, so the client must not block it.
        while await asyncio.to_thread(fetch, port) != "served\n":
            await asyncio.sleep(0.02)
    worker.assign()
    await eventually(lambda: not worker.worker.statuses(), "the removal")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()


async def test_a_name_that_is_none_is_rejected(worker: ContainerWorker) -> None:
    task_id = an_id()
    worker.assign(a_container(task_id, "true", image="no image"))
    status = await worker.ends(task_id)
    assert status.state == TaskState.REJECTED
    assert "'no image' is not a name such as nginx:1.27" in status.err


async def test_a_command_that_is_not_in_the_image_fails_with_its_name(
    worker: ContainerWorker,
) -> None:
    task_id = an_id()
    worker.assign(a_container(task_id, "no-such-program"))
    status = await worker.ends(task_id)
    assert status.state == TaskState.FAILED
    # Runtimes say it in an order of their own.
    assert all(word in status.err for word in ("no-such-program", "executable file", "not found"))


async def test_an_unknown_user_is_rejected(worker: ContainerWorker) -> None:
    task_id = an_id()
    worker.assign(a_container(task_id, "true", user="nobody-here"))
    status = await worker.ends(task_id)
    assert status.state == TaskState.REJECTED
    assert "user 'nobody-here' is not in the image's /etc/passwd" in status.err


async def test_the_image_decides_what_the_spec_leaves_open(
    worker: ContainerWorker, tmp_path: Path
) -> None:
    archive = images.oci_archive(
        tmp_path / "own.tar",
        "docker.io/library/own:1",
        [images.busybox_layer()],
        Entrypoint=["/bin/echo", "from"],
        Cmd=["the", "image"],
        Env=["PATH=/bin", "A=1"],
        WorkingDir="/home",
        User="web:extra",
    )
    await worker.load(archive)
    assert await worker.run_to_end(image="own:1") == "from the image\n"
    assert await worker.run_to_end("args", image="own:1") == "from args\n"
    script = "id -u; id -g; pwd; echo $A"
    output = await worker.run_to_end("-c", script, image="own:1", command=("sh",))
    assert output == "1000\n2000\n/home\n1\n"


async def test_a_terminal_is_one(worker: ContainerWorker) -> None:
    output = await worker.run_to_end("sh", "-c", "test -t 1 && echo tty; echo $TERM", tty=True)
    assert output.replace("\r", "") == "tty\nxterm\n"


async def test_streams_are_logged_apart_and_whole(worker: ContainerWorker) -> None:
    task_id = an_id()
    worker.assign(
        a_container(
            task_id,
            *("sh", "-c", "seq 200000; echo oops >&2"),
            log=LogDriver(name="json-file", options={"max-size": "100m"}),
        )
    )
    await worker.ends(task_id)
    lines = worker.output(task_id).splitlines()
    assert len(lines) == 200_001
    assert [line for line in lines if line != "oops"] == [str(n) for n in range(1, 200_001)]
    files = worker.executor.log_directory(task_id).glob("*.log")
    assert any(" e oops" in path.read_text() for path in files)


async def test_running_containers_cost_little_and_are_not_polled(worker: ContainerWorker) -> None:
    """The figures themselves are of `tests.bench.containers idle`; these are their limits."""
    first, *more = (a_container(an_id(), "sleep", "1000", grace_ns=1) for _ in range(6))
    await idle.run(worker, [first])
    before = idle.memory(worker)
    await idle.run(worker, [first, *more])
    after = idle.memory(worker)
    assert sum(after.values()) - sum(before.values()) < TASK_BYTES_MAX * len(more)
    await asyncio.sleep(1)  # what follows a start is over
    woken = {name: idle.switches(pid) for name, pid in idle.processes(worker).items()}
    await asyncio.sleep(QUIET_S)
    for name, pid in idle.processes(worker).items():
        # This look, and that the keeper is asked now and then whether it is there.
        assert idle.switches(pid) - woken[name] <= WAKES_MAX, name


def fetch(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""
