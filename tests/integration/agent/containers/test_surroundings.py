"""Every field of a container's surroundings, seen from inside: many looks per container."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from swarmd.agent.executors.containerd.node_access import find_init
from swarmd.agent.oci.security import MASKED, READ_ONLY
from swarmd.model.host_access import Device, HostAccess, Privileges, Seccomp
from swarmd.model.spec import (
    DnsConfig,
    GenericResource,
    LogDriver,
    NamedResource,
    PortConfig,
    ResourceRequirements,
    Resources,
)
from swarmd.model.states import SeccompMode, TaskState
from swarmd.model.task import Task
from swarmd.rpc.pb.containerd import containers_pb2
from tests.support.containers import (
    ContainerWorker,
    a_container,
    a_container_worker,
    an_id,
    needs_containers,
)
from tests.support.workers import alive, eventually

pytestmark = needs_containers
EVERYTHING = ("all",)


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[ContainerWorker]:
    async with a_container_worker(tmp_path) as running:
        yield running


def looks(*commands: str) -> str:
    """A script that says what each command prints, one line each."""
    return "\n".join(
        f'echo "$( {{ {command}; }} 2>&1 | busybox tr "\\n" "|")"' for command in commands
    )


async def seen(worker: ContainerWorker, task: Task) -> list[str]:
    """Run a task to its end, and return what it said."""
    worker.assign(task)
    status = await worker.ends(task.id)
    assert not status.err, status
    return [line.rstrip("|") for line in worker.output(task.id).splitlines()]


def namespace(kind: str) -> str:
    return os.readlink(f"/proc/self/ns/{kind}")


async def test_bounds_rights_and_the_first_process(worker: ContainerWorker) -> None:
    try:
        find_init()
    except ValueError as error:
        pytest.skip(str(error))
    group = Path("/sys/fs/cgroup")
    script = looks(
        "head -c 18 /proc/1/cmdline | busybox tr '\\0' ' '",
        "(sleep 0.01 &) ; sleep 0.1; grep -l 'State:.Z' /proc/[0-9]*/status | wc -l",
        "grep -E 'NoNewPrivs' /proc/self/status",
        "cat /proc/self/cgroup | head -1 | busybox cut -d: -f3",
        "busybox ulimit -n 2>/dev/null || sh -c 'ulimit -Sn; ulimit -Hn'",
        "test -t 0 && echo tty || echo no tty",
        "busybox df -k /dev/shm | busybox tail -1 | busybox awk '{print $2}'",
        "echo $DOCKER_RESOURCE_GPU",
        "grep -c . /proc/self/mountinfo && echo counted",
    )
    task = replace(
        a_container(
            an_id(),
            "sh",
            "-c",
            f"{script}; sleep 100",
            init=True,
            privileges=Privileges(no_new_privileges=True),
        ),
        assigned_generic_resources=(
            GenericResource(named_resource_spec=NamedResource(kind="gpu", value="U1")),
        ),
    )
    requirements = ResourceRequirements(
        limits=Resources(memory_bytes=64 << 20, pids=50),
        reservations=Resources(memory_bytes=32 << 20, nano_cpus=500_000_000),
        swap_bytes=32 << 20,
        memory_swappiness=10,
    )
    task = replace(task, spec=replace(task.spec, resources=requirements))
    worker.assign(task)
    await worker.reaches(task.id, TaskState.RUNNING)
    await eventually(lambda: "counted" in worker.output(task.id), "the looks")
    lines = [line.rstrip("|") for line in worker.output(task.id).splitlines()]
    assert lines[0] == "/dev/init -- sh -c"
    assert lines[1] == "0", "the init collects orphans"
    assert lines[2].split() == ["NoNewPrivs:", "1"]
    assert lines[3] == "/", "it sees its own cgroup as the root of all"
    assert lines[5] == "no tty"
    assert lines[6] == "65536"
    assert lines[7] == "U1"
    values = {}
    for tree in ("", "cpu", "memory", "pids"):
        directory = group / tree / "swarmd-containers" / worker.node_id / task.id
        for path in directory.glob("*"):
            if path.name in (
                *("memory.memsw.limit_in_bytes", "memory.swap.max", "memory.swappiness"),
                *("memory.soft_limit_in_bytes", "memory.low", "cpu.shares", "pids.max"),
            ):
                values[path.name] = path.read_text().strip()
    assert values["pids.max"] == "50"
    if "memory.soft_limit_in_bytes" in values:  # version 1
        assert values["memory.soft_limit_in_bytes"] == str(32 << 20)
        assert values["cpu.shares"] == "512"
        assert values["memory.swappiness"] == "10"
        assert values.get("memory.memsw.limit_in_bytes", str(96 << 20)) == str(96 << 20)
    else:
        assert values["memory.low"] == str(32 << 20)
        assert values["memory.swap.max"] == str(32 << 20)
    # The init passes the signal on, and the shell, not the first process, dies of it.
    pid = worker.pid(task.id)
    worker.assign(replace(task, desired_state=TaskState.SHUTDOWN))
    status = await worker.ends(task.id)
    assert status.container is not None
    assert status.container.exit_code == 128 + signal.SIGTERM
    assert not alive(pid)


async def test_what_tells_of_the_node_is_hidden_and_what_acts_on_it_can_not_be_written_to(
    worker: ContainerWorker,
) -> None:
    hidden = " ".join(MASKED)
    script = (
        f"for path in {hidden}; do "
        "[ -d $path ] && echo $path $(ls $path | wc -l); [ -f $path ] && echo $path; "
        "[ -c $path ] && echo $path $(cat $path 2>/dev/null | wc -c); done; echo over"
    )
    read_only = (
        f'for path in {" ".join(READ_ONLY)}; do grep " $path proc ro" /proc/mounts; done; true'
    )
    lines = await seen(worker, a_container(an_id(), "sh", "-c", f"{script}; {read_only}"))
    at = lines.index("over")
    # Whatever of it this kernel has: an empty directory, or a device that has nothing to say.
    assert "/proc/keys 0" in lines
    assert "/sys/firmware 0" in lines
    assert all(line.endswith(" 0") for line in lines[:at])
    assert {line.split()[1] for line in lines[at + 1 :]} == {
        path for path in READ_ONLY if Path(path).exists()
    }


async def test_nothing_of_the_node_is_given_that_is_not_allowed(worker: ContainerWorker) -> None:
    wanted = {
        "it is privileged": HostAccess(privileged=True),
        "it has the device /dev/null": HostAccess(devices=(Device(source="/dev/null"),)),
        "it has the device rule 'c 1:3 r'": HostAccess(device_rules=("c 1:3 r",)),
        "it shares the node's network": HostAccess(network=True),
        "it shares the node's processes": HostAccess(pid=True),
        "it shares the node's shared memory": HostAccess(ipc=True),
        "it shares the node's host name": HostAccess(uts=True),
        "it shares the node's cgroups": HostAccess(cgroup=True),
        "it shares the node's users": HostAccess(user=True),
        "its /dev/shm has 4096 bytes": HostAccess(shm_bytes=4096),
        "nothing of /proc and /sys is hidden": HostAccess(system_paths=True),
        "it has the AppArmor profile x": HostAccess(apparmor_profile="x"),
        "it has the runtime crun": HostAccess(runtime="crun"),
        "its cgroup lies below /x": HostAccess(cgroup_parent="/x"),
    }
    tasks = {
        sentence: a_container(an_id(), "true", host_access=access)
        for sentence, access in wanted.items()
    }
    unconfined = Privileges(seccomp=Seccomp(mode=SeccompMode.UNCONFINED))
    tasks["it replaces the filter of system calls"] = a_container(
        an_id(), "true", privileges=unconfined
    )
    # What is allowed beside it doesn't help.
    first = next(iter(tasks))
    tasks[first] = replace(tasks[first], allow=("pid", "bind=/srv"))
    worker.assign(*tasks.values())
    for sentence, task in tasks.items():
        status = await worker.ends(task.id)
        assert status.state == TaskState.REJECTED, status
        assert sentence in status.err
        assert "which node host1 does not allow" in status.err
        assert "swarmd update --allow" in status.err


async def test_a_privileged_container_has_all_of_the_node(worker: ContainerWorker) -> None:
    task = a_container(
        an_id(),
        "sh",
        "-c",
        looks(
            "grep -E 'CapBnd|Seccomp:' /proc/self/status | busybox tr '\\t' ' '",
            "busybox mknod /tmp/null c 1 3 && test -c /dev/kmsg && echo devices",
            "mount -t tmpfs none /tmp && echo mounts",
            "busybox readlink /proc/self/ns/net /proc/self/ns/pid",
            "grep ' /sys ' /proc/mounts | busybox cut -d' ' -f4 | busybox cut -d, -f1",
            "grep -c 'proc/sys ' /proc/mounts",
        ),
        host_access=HostAccess(privileged=True),
    )
    lines = await seen(worker, replace(task, allow=EVERYTHING))
    [held] = re.findall(r"CapEff:\t(\w+)", Path("/proc/self/status").read_text())
    assert f"CapBnd: {held}" in lines[0]
    assert "Seccomp: 0" in lines[0]
    assert lines[1:3] == ["devices", "mounts"]
    assert lines[3].split("|") != [namespace("net"), namespace("pid")]
    assert lines[4:] == ["rw", "0"]


async def test_a_container_may_share_every_namespace_but_that_of_mounts(
    worker: ContainerWorker,
) -> None:
    kinds = ("net", "pid", "ipc", "uts", "cgroup", "mnt")
    task = a_container(
        an_id(),
        "sh",
        "-c",
        looks(
            *(f"busybox readlink /proc/self/ns/{kind}" for kind in kinds),
            "hostname",
            "echo $HOSTNAME",
            "echo $PORT $SWARMD_PORT_8099",
            "grep -c ' /dev/shm ' /proc/mounts",
        ),
        host_access=HostAccess(network=True, pid=True, ipc=True, uts=True, cgroup=True, user=True),
    )
    ports = (PortConfig(target_port=8099),)
    allow = ("network", "pid", "ipc", "uts", "cgroupns", "userns")
    lines = await seen(worker, replace(task, allow=allow, ports=ports))
    assert lines[:5] == [namespace(kind) for kind in kinds[:5]]
    assert lines[5] != namespace("mnt")
    assert lines[6] == os.uname().nodename
    assert lines[7] == "host1"
    port, again = lines[8].split()
    assert port == again
    assert 20_000 <= int(port) < 65_536
    status = worker.status(task.id)
    assert [(one.target_port, one.published_port) for one in status.ports] == [(8099, int(port))]
    assert lines[9] == "1"


async def test_devices_shared_memory_paths_runtime_and_parent(worker: ContainerWorker) -> None:
    parent = f"/swarmd-parent-{worker.node_id}"
    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}],
    }
    filtered = Seccomp(mode=SeccompMode.CUSTOM, profile=json.dumps(profile).encode())
    task = a_container(
        an_id(),
        "sh",
        "-c",
        looks(
            "busybox stat -c '%t:%T' /dev/one /dev/loop-control",
            "head -c 4 /dev/one | busybox wc -c",
            "busybox df -k /dev/shm | busybox tail -1 | busybox awk '{print $2}'",
            "mkdir /tmp/x 2>&1 | grep -o 'not implemented'",
            "grep -c ' /proc/kcore ' /proc/mounts; test -w /proc/sys/kernel/panic && echo writable",
        )
        + "; sleep 100",
        privileges=Privileges(seccomp=filtered),
        host_access=HostAccess(
            devices=(Device(source="/dev/zero", target="/dev/one", permissions="r"),),
            device_rules=("c 10:237 rw",),
            shm_bytes=8 << 20,
            system_paths=True,
            runtime="runc",
            cgroup_parent=parent,
        ),
    )
    task = replace(task, allow=EVERYTHING)
    try:
        worker.assign(task)
        await worker.reaches(task.id, TaskState.RUNNING)
        await eventually(lambda: "writable" in worker.output(task.id), "the looks")
        lines = [line.rstrip("|") for line in worker.output(task.id).splitlines()]
        assert lines[0].split("|")[0] == "1:5"
        assert lines[1:4] == ["4", "8192", "not implemented"]
        assert lines[4] == "0|writable"
        groups = Path(f"/proc/{worker.pid(task.id)}/cgroup").read_text()
        assert f"{parent}/{task.id}" in groups
    finally:
        worker.assign()
        await eventually(lambda: not worker.node_executor.containers.owns(task.id), "its removal")
        for tree in Path("/sys/fs/cgroup").glob(f"*/{parent.strip('/')}"):
            tree.rmdir()


async def test_what_a_node_has_not_got_is_said(worker: ContainerWorker) -> None:
    wanted = {
        "/dev/none is no device of this node": HostAccess(devices=(Device(source="/dev/none"),)),
        "runtime 'krun' needs krun, which is not installed": HostAccess(runtime="krun"),
        "needs containerd-shim-kata-v2": HostAccess(runtime="io.containerd.kata.v2"),
    }
    tasks = {
        sentence: replace(a_container(an_id(), "true", host_access=access), allow=EVERYTHING)
        for sentence, access in wanted.items()
    }
    worker.assign(*tasks.values())
    for sentence, task in tasks.items():
        status = await worker.ends(task.id)
        assert status.state == TaskState.REJECTED, status
        assert sentence in status.err


async def test_input_that_is_open_does_not_end(worker: ContainerWorker) -> None:
    open_id, closed_id = an_id(), an_id()
    script = "cat; echo over"
    worker.assign(
        a_container(open_id, "sh", "-c", script, open_stdin=True, grace_ns=0),
        a_container(closed_id, "sh", "-c", script),
    )
    await worker.ends(closed_id)
    assert worker.output(closed_id) == "over\n"
    assert (await worker.reaches(open_id, TaskState.RUNNING)).state == TaskState.RUNNING
    assert worker.output(open_id) == ""


async def test_what_tools_and_programs_find_out_about_a_task(worker: ContainerWorker) -> None:
    task = a_container(
        an_id(),
        "sh",
        "-c",
        looks(
            "env | grep -E 'A|LEFT'",
            "cat /etc/hosts",
            "cat /etc/resolv.conf",
            "cat /etc/hostname",
            "id -G",
            "echo $0 $1",
        ),
        "zero",
        "{{.Task.Slot}}",
        env=("A=node {{.Node.Hostname}}", "LEFT=a=b"),
        labels={"tier": "front"},
        groups=("4242",),
        user="7",
        hostname="h-{{.Task.Slot}}",
        hosts=("10.1.1.1 db db.test", "::2 six"),
        dns_config=DnsConfig(("10.0.0.53", "10.0.0.54"), ("x.test", "y.test"), ("ndots:2",)),
    )
    lines = await seen(worker, task)
    assert set(lines[0].split("|")) >= {"A=node host1", "LEFT=a=b"}
    assert {"10.1.1.1 db db.test", "::2 six"} <= set(lines[1].split("|"))
    assert lines[2].split("|")[-4:] == [
        *("nameserver 10.0.0.53", "nameserver 10.0.0.54", "search x.test y.test", "options ndots:2")
    ]
    assert lines[3:] == ["h-1", "0 4242", "zero 1"]
    engine = worker.node_executor.containers.engine
    request = containers_pb2.GetContainerRequest(id=task.id)
    labels = (await (await engine.client()).containers.Get(request)).container.labels
    assert labels["tier"] == "front"
    assert labels["com.docker.swarm.node.id"] == worker.node_id
    assert labels["com.docker.swarm.service.id"] == "service1"
    assert labels["com.docker.swarm.service.name"] == "web"
    assert labels["com.docker.swarm.task"] == ""
    assert labels["com.docker.swarm.task.id"] == task.id
    assert labels["com.docker.swarm.task.name"] == f"web.1.{task.id}"


async def test_output_is_kept_as_its_driver_says(worker: ContainerWorker) -> None:
    wanted = (
        (LogDriver(name="json-file", options={"max-size": "20k", "max-file": "2"}), 2),
        (LogDriver(name="local", options={"max-size": "20k", "max-file": "3"}), 3),
        (LogDriver(name="none"), 0),
    )
    tasks = [a_container(an_id(), "sh", "-c", "seq 20000", log=driver) for driver, _ in wanted]
    worker.assign(*tasks)
    for task, (_, count) in zip(tasks, wanted, strict=True):
        assert (await worker.ends(task.id)).state == TaskState.COMPLETE
        files = sorted(worker.executor.log_directory(task.id).glob("*.log"))
        assert len(files) == count
        assert all(file.stat().st_size <= 21_000 for file in files)
        if files:
            assert worker.output(task.id).splitlines()[-1] == "20000"
