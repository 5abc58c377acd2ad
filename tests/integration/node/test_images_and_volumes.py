"""Images of a private registry and volumes of all nodes, on a swarm of real daemons."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.machines import Machine, machines
from demo.swarm import CommandFailed, Swarm, wait_until
from swarmd.agent.describe import node_platform
from tests.support import images
from tests.support.containers import why_none
from tests.support.registry import PASSWORD, PROGRAM, USER, LocalRegistry, a_registry

pytestmark = [
    pytest.mark.skipif(bool(why_none()), reason=why_none() or "-"),
    pytest.mark.skipif(
        PROGRAM is None, reason="no docker-registry; apt-get install docker-registry"
    ),
]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registry")


@pytest.fixture(scope="module")
def registry(directory: Path) -> Iterator[LocalRegistry]:
    with a_registry(directory, private=True) as running:
        archive = images.oci_archive(
            directory / "app.tar", "docker.io/library/x:1", [images.busybox_layer()]
        )
        running.push(archive, "team/app", "1", node_platform())
        yield running


@pytest.fixture(scope="module")
def shelf(directory: Path) -> Iterator[Path]:
    """What `docker-credential-shelf` answers to daemons that are started from now on."""
    kept, program = directory / "kept", directory / "bin" / "docker-credential-shelf"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nexec cat {kept}\n")
    program.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(program.parent), prepend=os.pathsep)
        yield kept


@pytest.fixture(scope="module")
def swarm(registry: LocalRegistry, directory: Path, shelf: Path) -> Iterator[Swarm]:
    """A manager and a worker, which find the registry on their own loopback."""
    with machines(("m1", "w1")) as made:
        swarm = Swarm(made)
        served: list[subprocess.Popen[bytes]] = []
        try:
            manager, worker = made.by_name["m1"], made.by_name["w1"]
            if made.in_namespaces:
                argv = [str(PROGRAM), "serve", str(directory / "registry.yml")]
                served = [one.start(argv, output=subprocess.DEVNULL) for one in (manager, worker)]
            swarm.init(manager)
            swarm.join(worker, manager, "worker")
            yield swarm
        finally:
            swarm.stop()
            for process in served:
                process.kill()
                process.wait()


def manager(swarm: Swarm) -> Machine:
    return swarm.machines.by_name["m1"]


def node_ids(swarm: Swarm) -> dict[str, str]:
    """The ids of the manager and the worker; both have the name of this machine."""
    rows = swarm.rows(manager(swarm), "node", "ls")
    return {"m1" if row["ManagerStatus"] else "w1": row["ID"] for row in rows}


def tasks(swarm: Swarm, service: str) -> list[dict[str, str]]:
    return swarm.rows(manager(swarm), "service", "ps", "--no-trunc", service)


def test_the_swarm_logs_in_once_and_all_its_nodes_pull(
    swarm: Swarm, registry: LocalRegistry, shelf: Path, tmp_path: Path
) -> None:
    first, image = manager(swarm), f"{registry.host}/team/app:1"
    create = ("service", "create", "--name", "web", "--replicas", "2")
    create = (*create, "--replicas-max-per-node", "1", "--stop-grace-period", "100ms")
    swarm.command(first, *create, "-d", image, "sleep", "1000")
    wait_until(
        lambda: any("does not show it to anybody" in row["Error"] for row in tasks(swarm, "web")),
        what="a task that is refused",
    )
    assert any(row["CurrentState"].startswith("Rejected") for row in tasks(swarm, "web"))
    swarm.command(first, "service", "rm", "web")

    login = ("registry", "login", "-u", USER, "-p")
    with pytest.raises(CommandFailed, match=f"does not take the credentials of {USER}"):
        swarm.command(first, *login, "wrong", registry.host)
    assert swarm.rows(first, "registry", "ls") == []
    swarm.command(first, *login, PASSWORD, registry.host)
    (row,) = swarm.rows(first, "registry", "ls")
    assert (row["Registry"], row["Username"]) == (registry.host, USER)
    assert swarm.rows(first, "secret", "ls") == []

    swarm.command(first, *create, image, "sleep", "1000")
    (service,) = json.loads(swarm.command(first, "service", "inspect", "web"))
    stored = service["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]
    assert stored.startswith(f"{image}@sha256:")
    assert {row["Image"] for row in tasks(swarm, "web")} == {image}
    assert kept_in_clear(swarm) == []

    pulled = swarm.command(first, "image", "pull", image)
    assert pulled == f"{image}: {stored.partition('@')[2]}\n"
    everywhere = swarm.command(first, "image", "pull", "--all-nodes", image).splitlines()
    assert len(everywhere) == 2
    assert all(line.startswith(f"{pulled.strip()} on ") for line in everywhere)
    with pytest.raises(CommandFailed, match=rf"not done everywhere: .* no such image: {image}x"):
        swarm.command(first, "image", "pull", "--node", node_ids(swarm)["w1"], f"{image}x")
    # The service knows it by its digest.
    gone = swarm.command(first, "image", "rm", "--all-nodes", image).splitlines()
    assert [line.startswith(f"Removed image: {image} from ") for line in gone] == [True, True]
    swarm.command(first, "registry", "logout", registry.host)
    with pytest.raises(CommandFailed, match="does not show it to anybody"):
        swarm.command(first, "image", "pull", image)
    with pytest.raises(CommandFailed, match="not logged in"):
        swarm.command(first, "registry", "logout", registry.host)
    told_by_a_program(swarm, registry, shelf, image)
    imported_and_run(swarm, tmp_path)

    # Nobody can pull it any more, so what the service may be rolled back to has to stay.
    prune = ("image", "prune", "-f")
    swarm.command(first, "update", "--task-history-limit", "0")
    only_here = ("--replicas", "1", "--constraint-add", "node.role==manager")
    swarm.command(first, "service", "update", "--image", "mine:1", *only_here, "web")
    assert swarm.command(first, *prune) == ""
    swarm.command(first, "service", "rollback", "web")
    assert [row["Image"] for row in tasks(swarm, "web")] == [image, image]

    assert swarm.command(first, *prune) == ""
    swarm.command(first, "service", "rm", "web")
    removed: list[str] = []

    def are_pruned() -> bool:
        removed.extend(swarm.command(first, *prune, "--all-nodes").splitlines())
        return sum(stored in line for line in removed) == len(swarm.machines.nodes())

    wait_until(are_pruned, what="the image to be of no use on any node")
    assert [row["Name"] for row in swarm.rows(first, "image", "ls")] == ["mine:1"]


def told_by_a_program(swarm: Swarm, registry: LocalRegistry, shelf: Path, image: str) -> None:
    first = manager(swarm)
    login = ("registry", "login", "--helper")
    with pytest.raises(CommandFailed, match="docker-credential-none is not installed"):
        swarm.command(first, *login, "none", registry.host)
    shelf.write_text(json.dumps({"Username": USER, "Secret": PASSWORD}))
    swarm.command(first, *login, "shelf", registry.host)
    (row,) = swarm.rows(first, "registry", "ls")
    assert (row["Username"], row["Helper"], row["Problem"]) == (USER, "shelf", "")
    swarm.command(first, "image", "pull", image)
    swarm.command(first, "image", "rm", image)
    swarm.command(first, "registry", "logout", registry.host)


def imported_and_run(swarm: Swarm, tmp_path: Path) -> None:
    """An image made of a root filesystem runs, as it was told how to."""
    first, root = manager(swarm), tmp_path / "root.tar.gz"
    plain = tmp_path / "root.tar"
    plain.write_bytes(images.busybox_layer())
    with tarfile.open(plain) as archive:
        assert "bin/busybox" in archive.getnames()
    root.write_bytes(subprocess.run(["gzip", "-c", plain], capture_output=True, check=True).stdout)
    change = ("-c", 'CMD ["sh", "-c", "echo made by $HAND; exec sleep 1000"]', "-c", "ENV HAND=me")
    swarm.command(first, "image", "import", *change, str(root), "mine:1")
    swarm.command(
        first,
        *("service", "create", "--name", "mine", "--constraint", "node.role==manager"),
        *("--stop-grace-period", "100ms", "mine:1"),
    )
    wait_until(
        lambda: "made by me" in swarm.command(first, "service", "logs", "mine"),
        what="what the image says",
    )


def kept_in_clear(swarm: Swarm) -> list[str]:
    """Files of the daemons that hold the password in a form that can be read."""
    pair = f"{USER}:{PASSWORD}".encode()
    document = json.dumps({"username": USER, "password": PASSWORD}, separators=(",", ":")).encode()
    forms = [base64.b64encode(data).rstrip(b"=")[:-1] for data in (pair, document)]
    forms.append(f'"password":"{PASSWORD}"'.encode())
    found = []
    for machine in swarm.machines.nodes():
        for path in machine.state_dir.rglob("*"):
            # Not in what images hold, nor in the files that stand for namespaces.
            elsewhere = {"containerd", "containers", "run"}.isdisjoint(
                path.relative_to(machine.state_dir).parts
            )
            if elsewhere and path.is_file():
                data = path.read_bytes()
                found += [str(path) for form in forms if form in data]
    return found


def test_images_are_saved_on_one_node_and_loaded_on_another(swarm: Swarm, tmp_path: Path) -> None:
    first, worker = manager(swarm), swarm.machines.by_name["w1"]
    archive, both = tmp_path / "both.tar", ("saved:1", "also/saved:2")
    images.docker_archive(archive, both[0], [images.busybox_layer()])
    swarm.command(first, "image", "load", "-q", str(archive))
    root = tmp_path / "root.tar"
    root.write_bytes(images.layer([images.a_file("other", b"content")]))
    swarm.command(first, "image", "import", str(root), both[1])
    saved, piped = tmp_path / "saved.tar", tmp_path / "piped.tar"
    swarm.command(first, "image", "save", "-o", str(saved), *both)
    with piped.open("wb") as file:
        words = first.command(cli(first, "image", "save", *both))
        subprocess.run(words, stdout=file, check=True, timeout=60)
    assert saved.read_bytes() == piped.read_bytes()
    assert saved.stat().st_mode & 0o777 == 0o600
    with tarfile.open(saved) as entries:
        listed = json.loads(entries.extractfile("manifest.json").read())  # type: ignore[union-attr]
        assert {tuple(item["RepoTags"]) for item in listed} == {("saved:1",), ("also/saved:2",)}
        assert {item["Config"] for item in listed} < set(entries.getnames())
    said = swarm.command(worker, "image", "load", str(saved))
    assert {line.removeprefix("Loaded image: ") for line in said.splitlines()} == set(both)

    ids = node_ids(swarm)
    rows = swarm.rows(first, "image", "ls", "--all-nodes")
    for name in both:
        assert len({row["Digest"] for row in rows if row["Name"] == name}) == 1
        assert len([row for row in rows if row["Name"] == name]) == 2
    only = swarm.rows(first, "image", "ls", "--node", ids["w1"])
    assert {row["Name"] for row in only} == {
        row["Name"] for row in swarm.rows(worker, "image", "ls")
    }
    assert "NODE" in swarm.command(first, "image", "ls", "--all-nodes").splitlines()[0]
    with pytest.raises(CommandFailed, match="not a swarm manager"):
        swarm.command(worker, "image", "ls", "--all-nodes")

    kept = tmp_path / "kept.tar"
    kept.write_text("as it was")
    with pytest.raises(CommandFailed, match="this node has no image ghost:1"):
        swarm.command(first, "image", "save", "-o", str(kept), "saved:1", "ghost:1")
    assert kept.read_text() == "as it was"
    assert not list(tmp_path.glob(".kept*"))
    with pytest.raises(CommandFailed, match="/dev/null is no file"):
        swarm.command(first, "image", "save", "-o", "/dev/null", "saved:1")
    with pytest.raises(CommandFailed, match=r"not done everywhere: .*this node has no image ghost"):
        swarm.command(first, "image", "rm", "--node", ids["w1"], "ghost:1")
    with pytest.raises(CommandFailed, match="no node has an image ghost:1"):
        swarm.command(first, "image", "rm", "--all-nodes", "ghost:1")
    swarm.command(first, "image", "rm", "--all-nodes", *both)
    assert swarm.rows(worker, "image", "ls") == []


def test_volumes_of_all_nodes_are_seen_from_a_manager(swarm: Swarm) -> None:
    first, worker = manager(swarm), swarm.machines.by_name["w1"]
    ids = node_ids(swarm)
    both = ("--node", ids["m1"], "--node", ids["w1"])
    swarm.command(first, "volume", "create", "-l", "kind=cache", *both, "data")
    swarm.command(worker, "volume", "create", "here")

    def listed(*flags: str) -> list[str]:
        return [row["Name"] for row in swarm.rows(first, "volume", "ls", *flags)]

    assert listed() == ["data", "data", "here"]
    assert listed("--node", ids["m1"]) == ["data"]
    assert listed("-f", "label=kind=cache", "-f", f"node={ids['w1']}") == ["data"]
    assert len(json.loads(swarm.command(first, "volume", "inspect", "data"))) == 2
    assert [row["Name"] for row in swarm.rows(worker, "volume", "ls")] == ["data", "here"]
    with pytest.raises(CommandFailed, match="have volumes named data"):
        swarm.command(first, "volume", "rm", "data")
    swarm.command(first, "volume", "rm", "--node", ids["w1"], "data")
    assert listed() == ["data", "here"]
    with pytest.raises(CommandFailed, match="no such volume: gone"):
        swarm.command(first, "volume", "rm", "gone")

    # A node that does not answer is named, and hides no other.
    os.kill(swarm.daemons["w1"].pid, signal.SIGSTOP)
    try:
        done = first.run(cli(first, "volume", "ls", "-q"), timeout=60)
        assert done.stdout.split() == ["data"]
        assert "are not known" in done.stderr
    finally:
        os.kill(swarm.daemons["w1"].pid, signal.SIGCONT)
    wait_until(lambda: listed() == ["data", "here"], what="the worker to answer again")
    swarm.command(first, "volume", "prune", "-f")
    assert listed() == []


def test_a_secret_of_containers_is_renewed_and_rolled_back_in_memory_only(
    swarm: Swarm, tmp_path: Path
) -> None:
    first = manager(swarm)
    root = tmp_path / "root.tar"
    root.write_bytes(images.busybox_layer())
    swarm.command(first, "image", "import", str(root), "shell:1")
    data = tmp_path / "data"

    def given(text: str) -> str:
        data.write_text(text)
        return str(data)

    data.write_bytes(b"x" * 512_000)
    with pytest.raises(CommandFailed, match="the secret's data"):
        swarm.command(first, "secret", "create", "large", str(data))
    swarm.command(first, "secret", "create", "key", given("first for {{.Service.Name}}"))
    swarm.command(
        first,
        *("service", "create", "--name", "keyed", "--constraint", "node.role==manager"),
        *("--stop-grace-period", "100ms", "--update-delay", "0s", "--update-monitor", "100ms"),
        *("--secret", "source=key,target=k,uid=1000,gid=2000,mode=0440,version=latest"),
        *("shell:1", "sleep", "1000"),
    )

    def inside(*words: str) -> str:
        rows = [row for row in tasks(swarm, "keyed") if row["CurrentState"].startswith("Running")]
        try:
            return swarm.command(first, "exec", rows[0]["ID"], *words).strip() if rows else ""
        except CommandFailed:
            return ""  # it is being replaced just now

    read = ("cat", "/run/secrets/k")
    assert inside(*read) == "first for {{.Service.Name}}"
    assert inside("stat", "-c", "%u %g %a", "/run/secrets/k") == "1000 2000 440"
    assert "tmpfs" in inside("grep", "/run/secrets", "/proc/mounts")
    swarm.command(first, "secret", "update", "key", given("second"))
    wait_until(lambda: inside(*read) == "second", what="a container with the new version")
    swarm.command(first, "service", "update", "--rollback", "keyed")
    wait_until(lambda: inside(*read).startswith("first"), what="the version before")
    assert len(secrets_mounted(first)) == 1
    swarm.command(first, "service", "rm", "keyed")
    wait_until(lambda: not secrets_mounted(first), what="the secret to go with its last user")


def secrets_mounted(machine: Machine) -> list[str]:
    """Memory file systems of a machine's containers."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    return [
        point
        for _, point, kind, *_ in mounts
        if kind == "tmpfs" and point.startswith(str(machine.state_dir)) and "containers" in point
    ]


def cli(machine: Machine, *words: str) -> list[str]:
    return [sys.executable, "-m", "swarmd.cli", "--state-dir", str(machine.state_dir), *words]
